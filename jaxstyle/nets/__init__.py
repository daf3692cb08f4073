"""Networks and the maths they share: VGG, convolutions, feature statistics, losses, coordinates."""
