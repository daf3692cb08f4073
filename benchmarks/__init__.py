"""jaxstyle timed side by side with PyTorch: ``python -m benchmarks``, from a checkout with the extra ``torch``."""
