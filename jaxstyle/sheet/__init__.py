"""Contact sheets: photos in many styles on one page; and comparisons: one style by many methods."""
