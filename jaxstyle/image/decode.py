"""From a picture file to samples: 16 bits, colour profiles, transparency and EXIF in Pillow's many modes.

The part of `jaxstyle.image` that knows the formats' peculiarities. Errors are whatever Pillow raises here;
`jaxstyle.image.source.reading` makes them `ImageError`.
"""

import io
import re
import sys
from dataclasses import dataclass
from typing import Any, BinaryIO, cast

import numpy as np
from PIL import Image, ImageCms, ImageFile

from jaxstyle.image import resolution
from jaxstyle.image.header import Check, Opened, open_image
from jaxstyle.image.source import reason


@dataclass(frozen=True, eq=False)
class Decoded:
    """Attributes:
    samples: uint8, uint16 or float32 in [0, 1], (H, W) grey or (H, W, 3) RGB.
    alpha: bool, uint8 or uint16, (H, W), or None.
    exif: block fit for writing back, or None.
    frames: frames or pages in the file.
    notices: sentences for the user.
    """

    samples: np.ndarray
    alpha: np.ndarray | None
    exif: bytes | None
    frames: int
    notices: tuple[str, ...]


def unit(samples: np.ndarray) -> np.ndarray:
    """Contiguous float32: uint8 and uint16 divided by their largest value, bool and floats as they are."""
    out = samples.astype(np.float32, order="C")
    if samples.dtype.kind == "u":
        out /= np.float32(np.iinfo(samples.dtype).max)
    return out


def decode_opened(opened: Opened, stream: BinaryIO, check: Check, short_side: int | None = None) -> Decoded:
    """The first frame of a file, upright, in sRGB.

    Args:
        opened: from `jaxstyle.image.header.open_first`.
        stream, check: that it was opened with.
        short_side: a JPEG may be decoded smaller as long as its shorter side keeps this many pixels.
    """
    low = open_low_bytes(stream, check) if is_deep_colour(opened.image) else None
    return decode(opened.image, low, short_side, opened.frames)


def decode(
    image: Image.Image, low: Image.Image | None = None, short_side: int | None = None, frames: int = 1
) -> Decoded:
    """An opened image, upright, in sRGB.

    Args:
        image: an image whose pixels need not be loaded yet.
        low: `open_low_bytes` of the same file where `is_deep_colour(image)`, else None.
        short_side: a JPEG may be decoded smaller as long as its shorter side keeps this many pixels.
        frames: frames or pages in its file.
    """
    notices: list[str] = []
    if frames > 1:
        kind = "picture of {} pages" if image.format == "TIFF" else "animated picture of {} frames"
        notices.append(f"{kind.format(frames)}: the first is taken")
    rawmode, turned, full = _rawmode(image), _tags(image).get(274) in (5, 6, 7, 8), image.size
    if short_side and image.format in ("JPEG", "MPO") and isinstance(image, ImageFile.ImageFile):
        image.draft(None, (short_side, short_side))
    image.load()
    icc = image.info.get("icc_profile")
    samples: np.ndarray
    if low is not None:
        low.load()
        samples, alpha = _with_profile16(*_join_bytes(image, low, rawmode), icc, notices)
    elif image.mode.startswith("I;16"):
        samples, alpha = _with_profile16(*_grey16(image, rawmode), icc, notices)
    elif image.mode in ("I", "F") or (image.mode == "L" and _tags(image).get(339) == (2,)):
        samples, alpha = _numbers(image, notices), None
    else:
        opaque, alpha = _split_alpha(image)
        samples = np.asarray(_to_srgb(opaque, icc, notices))
        if "16" in rawmode:
            notices.append(f"16-bit {image.format or 'picture'} of this kind is read at 8 bits")
        elif image.info.get("bit_depth", 8) > 8:
            notices.append(f"{image.info['bit_depth']}-bit {image.format} is read at 8 bits")
    orientation, exif = read_exif(image, notices, turned)
    samples = _orient(samples, orientation)
    if image.format in ("JPEG", "MPO"):  # it may be smaller than the file
        exif = resolution.resized(exif, full if orientation >= 5 else full[::-1], samples.shape)
    return Decoded(
        samples=samples,
        alpha=None if alpha is None else _orient(alpha, orientation),
        exif=exif,
        frames=frames,
        notices=tuple(notices),
    )


def _tags(image: Image.Image) -> Any:
    """The tags of a TIFF; none of another format."""
    return cast(Any, image).tag_v2 if image.format == "TIFF" and hasattr(image, "tag_v2") else {}


# --- 16 bits ----------------------------------------------------------------------------------------------
# Pillow has no mode for 16-bit colour: its unpackers ("RGB;16B") keep the high byte of each sample. Those of
# the other byte order keep the low byte of the same data, so two passes give all 16 bits.


def _rawmode(image: Image.Image) -> str:
    tiles = getattr(image, "tile", None)
    args = tiles[0].args if tiles else None
    return str((args if isinstance(args, tuple) else (args,))[0]) if args else ""


