"""Previews, full results and looks at attention: what the studio asks painting for."""

from __future__ import annotations

import dataclasses
import io
import os
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from jaxstyle import image, methods
from jaxstyle.controls.colors import luma
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps, ResizedMap
from jaxstyle.image.encode import quantise
from jaxstyle.image.windows import ArraySource, Source
from jaxstyle.methods.interface import Loaded
from jaxstyle.painting.options import Limits
from jaxstyle.painting.picture import load_model, render
from jaxstyle.sheet import focus
from jaxstyle.studio.settings import Settings, check_sizes, parse, preview_size
from jaxstyle.studio.store import Store, Upload

PREVIEW = 256
"""Short side of a preview, pixels."""
LARGEST_PREVIEW_STROKES = 512
"""Previews look at strokes at this size at most: larger ones take as long as a full result."""
SCREEN = 2048
"""Longest side of what is shown of a result, pixels."""
WHOLE = 1 << 20
"""Pixels of a result that is painted in one piece; a larger one is painted in tiles, between which it can be ended."""
TILE = 768
ROWS = 16
"""Rows of a preview's map that are made at a time, of a map that may be large."""
LONGEST_PANEL = 6
"""Of pictures whose attention is looked up, one side to the other."""

Step = Callable[[], None]
"""Raises where nobody waits for the work any more."""
Told = Callable[[int, int], None]


@dataclass(frozen=True, eq=False)
class Result:
    """A full result, as it is written.

    Attributes:
      name: of its file, without the suffix.
      samples: uint8 or uint16 ``(H, W, 3)``.
      alpha: float32 ``(H, W)``, or None.
      exif: of the photo, for its size.
      bits: of the samples.
      notices: sentences for the user.
    """

    name: str
    samples: np.ndarray
    alpha: np.ndarray | None
    exif: bytes | None
    bits: int
    notices: tuple[str, ...]

    @property
    def bytes(self) -> int:
        """That it takes in memory."""
        return self.samples.nbytes + (0 if self.alpha is None else self.alpha.nbytes)


