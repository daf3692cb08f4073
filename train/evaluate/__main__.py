"""The command ``python -m train.evaluate``, see `train.evaluate.transfer`."""

from train.entry import entry

if __name__ == "__main__":
    entry("train.evaluate.transfer", "train.evaluate")