def is_deep_colour(image: ImageFile.ImageFile) -> bool:
    """Whether an image not loaded yet has 16-bit colour, of which `open_low_bytes` gives the second half."""
    rawmode = _rawmode(image)
    if _tags(image).get(284) == 2:  # each channel stored by itself
        if len(rawmode) == 1 and _tags(image).get(258, (8,))[0] > 8:
            raise ValueError("uncompressed separate 16-bit planes are not supported, store them interleaved")
        return False
    return re.fullmatch(r"(RGB|RGBA|RGBX);16[LBN]|LA;16B", rawmode) is not None


def open_low_bytes(stream: BinaryIO, check: Check) -> ImageFile.ImageFile:
    """Open again, set to decode the low byte of every 16-bit sample."""
    image = open_image(stream, check)
    check(image.size)
    rawmode = _rawmode(image)
    order = rawmode[-1] if rawmode[-1] != "N" else "L" if sys.byteorder == "little" else "B"
    # LA;16B has no little-endian brother; as RGBA it is grey high, grey low, alpha high, alpha low
    other = "RGBA" if rawmode == "LA;16B" else rawmode[:-1] + {"L": "B", "B": "L"}[order]
    image.tile = [
        tile._replace(args=(other, *tile.args[1:]) if isinstance(tile.args, tuple) else other) for tile in image.tile
    ]
    return image


def _join_bytes(high: Image.Image, low: Image.Image, rawmode: str) -> tuple[np.ndarray, np.ndarray | None]:
    """uint16 samples (H, W) or (H, W, 3), and alpha (H, W) or None."""
    lows = np.asarray(low)
    if rawmode == "LA;16B":
        la = lows[..., ::2].astype(np.uint16) << 8 | lows[..., 1::2]
        return la[..., 0], la[..., 1]
    samples = np.asarray(high).astype(np.uint16) << 8 | lows
    if samples.shape[-1] == 4:
        return samples[..., :3], samples[..., 3]
    key = high.info.get("transparency")
    return samples, None if key is None else np.any(samples != np.asarray(key), axis=-1)


def _grey16(image: Image.Image, rawmode: str) -> tuple[np.ndarray, np.ndarray | None]:
    grey = np.asarray(image).astype(np.uint16)
    if rawmode == "I;12":
        grey = np.round(grey * (65535 / 4095)).astype(np.uint16)
    if _tags(image).get(262) == 0:  # white is zero
        grey = 65535 - grey
    key = image.info.get("transparency")
    return grey, None if key is None else grey != key


