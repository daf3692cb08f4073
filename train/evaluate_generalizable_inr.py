"""The command ``python -m train.evaluate_generalizable_inr``, see `train.evaluate.generalizable_inr`."""

from train.entry import entry

if __name__ == "__main__":
    entry("train.evaluate.generalizable_inr", "train.evaluate_generalizable_inr")
