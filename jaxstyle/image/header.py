"""What a picture file says before its pixels are decoded: its format, its size, how many frames or pages it has.

The part of `jaxstyle.image` that opens files with Pillow, and with pillow-heif (the extra ``heif``) the photos of
phones. Errors are whatever Pillow raises here; `jaxstyle.image.source.reading` makes them `ImageError`.
"""

import importlib.util
import io
import logging
import re
import struct
from collections.abc import Callable
from typing import Any, BinaryIO, NamedTuple, cast

from PIL import BmpImagePlugin, IcnsImagePlugin, IcoImagePlugin, Image, ImageFile

logging.getLogger("PIL").addHandler(logging.NullHandler())  # no remarks on standard error unless logging is set up

HEIF_SUFFIXES = frozenset((".heic", ".heics", ".heif", ".heifs", ".hif"))
"""Lower-case suffixes of files that only pillow-heif reads."""

MOST_PAGES = 10_000
"""So many pages of a TIFF are counted at most."""

_HEIF = re.compile(rb"....ftyp(he[iv][cmsx]|mif1|msf1)", re.DOTALL)
_PNG = b"\x89PNG\r\n\x1a\n"

Check = Callable[[tuple[int, int]], None]
"""Raises where a picture of this (width, height) is not to be decoded."""


class Opened(NamedTuple):
    """A file whose pixels are not decoded yet.

    Attributes:
      image: at its first frame, of a size that was checked.
      frames: frames or pages in the file, as far as they can be counted.
    """

    image: ImageFile.ImageFile
    frames: int


def open_first(stream: BinaryIO, check: Check) -> Opened:
    """Opens a file at its first frame, and counts the others.

    Args:
      stream: of the whole file, seekable.
      check: called with every size before something of it is decoded.
    """
    image = open_image(stream, check)
    check(image.size)
    if image.format in ("MPO", "PSD"):  # a phone's depth map, a drawing's layers: not frames
        return Opened(image, 1)
    if image.format == "TIFF":
        return Opened(image, _count_pages(stream))
    if not isinstance(getattr(type(image), "n_frames", None), property):
        return Opened(image, int(getattr(image, "n_frames", 1)))
    try:
        frames = int(cast(Any, image).n_frames)  # goes through the file, and where that fails it stands anywhere
    except Exception:  # a later frame is damaged; the first may be whole
        frames = 1
    image = open_image(stream, check)
    check(image.size)
    return Opened(image, frames)


def open_image(stream: BinaryIO, check: Check) -> ImageFile.ImageFile:
    """`PIL.Image.open`, less its pixel limit, which is a process-wide variable, and less what it would have to run
    (PostScript) or would decode without a look at its size (pictures inside of others).

    Args:
      stream: of the whole file, seekable.
      check: called with the sizes of pictures in icons, which Pillow decodes while it opens them.
    """
    stream.seek(0)
    prefix = stream.read(16)
    if prefix.startswith(b"BLP1\0\0\0\0"):
        raise ValueError("it is a BLP texture with a JPEG inside: convert it to PNG first")
    tried = {"EPS", "IPTC"}
    for load_plugins in (Image.preinit, Image.init):
        load_plugins()
        for name in [name for name in Image.ID if name not in tried]:
            tried.add(name)
            factory, accept = Image.OPEN[name]
            try:
                accepted = not accept or accept(prefix)
                if not accepted or isinstance(accepted, str):  # a string tells which codec is missing
                    continue
                stream.seek(0)
                inside = _picture_in_icon(stream, name, check)
                if inside is not None:
                    return open_image(inside, check)
                stream.seek(0)
                return factory(stream, "")
            except (SyntaxError, IndexError, TypeError, struct.error):
                continue
    heif = _open_heif(stream) if _HEIF.match(prefix) else None
    if heif is not None:
        return heif
    stream.seek(0)
    raise ValueError(f"it is {_sniff(stream.read(256))}")


