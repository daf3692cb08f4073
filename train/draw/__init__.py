"""The styles that `jaxstyle.styles` ships, made by a program: ``python -m train.draw`` writes them anew."""
