"""What the papers' tables measure."""
