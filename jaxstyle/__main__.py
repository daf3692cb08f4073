"""``python -m jaxstyle``: the command ``jaxstyle``."""

from jaxstyle.cli.main import entry

if __name__ == "__main__":
    entry()
