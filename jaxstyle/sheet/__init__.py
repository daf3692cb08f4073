"""Contact sheets: photos in many styles on one page."""
