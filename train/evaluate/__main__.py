"""The command ``python -m train.evaluate``, see `train.evaluate.adain`."""

from train.entry import entry

if __name__ == "__main__":
    entry("train.evaluate.adain", "train.evaluate")