def _picture_in_icon(stream: BinaryIO, name: str, check: Check) -> BinaryIO | None:
    """The PNG or JPEG 2000 file in an icon that Pillow would take, whatever size the icon says; None where there is
    none. Other icons are checked."""
    if name == "ICO":
        entry = IcoImagePlugin.IcoFile(stream).entry[0]
        stream.seek(entry.offset)
        start = stream.read(len(_PNG))
        stream.seek(entry.offset)
        if start == _PNG:
            return io.BytesIO(stream.read())
        width, height = BmpImagePlugin.DibImageFile(cast(Any, stream)).size
        check((width, height // 2))  # the lower half is the mask
    elif name == "ICNS":
        icon = IcnsImagePlugin.IcnsFile(stream)
        for code, reader in IcnsImagePlugin.IcnsFile.SIZES[icon.bestsize()]:
            if code in icon.dct and reader is IcnsImagePlugin.read_png_or_jpeg2000:
                start_, length = icon.dct[code]
                stream.seek(start_)
                return io.BytesIO(stream.read(length))
    return None


def _count_pages(stream: BinaryIO) -> int:
    """The pages of a TIFF, by the chain of their directories (TIFF 6.0, section 2; BigTIFF), as far as it goes."""
    stream.seek(0)
    start = stream.read(16)
    order = "<" if start.startswith(b"II") else ">"
    big = 43 in start[2:4]
    number, following, entry = ("Q", "Q", 20) if big else ("H", "I", 12)
    seen: set[int] = set()
    try:
        (place,) = struct.unpack_from(order + following, start, 8 if big else 4)
        while place and place not in seen and len(seen) < MOST_PAGES:
            stream.seek(place)
            (tags,) = struct.unpack(order + number, stream.read(struct.calcsize(number)))
            seen.add(place)
            stream.seek(tags * entry, io.SEEK_CUR)
            (place,) = struct.unpack(order + following, stream.read(struct.calcsize(following)))
    except (struct.error, ValueError, OverflowError, OSError):  # it ends beyond the file
        pass
    return max(1, len(seen))


def upright_size(image: Image.Image) -> tuple[int, int]:
    """(height, width) of an opened image after its orientation, as far as that stands before the pixels: a PNG may
    have it behind them, where Pillow's own `getexif` looks for it by decoding everything."""
    width, height = image.size
    tags = getattr(image, "tag_v2", {}) if image.format == "TIFF" else {}
    if 256 in tags and 257 in tags and getattr(image, "_im", None) is None:
        width, height = tags[256], tags[257]  # Pillow's own size is upright already, by its version
    try:
        turned = Image.Image.getexif(image).get(0x0112) in (5, 6, 7, 8)
    except Exception:  # damaged EXIF is no reason to refuse a picture
        turned = False
    return (width, height) if turned else (height, width)


# --- what Pillow alone cannot read ------------------------------------------------------------------------


def reads_heif() -> bool:
    """Whether the extra ``heif`` is installed."""
    return importlib.util.find_spec("pillow_heif") is not None


def _open_heif(stream: BinaryIO) -> ImageFile.ImageFile | None:
    """A HEIC or HEIF photo; None where pillow-heif is not installed, or says that it is none."""
    try:
        import pillow_heif
    except ImportError:
        return None
    stream.seek(0)
    try:
        return cast(ImageFile.ImageFile, pillow_heif.HeifImageFile(stream))
    except SyntaxError:  # it is damaged
        return None


_SIGNATURES = (
    (rb"\xff\xd8\xff", "damaged JPEG data"),
    (rb"\x89PNG", "damaged PNG data"),
    (rb"GIF8", "damaged GIF data"),
    (rb"RIFF....WEBP", "damaged WebP data"),
    (rb"II\*\0|MM\0\*", "a damaged TIFF, or one of an unknown kind"),
    (rb"....ftypavi[fs]", "damaged AVIF data"),
    (rb"....ftyp|\x1aE\xdf\xa3", "a video: jaxstyle video paints it"),
    (rb"%!PS", "PostScript: convert it to PNG first"),
    (rb"%PDF", "a PDF document: convert it to PNG first"),
    (rb"PK\x03\x04", "a zip archive"),
    (rb"\x1f\x8b", "gzip-compressed data"),
    (rb"version https://git-lfs", "a Git LFS pointer, not the file itself"),
    (rb"(?i)\s*(<!doctype html|<html)", "a web page"),
    (rb"(?i)\s*(<\?xml|<svg)", "an SVG drawing or other XML: convert it to PNG first"),
)


def _sniff(start: bytes) -> str:
    """What a file is that is not a picture, from its first bytes."""
    if not start:
        return "an empty file"
    if _HEIF.match(start):
        return "damaged HEIC data" if reads_heif() else "a HEIC photo, which needs: pip install 'jaxstyle[heif]'"
    if start[4:12] in (b"ftypavif", b"ftypavis") and "AVIF" not in Image.SAVE:
        return "an AVIF photo, which this Pillow does not read: pip install -U pillow"
    for pattern, kind in _SIGNATURES:
        if re.match(pattern, start, re.DOTALL):
            return kind
    if all(byte >= 32 or byte in b"\t\r\n" for byte in start):
        return f"text ({start[:24].decode('utf-8', 'replace')!r}...)"
    return f"unknown data (first bytes {start[:8].hex(' ')})"
