"""What is timed, by name and of any size, and the ways in which PyTorch may do it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Kind = Literal[
    "stylize", "train", "kernel", "kernel-train", "condition", "render-generalizable", "render", "fit", "command"
]

DEFAULT = (
    *("stylize-256", "stylize-256-encode", "stylize-512", "stylize-512-encode", "stylize-1024", "stylize-1024-encode"),
    *("train-256x8", "kernel-512", "kernel-512-encode", "kernel-train-128x4"),
    *("condition-256", "render-generalizable-512"),
    *("render-512", "render-512-map", "render-2000", "render-2000-map", "fit-256", "command-512"),
)
QUICK = ("stylize-512", "train-64x2", "render-256", "render-256-map", "fit-128", "command-256")
GOALS = {
    **{"stylize-512": 1.3, "stylize-512-encode": 1.3, "train-256x8": 1.0},
    **{"kernel-512": 1.3, "kernel-512-encode": 1.3, "kernel-train-128x4": 1.0},
    **{"condition-256": 1.3, "render-generalizable-512": 3.0},
    **{"render-512": 3.0, "render-512-map": 1.5, "fit-256": 1.5},
}
"""Seconds of the best PyTorch variant over ours that jaxstyle is meant to reach on a CPU."""

RENDERED = ("render", "render-generalizable")
"""Kinds that compute points: pictures of any size, in chunks."""
CONDITIONED = 256
"""Side of the two pictures of which the INR of ``render-generalizable`` cases is made."""
STYLE_SIDE = 512
"""Side of the painting of ``command`` cases: what the command looks at without resizing."""

_NAME = re.compile(
    r"(stylize|kernel|condition|render-generalizable|render|fit|command)-([1-9]\d*)(-encode|-map)?"
    r"|(train|kernel-train)-([1-9]\d*)x([1-9]\d*)"
)
_SUFFIXES = {"-encode": ("stylize", "kernel"), "-map": ("render",)}
_HELP = (
    "stylize-SIZE, stylize-SIZE-encode, train-SIZExBATCH, kernel-SIZE, kernel-SIZE-encode, kernel-train-SIZExBATCH, "
    "condition-SIZE, render-generalizable-SIZE, render-SIZE, render-SIZE-map, fit-SIZE or command-SIZE"
)


class CaseError(ValueError):
    """A name that is no case; the message is one line."""


@dataclass(frozen=True)
class Case:
    """One thing to time.

    Attributes:
      name: what it is called.
      kind: ``"stylize"``: AdaIN on one picture; ``"train"``: a step of AdaIN's training; ``"kernel"`` and
        ``"kernel-train"``: the same of style kernels, the small network; ``"condition"``: a generalizable INR of two
        pictures; ``"render-generalizable"``: a picture from such a one; ``"render"``: a picture from a fitted network;
        ``"fit"``: a step of the paper's fit; ``"command"``: a whole process, from file to file.
      size: side in pixels.
      batch: pairs of a training step.
      variant: ``"encode"``: the style is encoded each time; ``"map"``: a degree of style for every pixel.
    """

    name: str
    kind: Kind
    size: int
    batch: int = 1
    variant: Literal["", "encode", "map"] = ""

    @property
    def goal(self) -> float | None:
        """The ratio to reach, if there is one."""
        return GOALS.get(self.name)


def parse(name: str) -> Case:
    """The case of a name such as ``stylize-512-encode`` or ``train-256x8``.

    Raises:
      CaseError: there is none of that name; sides are multiples of 8 from 16, of renderings any.
    """
    match = _NAME.fullmatch(name)
    if match is None or (match[3] and match[1] not in _SUFFIXES[match[3]]):
        raise CaseError(f"only: {name!r} is no case; expected {_HELP}")
    kind, size = match[1] or match[4], int(match[2] or match[5])
    if kind not in RENDERED and (size < 16 or size % 8):
        raise CaseError(f"only: {name}: {size} pixels; expected a multiple of 8, at least 16")
    batch, variant = int(match[6] or 1), (match[3] or "").removeprefix("-")
    return Case(name, kind, size, batch, variant)  # type: ignore[arg-type]


@dataclass(frozen=True)
class Variant:
    """A way to do the same.

    Attributes:
      compiled: through `torch.compile`; of jaxstyle always.
      channels_last: PyTorch's memory layout of pictures and features.
      points: of a rendering, how many points are computed at once; 0: the library's own choice.
      bfloat16: convolutions and matrix products in bfloat16. Such variants are shown but do not count.
    """

    compiled: bool = False
    channels_last: bool = False
    points: int = 0
    bfloat16: bool = False

    @property
    def name(self) -> str:
        """How it is called in tables."""
        points = f"{self.points} points" if self.points else ""
        layout = "channels_last" if self.channels_last else "" if self.points else "NCHW"
        parts = ("compile" if self.compiled else "eager", layout, points, "bfloat16" if self.bfloat16 else "")
        return " ".join(part for part in parts if part)


def variants(case: Case, *, compiled: bool = True, bfloat16: bool = False) -> list[Variant]:
    """The ways in which PyTorch is tried: eager and compiled, in both layouts, or with two sizes of chunks.

    Args:
      case: for which.
      compiled: also through `torch.compile`.
      bfloat16: also in bfloat16.
    """
    modes = (False, True) if compiled else (False,)
    if case.kind in RENDERED:
        found = [Variant(mode, points=points) for mode in modes for points in (8192, 65536)]
        fast = [Variant(mode, points=65536, bfloat16=True) for mode in modes]
    else:
        found = [Variant(mode, channels_last) for mode in modes for channels_last in (False, True)]
        fast = [Variant(mode, True, bfloat16=True) for mode in modes]
    return found + (fast if bfloat16 and case.kind != "command" else [])
