"""Types of command-line arguments that several verbs have: text in, value out.

Raises: all of them argparse.ArgumentTypeError, with what was expected and what was found.
"""

from __future__ import annotations

import argparse


def degree(text: str) -> float:
    """A degree of style, 0 to 1."""
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError(f"expected a number from 0 (content) to 1 (full style), got {text!r}")
    return value


def size(text: str) -> int | tuple[int, int]:
    """``N``, the short side, or ``WIDTHxHEIGHT``, in pixels."""
    parts = text.lower().split("x")
    if len(parts) > 2 or not all(part.isascii() and part.isdigit() and int(part) > 0 for part in parts):
        raise argparse.ArgumentTypeError(f"expected N (short side) or WIDTHxHEIGHT in pixels, got {text!r}")
    return int(parts[0]) if len(parts) == 1 else (int(parts[0]), int(parts[1]))


def count(text: str) -> int:
    """A whole number of at least 1."""
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError(f"expected a positive whole number, got {text!r}")
    return int(text)


def seed(text: str) -> int:
    """A whole number of at least 0."""
    if not (text.isascii() and text.isdigit()):
        raise argparse.ArgumentTypeError(f"expected a whole number, got {text!r}")
    return int(text)
