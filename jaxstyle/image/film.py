"""Frames of videos <-> arrays: colours, orientation and encoders, by PyAV (the extra ``video``), which is imported when
it is first needed.

Frames come in many colour models; what leaves here are sRGB-encoded samples as they would be seen, and what is encoded
is tagged as BT.709.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np

from jaxstyle.image.source import ImageError, reason

HD_SIDES = (1280, 577)
"""Width and height from which on players take untagged frames for BT.709; smaller ones for BT.601."""

_RGB, _UNKNOWN = 0, 2
_MATRICES = {1: 1, 4: 4, 5: 5, 6: 5, 7: 7, 9: 9, 10: 9}  # AVCOL_SPC -> the name that swscale has for it
_MPEG, _JPEG = 1, 2  # limited and full range
_BT709, _BT601 = 1, 6
_WHITE = (0.3127, 0.3290)  # D65
_PRIMARIES = {  # AVCOL_PRI -> x, y of red, green and blue; that of BT.709 is what sRGB has
    1: (0.640, 0.330, 0.300, 0.600, 0.150, 0.060),
    5: (0.640, 0.330, 0.290, 0.600, 0.150, 0.060),
    6: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    7: (0.630, 0.340, 0.310, 0.595, 0.155, 0.070),
    9: (0.708, 0.292, 0.170, 0.797, 0.131, 0.046),
    12: (0.680, 0.320, 0.265, 0.690, 0.150, 0.060),
}
_HDR = {16: "PQ", 18: "HLG"}  # AVCOL_TRC

THREADS = 8
"""Of an encoder; a fixed number, since the bits of H.264 and HEVC depend on it."""


class Codec(NamedTuple):
    """A way to encode.

    Attributes:
      encoders: names, of which the first that is there is used.
      pixels: the pixel format that is encoded.
      crf: the default quality, a smaller number is better; None where it is lossless.
      most: the largest ``crf``.
      options: of the encoder.
    """

    encoders: tuple[str, ...]
    pixels: str
    crf: int | None
    most: int
    options: dict[str, str]


CODECS = {
    # x264's macroblock tree reads memory that it has not written: its bits differ from run to run
    "h264": Codec(("libx264",), "yuv420p", 18, 51, {"preset": "medium", "x264-params": "mbtree=0"}),
    "hevc": Codec(("libx265",), "yuv420p", 20, 51, {"preset": "medium", "x265-params": "log-level=error"}),
    "av1": Codec(("libsvtav1", "libaom-av1", "librav1e"), "yuv420p", 28, 63, {"preset": "7"}),
    "ffv1": Codec(("ffv1",), "bgr0", None, 0, {"level": "3"}),
}


def library(label: str) -> Any:
    """PyAV.

    Args:
      label: what it is needed for, for the message.

    Raises:
      ImageError: it is not installed.
    """
    os.environ.setdefault("SVT_LOG", "1")  # errors alone: SVT-AV1 writes to standard error by itself
    try:
        import av
    except ImportError:
        raise ImageError(label, "videos need PyAV: pip install 'jaxstyle[video,flow]'") from None
    return av


# ---- decoding ----------------------------------------------------------------------------------------------


def to_rgb(frame: Any, size: tuple[int, int] | None = None) -> np.ndarray:
    """The samples of a frame as they are seen: ``(H, W, 3)`` uint8, or uint16 where the frame has more than 8 bits.

    The matrix, the range and the primaries are those of its tags. Where it has none they are guessed as players do:
    BT.709 from `HD_SIDES` on, else BT.601; limited, and full of grey and RGB.

    Args:
      frame: an ``av.VideoFrame``.
      size: (height, width) to which it is scaled, by default its own.

    Differs from a colour-managed player: the transfer curves of BT.601 and BT.709 are taken for that of sRGB, as
    computers do; PQ and HLG too, see `about`.
    """
    name, parts = frame.format.name, frame.format.components
    deep = max((part.bits for part in parts), default=8) > 8
    height, width = size or (frame.height, frame.width)
    grey = name.startswith("gray")
    plain = name.startswith("pal") or frame.format.is_rgb or frame.colorspace == _RGB
    wide = frame.width >= HD_SIDES[0] or frame.height >= HD_SIDES[1]
    matrix = _MATRICES.get(frame.colorspace, 1 if wide else 5)
    full = frame.color_range == _JPEG or name.startswith("yuvj") or (grey and frame.color_range != _MPEG)
    made = frame.reformat(
        width=width,
        height=height,
        format="rgb48le" if deep else "rgb24",
        src_colorspace=matrix,
        dst_colorspace=matrix,
        src_color_range=_JPEG if plain or full else _MPEG,
        dst_color_range=_JPEG,
        interpolation=_scaling("FULL_CHR_H_INT"),
    )
    pixels: np.ndarray = made.to_ndarray()
    convert = None if plain else _to_bt709(frame.color_primaries)
    return pixels if convert is None else _converted(pixels, convert)


def _scaling(chroma: str) -> int:
    """How swscale interpolates: exactly, as far as this PyAV has names for that."""
    from av.video.reformatter import Interpolation

    flags = int(Interpolation.BICUBIC)
    for name in ("ACCURATE_RND", chroma):
        flags |= int(getattr(Interpolation, name, 0))
    return flags


def about(frame: Any) -> tuple[str, ...]:
    """What the user should know of frames like this one."""
    notices = []
    if frame.color_trc in _HDR:
        notices.append(f"its {_HDR[frame.color_trc]} (HDR) is read as if it was standard range: it looks flat")
    if frame.interlaced_frame:
        notices.append("is interlaced: both fields are painted as one picture")
    if any(part.is_alpha for part in frame.format.components):
        notices.append("its transparency is left out")
    return tuple(notices)


def _chromaticities(points: tuple[float, ...]) -> np.ndarray:
    """RGB to XYZ, (3, 3), of primaries with the white of D65."""
    columns = np.array([(x / y, 1, (1 - x - y) / y) for x, y in zip(points[::2], points[1::2], strict=True)]).T
    x, y = _WHITE
    return np.asarray(columns * np.linalg.solve(columns, np.array([x / y, 1, (1 - x - y) / y])))


def _to_bt709(primaries: int) -> np.ndarray | None:
    """(3, 3): linear light of these primaries to that of BT.709; None where they are the same, or not known."""
    if primaries == _BT709 or primaries not in _PRIMARIES:
        return None
    return np.linalg.solve(_chromaticities(_PRIMARIES[_BT709]), _chromaticities(_PRIMARIES[primaries]))


def _converted(pixels: np.ndarray, matrix: np.ndarray) -> np.ndarray:
    """Samples with other primaries, by way of linear light."""
    most = np.iinfo(pixels.dtype).max
    values = np.arange(most + 1) / most
    curve = np.where(values <= 0.04045, values / 12.92, ((values + 0.055) / 1.055) ** 2.4).astype(np.float32)
    light = np.clip(curve[pixels] @ matrix.T.astype(np.float32), 0, 1)
    seen = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** np.float32(1 / 2.4) - 0.055)
    return np.asarray(seen * most + 0.5).astype(pixels.dtype)


def orientation(frame: Any) -> tuple[bool, bool, bool]:
    """How a frame is to be turned: (transposed, then rows from the bottom up, then columns from right to left).

    It is that of the frame's display matrix, to a quarter turn.
    """
    data = frame.side_data.get("DISPLAYMATRIX")
    if data is None:
        return False, False, False
    a, b, _, c, d = np.frombuffer(bytes(data), np.int32)[:5].tolist()  # x' = a x + c y, y' = b x + d y
    if abs(b) + abs(c) > abs(a) + abs(d):
        return True, b < 0, c < 0
    return False, d < 0, a < 0


def upright(pixels: np.ndarray, turn: tuple[bool, bool, bool]) -> np.ndarray:
    """Pixels ``(H, W, 3)`` turned as `orientation` says."""
    transposed, rows, columns = turn
    turned = pixels.swapaxes(0, 1) if transposed else pixels
    return np.ascontiguousarray(turned[:: -1 if rows else 1, :: -1 if columns else 1])


# ---- encoding ----------------------------------------------------------------------------------------------


class Setting(NamedTuple):
    """How frames are encoded.

    Attributes:
      codec: one of `CODECS`.
      crf: quality, or None for the codec's default.
      width, height: of the frames, in pixels.
      time_base: of their times, seconds.
      rate: frames per second on average.
      aspect: width of a pixel by its height.
    """

    codec: str
    crf: int | None
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    aspect: Fraction = Fraction(1)

    @property
    def coded(self) -> tuple[int, int]:
        """(width, height) as they are encoded: even where chroma has half the resolution."""
        odd = 2 if CODECS[self.codec].pixels == "yuv420p" else 1
        return -(-self.width // odd) * odd, -(-self.height // odd) * odd

    @property
    def notices(self) -> tuple[str, ...]:
        """A sentence for the user where the sides had to become even."""
        if self.coded == (self.width, self.height):
            return ()
        sizes = "{} x {} became {} x {}".format(self.width, self.height, *self.coded)
        return (f"{self.codec} wants even sides: {sizes}, its last row or column repeated",)


class Packet(NamedTuple):
    """What an encoder gave; times in the setting's time base.

    Attributes:
      pts: when it is shown.
      key: whether decoding may begin with it.
      data: bytes.
    """

    pts: int
    key: bool
    data: bytes


def encoder_name(codec: str, label: str) -> str:
    """The encoder of a codec that this build of PyAV has.

    Args:
      codec: one of `CODECS`.
      label: the file, for the message.

    Raises:
      ImageError: there is no such codec, or PyAV has no encoder for it.
    """
    av = library(label)
    if codec not in CODECS:
        raise ImageError(label, f"unknown codec {codec!r}: expected one of {', '.join(CODECS)}")
    for name in CODECS[codec].encoders:
        if name in av.codecs_available:
            try:
                av.Codec(name, "w")
            except ValueError:
                continue
            return name
    tried = ", ".join(CODECS[codec].encoders)
    there = ", ".join(name for name in CODECS if {*CODECS[name].encoders} & {*av.codecs_available})
    raise ImageError(label, f"this build of PyAV has no encoder for {codec} ({tried}); it has {there}")


def configure(context: Any, setting: Setting) -> None:
    """Sets up a codec context for encoding."""
    codec = CODECS[setting.codec]
    context.width, context.height = setting.coded
    context.pix_fmt = codec.pixels
    context.time_base, context.framerate = setting.time_base, setting.rate
    context.sample_aspect_ratio = setting.aspect
    crf = codec.crf if setting.crf is None else setting.crf
    context.options = codec.options | ({} if crf is None else {"crf": str(crf)})
    if setting.codec != "av1":
        context.thread_count = THREADS
    context.color_primaries = context.color_trc = _BT709
    context.colorspace = _RGB if codec.pixels == "bgr0" else _BT709
    context.color_range = _JPEG if codec.pixels == "bgr0" else _MPEG


class Encoder:
    """Encodes frames, from a key frame on; its packets stand by themselves."""

    def __init__(self, setting: Setting, label: str) -> None:
        """
        Args:
          setting: how.
          label: the file that it is for, for messages.

        Raises:
          ImageError: there is no such encoder.
        """
        self._av, self._setting, self._label = library(label), setting, label
        self._context = self._av.CodecContext.create(encoder_name(setting.codec, label), "w")
        configure(self._context, setting)
        self._context.flags |= self._av.codec.context.Flags.global_header

    def encode(self, pixels: np.ndarray, pts: int) -> list[Packet]:
        """The packets that are finished by one more frame, uint8 ``(H, W, 3)``; odd sides repeat their last pixels.

        Raises:
          ImageError: the encoder does not take it.
        """
        return list(self._packets(framed(pixels, pts, self._setting)))

    def finish(self) -> list[Packet]:
        """The packets that are left."""
        return list(self._packets(None))

    def _packets(self, frame: Any) -> Iterator[Packet]:
        try:
            for packet in self._context.encode(frame):
                yield Packet(packet.pts, bool(packet.is_keyframe), bytes(packet))
        except self._av.error.FFmpegError as error:
            raise _cannot(self._setting, self._label, error) from error


def check(setting: Setting, label: str) -> None:
    """Checks, before anything is painted, that frames can be encoded so.

    Raises:
      ImageError: there is no such encoder, or it does not take such frames.
    """
    av = library(label)
    context = av.CodecContext.create(encoder_name(setting.codec, label), "w")
    configure(context, setting)
    try:
        context.open()
    except av.error.FFmpegError as error:
        raise _cannot(setting, label, error) from error


def _cannot(setting: Setting, label: str, error: Any) -> ImageError:
    problem = (getattr(error, "strerror", None) or reason(error)).lower()
    return ImageError(label, f"{setting.codec} cannot encode {setting.width} x {setting.height} pixels: {problem}")


def framed(pixels: np.ndarray, pts: int, setting: Setting) -> Any:
    """uint8 ``(H, W, 3)`` as an ``av.VideoFrame`` to be encoded: YUV is BT.709 in limited range. Odd sides repeat their
    last pixels where they must."""
    from av import VideoFrame

    wide, tall = setting.coded
    missing = ((0, tall - pixels.shape[0]), (0, wide - pixels.shape[1]), (0, 0))
    chosen = CODECS[setting.codec].pixels
    made = VideoFrame.from_ndarray(np.pad(pixels, missing, mode="edge")).reformat(
        format=chosen,
        src_colorspace=_BT709,
        dst_colorspace=_BT709,
        src_color_range=_JPEG,
        dst_color_range=_JPEG if chosen == "bgr0" else _MPEG,
        interpolation=_scaling("FULL_CHR_H_INP"),
    )
    made.pict_type = 0  # the encoder chooses
    made.pts, made.time_base = pts, setting.time_base
    return made
