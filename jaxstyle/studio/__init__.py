"""A page in the browser that paints, brushes, fits and zooms: a front end over painting, served to this machine."""
