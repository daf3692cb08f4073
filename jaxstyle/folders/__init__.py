"""Many pictures: which there are, who goes with whom, what is done already, and the doing of the rest."""
