"""From a picture to a painted picture: one loop over windows for every method and every size."""