def _with_profile16(
    samples: np.ndarray, alpha: np.ndarray | None, icc: bytes | None, notices: list[str]
) -> tuple[np.ndarray, np.ndarray | None]:
    """uint16 samples in sRGB, and `alpha` untouched. Pillow's colour engine works on 8 bits: samples with a
    profile other than sRGB come out as uint8."""
    if icc:
        coarse = Image.fromarray(((samples.astype(np.uint32) * 255 + 32767) // 65535).astype(np.uint8))
        converted = _to_srgb(coarse, icc, notices)
        if converted is not coarse:
            notices.append("16-bit picture with a colour profile: converted to sRGB at 8 bits")
            return np.asarray(converted), alpha
    return samples, alpha


def _numbers(image: Image.Image, notices: list[str]) -> np.ndarray:
    """Integers of 32 bits, signed ones, and floats, as float32 (H, W) in [0, 1]. Pillow has no mode for some of them
    and gives their bits in another."""
    grey, tags = np.asarray(image), _tags(image)
    if image.mode == "I" and tags.get(258) == (32,) and tags.get(339, (1,)) == (1,):
        grey = grey.view(np.uint32)
    elif image.mode == "L":
        grey = grey.view(np.int8)
    values = _stretch(grey, notices)
    return 1 - values if tags.get(262) == 0 else values  # white is zero


def _stretch(grey: np.ndarray, notices: list[str]) -> np.ndarray:
    """Numbers as float32 (H, W) in [0, 1]: as they are where they fit [0, 1], 16 bits, or, if they have 8, 8 bits."""
    if not np.isfinite(grey).all():
        raise ValueError("holds values that are not finite")
    full = 1.0 if grey.dtype.kind == "f" else 255.0 if grey.dtype.itemsize == 1 else 65535.0
    low, high = min(0.0, float(grey.min())), max(full, float(grey.max()))
    if low < 0 and grey.dtype.kind == "i":  # the whole range of signed numbers, which ends lower
        high = max(0.0, float(grey.max()))
    if low < 0 or high > full:
        notices.append(f"values from {grey.min():g} to {grey.max():g} are scaled to [0, 1]")
    return ((grey.astype(np.float64) - low) / (high - low)).astype(np.float32)


# --- colour, transparency, EXIF ---------------------------------------------------------------------------


def _split_alpha(image: Image.Image) -> tuple[Image.Image, np.ndarray | None]:
    """An 8-bit image without transparency (mode L, RGB, CMYK or LAB), and alpha uint8 (H, W) or None."""
    image = image.convert({"La": "LA", "RGBa": "RGBA"}[image.mode]) if image.mode in ("La", "RGBa") else image
    if image.has_transparency_data:
        rgba = image.convert("RGBA")
        grey = image.mode in ("1", "L", "LA")
        return rgba.convert("L" if grey else "RGB"), np.asarray(rgba.getchannel("A"))
    if image.mode == "1":
        return image.convert("L"), None
    return (image if image.mode in ("L", "RGB", "CMYK", "LAB") else image.convert("RGB")), None


def _to_srgb(image: Image.Image, icc: bytes | None, notices: list[str]) -> Image.Image:
    """Mode L or RGB in sRGB. Relative colorimetric with black point compensation; the image itself where its
    profile is missing, unusable, or sRGB to within one level of 255."""
    profile_mode, srgb = "", ImageCms.createProfile("sRGB")
    try:
        if image.mode == "LAB":
            profile, profile_mode = ImageCms.createProfile("LAB"), "LAB"
        elif icc:
            opened = ImageCms.ImageCmsProfile(io.BytesIO(icc))
            profile, space = opened.profile, opened.profile.xcolor_space.strip()
            profile_mode = {"RGB": "RGB", "GRAY": "L", "CMYK": "CMYK"}.get(space, "")
            if (image.mode, profile_mode) not in (("L", "L"), ("L", "RGB"), ("RGB", "RGB"), ("CMYK", "CMYK")):
                raise ValueError(f"a {space} profile in a picture of mode {image.mode}")
        if profile_mode:
            transform = ImageCms.buildTransform(
                profile,
                srgb,
                profile_mode,
                "RGB",
                ImageCms.Intent.RELATIVE_COLORIMETRIC,
                ImageCms.Flags.BLACKPOINTCOMPENSATION,
            )
            if profile_mode == "RGB" and _is_identity(transform):
                return image
            source = image if image.mode == profile_mode else image.convert(profile_mode)
            return cast(Image.Image, ImageCms.applyTransform(source, transform))
    except (ImageCms.PyCMSError, OSError, ValueError, TypeError) as error:
        notices.append(f"colour profile not used ({reason(error)}): taken as plain {image.mode}")
    if image.mode == "CMYK":
        if not icc:
            notices.append("CMYK without a colour profile: colours are approximate")
        return image.convert("RGB")
    return image


def _is_identity(transform: ImageCms.ImageCmsTransform) -> bool:
    steps = np.arange(0, 256, 15, dtype=np.uint8)
    cube = np.stack(np.meshgrid(steps, steps, steps, indexing="ij"), axis=-1).reshape(len(steps), -1, 3)
    there = ImageCms.applyTransform(Image.fromarray(cube), transform)
    return int(np.abs(np.asarray(there).astype(int) - cube).max()) <= 1


def _orient(array: np.ndarray, orientation: int) -> np.ndarray:
    """Apply EXIF orientation 1-8 (CIPA DC-008, tag 0x0112): a view."""
    if orientation >= 5:
        array = array.swapaxes(0, 1)
    if orientation in (3, 4, 7, 8):
        array = array[::-1]
    return array[:, ::-1] if orientation in (2, 3, 6, 7) else array


# description, make, model, software, date, artist, computer, copyright
_EXIF_KEPT = (270, 271, 272, 305, 306, 315, 316, 33432)
_EXIF_PHOTO, _EXIF_GPS = 0x8769, 0x8825
_EXIF_STALE = (0x927C, 0xA002, 0xA003, 0xA005)  # maker note (holds offsets), width, height, interoperability


def read_exif(image: Image.Image, notices: list[str], turned: bool = False) -> tuple[int, bytes | None]:
    """Orientation 1-8, and the block to write back, with the resolution of the upright picture; what is lost is added
    to `notices`.

    Args:
        image: its tags and its format's own fields are looked at.
        notices: of the picture.
        turned: whether decoding has exchanged height and width already, as Pillow does with TIFF.
    """
    orientation = 1
    try:
        exif = image.getexif()
        found = exif.get(0x0112, 1)
        orientation = int(found) if found in range(1, 9) else 1
        kept = Image.Exif()
        for tag in _EXIF_KEPT:
            if tag in exif:
                kept[tag] = exif[tag]
        photo = {tag: value for tag, value in exif.get_ifd(_EXIF_PHOTO).items() if tag not in _EXIF_STALE}
        if photo:
            kept[_EXIF_PHOTO] = photo | {0xA001: 1}  # colour space: sRGB
        if gps := exif.get_ifd(_EXIF_GPS):
            kept[_EXIF_GPS] = dict(gps)
    except Exception as error:  # damaged EXIF is no reason to refuse a picture
        notices.append(f"EXIF data not kept ({reason(error)})")
        exif, kept = Image.Exif(), Image.Exif()
    dots = resolution.of_image(image, _tags(image) or exif)
    if dots is not None and (turned or orientation >= 5):
        dots = dots[::-1]
    resolution.put(kept, dots)
    try:
        return orientation, kept.tobytes() if len(kept) else None
    except Exception as error:  # a tag of the wrong kind
        notices.append(f"EXIF data not kept ({reason(error)})")
        return orientation, None
