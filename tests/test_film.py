import sys
from fractions import Fraction

import numpy as np
import pytest

from jaxstyle.image import ImageError, film
from jaxstyle.image.film import CODECS, Encoder, Setting
from tests import clips
from tests.clips import av

RGB = np.array([200.0, 60.0, 30.0])
COEFFICIENTS = {1: (0.2126, 0.0722), 5: (0.299, 0.114), 9: (0.2627, 0.0593)}


def yuv(matrix: int, full: bool) -> list[int]:
    """Y, Cb and Cr of `RGB` by the definition in ITU-R BT.601, 709 and 2020."""
    red, blue = COEFFICIENTS[matrix]
    r, g, b = RGB / 255
    y = red * r + (1 - red - blue) * g + blue * b
    parts = (y, (b - y) / (2 * (1 - blue)), (r - y) / (2 * (1 - red)))
    scale, offset = ((255, 255, 255), (0, 128, 128)) if full else ((219, 224, 224), (16, 128, 128))
    return [round(s * p + o) for p, s, o in zip(parts, scale, offset, strict=True)]


def flat(values, size=(64, 48), pixels="yuv420p"):
    frame = av.VideoFrame(*size, pixels)
    for plane, value in zip(frame.planes, values, strict=True):
        plane.update(bytes([value]) * plane.buffer_size)
    return frame


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("matrix", [1, 5, 9])
def test_matrix_and_range_are_those_of_the_tags(matrix, full):
    frame = flat(yuv(matrix, full))
    frame.colorspace, frame.color_range = matrix, 2 if full else 1
    found = film.to_rgb(frame)
    assert found.shape == (48, 64, 3) and found.dtype == np.uint8
    np.testing.assert_allclose(found[20, 30], RGB, atol=2)
    frame.color_range = 1 if full else 2
    assert np.abs(film.to_rgb(frame)[20, 30] - RGB).max() > 5  # the tag decides


@pytest.mark.parametrize(("size", "matrix"), [((720, 576), 5), ((1280, 64), 1), ((64, 578), 1)])
def test_without_tags_the_size_decides(size, matrix):
    np.testing.assert_allclose(film.to_rgb(flat(yuv(matrix, False), size))[8, 8], RGB, atol=2)


def test_grey_and_rgb_are_full():
    assert film.to_rgb(flat([255], pixels="gray")).min() == 255
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), RGB, np.uint8))
    frame.color_range = 1
    np.testing.assert_array_equal(film.to_rgb(frame)[3, 3], RGB)


def test_more_than_8_bits_stay():
    frame = av.VideoFrame.from_ndarray(np.full((16, 16, 3), 1000, np.uint16), format="rgb48le")
    found = film.to_rgb(frame)
    assert found.dtype == np.uint16 and (found == 1000).all()


def test_primaries_are_brought_to_those_of_srgb():
    """Red of BT.601 with 525 lines, as colorimetry has it: computed here from XYZ by published matrices."""
    frame = flat([round(16 + 219 * 0.299), round(128 - 224 * 0.299 / 1.772), round(128 + 224 / 2)])  # pure red
    frame.colorspace, frame.color_range, frame.color_primaries = 5, 1, 6
    # SMPTE-C to XYZ and XYZ to sRGB (Lindbloom, D65)
    smpte = np.array(
        [[0.3935891, 0.3652497, 0.1916313], [0.2124132, 0.7010437, 0.0865432], [0.0187423, 0.1119313, 0.9581563]]
    )
    srgb = np.array(
        [[3.2404542, -1.5371385, -0.4985314], [-0.9692660, 1.8760108, 0.0415560], [0.0556434, -0.2040259, 1.0572252]]
    )
    light = np.clip(srgb @ smpte @ [1, 0, 0], 0, 1)
    wanted = np.where(light <= 0.0031308, 12.92 * light, 1.055 * light ** (1 / 2.4) - 0.055) * 255
    np.testing.assert_allclose(film.to_rgb(frame)[20, 30], wanted, atol=4)
    frame.color_primaries = 1
    np.testing.assert_allclose(film.to_rgb(frame)[20, 30], [255, 0, 0], atol=2)


def test_white_stays_white_with_any_primaries():
    for primaries in film._PRIMARIES:
        found = film._converted(
            np.full((2, 2, 3), 255, np.uint8), film._to_bt709(primaries) if primaries != 1 else np.eye(3)
        )
        assert (found >= 254).all()