class Painter:
    """The pictures and maps of all pages, and what was decoded of them last.

    Attributes:
      pictures, maps: what pages have sent.
      examples: shipped pictures by name, which are there whatever else goes.
      max_pixels: of a picture that is sent or made.
    """

    def __init__(self, pictures: Store[Upload], maps: Store[np.ndarray], max_pixels: int) -> None:
        self.pictures, self.maps, self.max_pixels = pictures, maps, max_pixels
        self.examples: dict[str, Upload] = {}
        self._small: Store[image.Picture] = Store("picture", 128 << 20)
        self._small_maps: Store[np.ndarray] = Store("map", 64 << 20)

    def picture(self, name: str) -> Upload:
        """A picture of a page, or one that is shipped.

        Raises:
          Gone: there is none of that name.
        """
        return self.examples[name] if name in self.examples else self.pictures.get(name)

    def checked(self, request: Any) -> Settings:
        """The settings in a request, of pictures that are there and of sizes that can be made.

        Raises:
          ValueError: they are not.
        """
        settings = parse(request)
        photo, styles = self.picture(settings.photo), [self.picture(name) for name in settings.styles]
        check_sizes(settings.controls, photo, styles, self.max_pixels)
        for name in (*(settings.mask or ()), *([] if settings.alpha_map is None else [settings.alpha_map])):
            self.maps.get(name)
        return settings

    def preview(self, settings: Settings, step: Step) -> tuple[bytes, str, tuple[str, ...]]:
        """A small picture of what the settings give.

        Args:
          settings: from `checked`. Of their controls ``refine`` is left out, and strokes above
            `LARGEST_PREVIEW_STROKES` pixels are taken as of that size.
          step: called between reading and painting.

        Returns:
          ``(file, media type, notices)``.
        """
        upload, controls = self.picture(settings.photo), settings.controls
        whole = image.output_size((upload.height, upload.width), controls.size)
        height, width = preview_size(*whole, PREVIEW)
        photo = self._smaller(settings.photo, height, width)
        looks = [self._look(name) for name in settings.styles]
        step()
        strokes = controls.style_size and min(controls.style_size, LARGEST_PREVIEW_STROKES)
        controls = dataclasses.replace(controls, size=None, style_size=strokes, refine=0)
        maps = _maps(settings, lambda name: self._smaller_map(name, height, width))
        painted = render(photo, looks, controls, maps, model_of(settings.method), progress=lambda done, total: step())
        return (*encoded(painted.pixels, painted.alpha), painted.notices)

    def full(self, settings: Settings, step: Step, tell: Told) -> Result:
        """The picture that the command line makes of the same settings.

        Args:
          settings: from `checked`.
          step: called between tiles, and between steps of refinement.
          tell: called with the number of tiles or steps done and their total.
        """
        upload, loaded = self.picture(settings.photo), model_of(settings.method)
        controls, maps = settings.controls, _maps(settings, lambda name: Grey(self.maps.get(name)))
        photo = image.read(upload.data, max_pixels=self.max_pixels)
        looks = [image.read(self.picture(name).data, max_pixels=self.max_pixels) for name in settings.styles]
        height, width = image.output_size((upload.height, upload.width), controls.size)
        tell(0, 1)
        step()

        def between(done: int, total: int) -> None:
            tell(done, total)
            step()

        with tempfile.TemporaryDirectory(prefix="jaxstyle-studio-") as scratch:
            limits = Limits(tile=_tile(height * width, loaded, controls), scratch=scratch)
            painted = render(photo, looks, controls, maps, loaded, limits=limits, progress=between)
        step()
        samples = quantise(painted.pixels, np.dtype(np.uint8 if painted.bits == 8 else np.uint16))
        name = f"{os.path.splitext(upload.name)[0]}_stylized"
        return Result(name, samples, painted.alpha, painted.exif, painted.bits, painted.notices)

    def focus(self, photo: str, painting: str, method: str, at: tuple[float, float]) -> tuple[bytes, str]:
        """The row that ``jaxstyle focus`` makes, for a point of a photo: a file, and its media type.

        Args:
          photo, painting: names of pictures.
          method: one with attention.
          at: from the left and from the top, in [0, 1).

        Raises:
          ValueError: the point is not in the photo, a picture is too long, or the method has no attention.
        """
        if not all(0 <= place < 1 for place in at):
            raise ValueError(f"at: expected two numbers in [0, 1), got {at[0]:g}, {at[1]:g}")
        found = [self.picture(name) for name in (photo, painting)]
        for one in found:
            if max(one.width, one.height) > LONGEST_PANEL * min(one.width, one.height):
                raise ValueError(
                    f"{one.name}: {one.width} x {one.height} is too long a picture to look at attention in"
                )
        seen = []
        for one in found:
            pixels = image.read(one.data, max_pixels=self.max_pixels, short_side=focus.PANEL).pixels
            seen.append(image.resize_short_side(pixels, min(focus.PANEL, *pixels.shape[:2])))
        height, width = seen[0].shape[:2]
        point = int(at[0] * width), int(at[1] * height)
        rows, _ = focus.looked_up(model_of(method), seen[0], seen[1], [point])
        return encoded(rows[0])

    def view(self, name: str, side: int) -> tuple[bytes, str]:
        """A picture as a page shows it, upright and in sRGB: a file, and its media type.

        Args:
          name: of the picture.
          side: the longest of its sides, pixels; pictures are not enlarged.
        """
        upload = self.picture(name)
        scale = min(1.0, side / max(upload.width, upload.height))
        size = max(1, round(upload.height * scale)), max(1, round(upload.width * scale))
        picture = image.read(upload.data, max_pixels=self.max_pixels, short_side=min(size))
        alpha = picture.alpha
        return encoded(image.resize(picture.pixels, size), None if alpha is None else image.resize(alpha, size))

    # ---- small pictures, of which the last ones are kept

    def _smaller(self, name: str, height: int, width: int) -> image.Picture:
        """A photo in the size of a preview."""
        key = f"{name} {height}x{width}"
        if key not in self._small:
            picture = image.read(self.picture(name).data, max_pixels=self.max_pixels, short_side=min(height, width))
            alpha = None if picture.alpha is None else image.resize(picture.alpha, (height, width))
            small = image.Picture(image.resize(picture.pixels, (height, width)), alpha, notices=picture.notices)
            self._small.put(small, small.pixels.nbytes, key)
        return self._small.get(key)

    def _look(self, name: str) -> image.Picture:
        """A painting, not larger than a preview may look at it."""
        if name not in self._small:
            most = LARGEST_PREVIEW_STROKES
            picture = image.read(self.picture(name).data, max_pixels=self.max_pixels, short_side=most)
            pixels = image.resize_short_side(picture.pixels, min(most, *picture.pixels.shape[:2]))
            self._small.put(image.Picture(pixels), pixels.nbytes, name)
        return self._small.get(name)

    def _smaller_map(self, name: str, height: int, width: int) -> Source:
        """A map in the size of a preview."""
        key = f"{name} {height}x{width}"
        if key not in self._small_maps:
            whole = ResizedMap(Grey(self.maps.get(name)), height, width)
            bands = [whole.read(top, min(top + ROWS, height), 0, width) for top in range(0, height, ROWS)]
            small = np.concatenate(bands)
            self._small_maps.put(small, small.nbytes, key)
        return ArraySource(self._small_maps.get(key))


