"""The command ``python -m train.evaluate_inr``, see `train.evaluate.inr`."""

from train.entry import entry

if __name__ == "__main__":
    entry("train.evaluate.inr", "train.evaluate_inr")
