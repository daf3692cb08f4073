"""Videos: a clip in, a clip out, frame by frame, with its sound, its times and a painting that stays in its place.

`jaxstyle.video.file` is the front door; `clip` reads, `painter` paints, `steady` keeps the painting still, `segments`
keeps what is done, and `container` writes the file. Only files and frames are known here, no method.
"""