class Grey:
    """A map of bytes ``(H, W)`` as one that is read from a grey picture file, window by window, to the last bit."""

    def __init__(self, values: np.ndarray) -> None:
        self._values = ArraySource(values)

    @property
    def shape(self) -> tuple[int, ...]:
        """(H, W)."""
        return self._values.shape

    def read(self, top: int, bottom: int, left: int, right: int) -> np.ndarray:
        """Rows top .. bottom - 1, columns left .. right - 1, as float32 in [0, 1]."""
        return luma(np.repeat(self._values.read(top, bottom, left, right)[..., None], 3, axis=-1))


def _maps(settings: Settings, found: Callable[[str], Source]) -> Maps:
    """The maps of settings; ``found`` gives that of a name."""
    alpha_map = None if settings.alpha_map is None else found(settings.alpha_map)
    return Maps(alpha_map, None if settings.mask is None else tuple(map(found, settings.mask)))


def model_of(method: str) -> Loaded:
    """The shipped model of a method.

    Raises:
      ValueError: none is shipped.
    """
    found = methods.shipped(method)
    if not found:
        raise ValueError(f"method: no weights of {method} are shipped")
    return load_model(found[0])


def _tile(pixels: int, loaded: Loaded, controls: Controls) -> int | None:
    """The side of the tiles in which a result of so many pixels is painted; None: as the memory asks,
    where steps of refinement can be ended anyway."""
    needs = loaded.needs
    if pixels <= WHOLE or not needs.windowed or controls.refine:
        return None
    return max(1, TILE // needs.stride) * needs.stride


def encoded(pixels: np.ndarray, alpha: np.ndarray | None = None) -> tuple[bytes, str]:
    """A picture for a screen: JPEG, or PNG where it is transparent, and the media type."""
    return written(pixels, "JPEG" if alpha is None else "PNG", alpha=alpha, quality=92 if alpha is None else None)


def written(pixels: np.ndarray, format: str, **options: Any) -> tuple[bytes, str]:
    """A picture file, and its media type; ``options`` are those of `jaxstyle.image.write`."""
    buffer = io.BytesIO()
    image.write(buffer, pixels, format=format, **options)
    return buffer.getvalue(), f"image/{format.lower()}"


def screen(result: Result) -> tuple[bytes, str]:
    """A result as a page shows it, at most `SCREEN` pixels a side."""
    height, width = result.samples.shape[:2]
    scale = min(1.0, SCREEN / max(height, width))
    size = max(1, round(height * scale)), max(1, round(width * scale))
    pixels = result.samples.astype(np.float32) / np.float32(np.iinfo(result.samples.dtype).max)
    alpha = None if result.alpha is None else image.resize(result.alpha, size)
    return encoded(image.resize(pixels, size), alpha)
