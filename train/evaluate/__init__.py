"""The papers' tables: ``python -m train.evaluate`` those of AdaIN, ``python -m train.evaluate_inr`` those of INR-st."""
