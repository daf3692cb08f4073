"""The command ``python -m train.evaluate_video``, see `train.evaluate.video`."""

from train.entry import entry

if __name__ == "__main__":
    entry("train.evaluate.video", "train.evaluate_video")