@pytest.mark.parametrize("turned", [90, 180, 270])
def test_frames_stand_upright(tmp_path, turned):
    frames = [clips.picture(i) for i in range(3)]
    with av.open(str(clips.make(tmp_path / "a.mp4", frames, turned=turned))) as file:
        frame = next(file.decode(video=0))
    turn = film.orientation(frame)
    found = film.upright(film.to_rgb(frame), turn)
    clips.close([found], [np.rot90(frames[0], turned // 90)], 3)
    assert turn[0] == (turned != 180)


def test_mirrored_frames():
    class Mirrored:
        def __init__(self, *matrix):
            self.side_data = {"DISPLAYMATRIX": np.int32(matrix).tobytes()}

    one, pixels = 1 << 16, clips.picture(0)
    a = film.upright(pixels, film.orientation(Mirrored(-one, 0, 0, 0, one, 0, 0, 0, 0)))
    np.testing.assert_array_equal(a, pixels[:, ::-1])
    b = film.upright(pixels, film.orientation(Mirrored(0, one, 0, one, 0, 0, 0, 0, 0)))
    np.testing.assert_array_equal(b, pixels.swapaxes(0, 1))


@pytest.mark.parametrize("codec", CODECS)
def test_what_is_encoded_is_tagged_and_looks_the_same(tmp_path, codec):
    """Odd sides as well; decoded by PyAV with the matrix that the tags say."""
    frames = [clips.picture(i, 75, 101) for i in range(4)]
    setting = Setting(codec, None, 101, 75, Fraction(1, 30000), clips.NTSC)
    coder = Encoder(setting, "a")
    packets = [p for i, pixels in enumerate(frames) for p in coder.encode(pixels, 1001 * i)] + coder.finish()
    assert sorted(p.pts for p in packets) == [0, 1001, 2002, 3003] and packets[0].key
    context = av.CodecContext.create(codec if codec != "av1" else _av1_decoder(), "r")
    context.extradata = coder._context.extradata
    context.width, context.height = setting.coded
    decoded = [f for p in packets for f in context.decode(av.Packet(p.data))] + list(context.decode(None))
    assert len(decoded) == 4
    wide, tall = setting.coded
    assert (decoded[0].width, decoded[0].height) == (wide, tall) == ((101, 75) if codec == "ffv1" else (102, 76))
    lossless = codec == "ffv1"
    first = decoded[0]
    tags = (first.colorspace, first.color_range, first.color_primaries, first.color_trc)
    if not lossless:
        assert tags == (1, 1, 1, 1)
    clips.close([film.to_rgb(f)[:75, :101] for f in decoded], frames, 0 if lossless else 4)


def _av1_decoder():
    for name in ("libdav1d", "libaom-av1"):
        if name in av.codecs_available:
            return name
    return pytest.skip("this PyAV cannot decode AV1")


def test_a_missing_encoder_and_a_missing_package_are_one_line(monkeypatch):
    monkeypatch.setattr(av, "codecs_available", {"libx264", "ffv1"})
    words = r"^a\.mp4: this build of PyAV has no encoder for hevc \(libx265\); it has h264, ffv1$"
    with pytest.raises(ImageError, match=words):
        film.encoder_name("hevc", "a.mp4")
    with pytest.raises(ImageError, match=r"^a\.mp4: unknown codec 'vp8': expected one of h264, hevc, av1, ffv1$"):
        film.encoder_name("vp8", "a.mp4")
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(ImageError, match=r"^a\.mp4: videos need PyAV: pip install 'jaxstyle\[video,flow\]'$"):
        film.library("a.mp4")


def test_what_an_encoder_does_not_take_is_one_line():
    setting = Setting("h264", None, 20_000, 2, Fraction(1, 25), Fraction(25))
    for use in (
        lambda: film.check(setting, "a.mp4"),
        lambda: Encoder(setting, "a.mp4").encode(np.zeros((2, 20_000, 3), np.uint8), 0),
    ):
        with pytest.raises(ImageError, match=r"^a\.mp4: h264 cannot encode 20000 x 2 pixels: ") as caught:
            use()
        assert "\n" not in str(caught.value)
    film.check(setting._replace(width=200), "a.mp4")
