"""Training: run from a checkout as ``python -m train.<method>``; not part of the wheel."""
