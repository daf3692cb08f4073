import os

import pytest

from jaxstyle.image import ImageError
from jaxstyle.image.film import Packet
from jaxstyle.painting.unfinished import UnfinishedError
from jaxstyle.runtime.journal import JournalError
from jaxstyle.video.segments import Segment, Segments, durations


def segment(number, frames=3):
    shown = tuple((100 * number + 10 * i, 10) for i in range(frames))
    return Segment(shown, tuple(Packet(pts, i == 0, bytes([number, i]) * (i + 1)) for i, (pts, _) in enumerate(shown)))


def opened(folder, request=None, **options):
    return Segments(folder / "a.mp4", request or {"codec": "h264"}, **options)


def test_segments_come_back_and_go_on(tmp_path):
    with opened(tmp_path) as part:
        for number in range(2):
            part.write(segment(number), f"memory {number}".encode())
        assert (part.count, part.done) == (2, 6)
    with opened(tmp_path) as part:
        assert (part.count, part.done, part.memory()) == (2, 6, b"memory 1")
        part.write(segment(2), b"memory 2")
        assert list(part.segments()) == [segment(number) for number in range(3)]
        assert part.shown == [pair for number in range(3) for pair in segment(number).shown]
        names = sorted(os.listdir(part.folder))
    assert names == [
        "000000.segment",
        "000001.memory",
        "000001.segment",
        "000002.memory",
        "000002.segment",
        "journal.jsonl",
    ]


@pytest.mark.parametrize("damage", ["cut", "changed", "gone"])
def test_what_follows_a_damaged_segment_is_made_again(tmp_path, damage):
    with opened(tmp_path) as part:
        for number in range(3):
            part.write(segment(number))
        path = os.path.join(part.folder, "000001.segment")
    with open(path, "r+b") as file:
        file.truncate(20) if damage == "cut" else file.write(b"xyz")
    if damage == "gone":
        os.unlink(path)
    with opened(tmp_path) as part:
        assert (part.count, part.done) == (1, 3)
        part.write(segment(1))
        assert list(part.segments()) == [segment(0), segment(1)]


def test_a_damaged_memory_costs_one_segment(tmp_path):
    with opened(tmp_path) as part:
        for number in range(3):
            part.write(segment(number), bytes([number]))
        with open(os.path.join(part.folder, "000002.memory"), "wb") as file:
            file.write(b"?")
    with opened(tmp_path) as part:
        assert part.memory() is None
        part.drop_last()
        assert (part.count, part.done, part.memory()) == (2, 6, b"\x01")


def test_another_request_is_refused_and_may_be_thrown_away(tmp_path):
    with opened(tmp_path) as part:
        part.write(segment(0))
    words = r"a\.mp4\.jaxstyle-part: holds a video begun with codec = \"h264\", not \"av1\"; give the command"
    with pytest.raises(UnfinishedError, match=words):
        opened(tmp_path, {"codec": "av1"})
    with opened(tmp_path, {"codec": "av1"}, discard=True) as part:
        assert part.done == 0 and os.listdir(part.folder) == ["journal.jsonl"]


def test_a_folder_of_something_else_is_left_alone(tmp_path):
    (tmp_path / "a.mp4.jaxstyle-part").mkdir()
    (tmp_path / "a.mp4.jaxstyle-part" / "holiday.jpg").touch()
    with pytest.raises(UnfinishedError, match=r"holds something else than an unfinished video \(holiday\.jpg\)"):
        opened(tmp_path)


def test_two_processes_do_not_work_at_one(tmp_path):
    with opened(tmp_path), pytest.raises(JournalError, match="another process"):
        opened(tmp_path)


def test_what_is_kept_is_said(tmp_path):
    with (
        opened(tmp_path) as part,
        pytest.raises(KeyboardInterrupt, match=r"^interrupted; 3 frames are kept in .*-part"),
        part.written(0, "frames"),
    ):
        part.write(segment(0))
        raise KeyboardInterrupt
    with opened(tmp_path) as part:
        with part.written(0, "frames"):
            pass
        assert not part.keep
    assert not (tmp_path / "a.mp4.jaxstyle-part").exists()


def test_a_full_disk_is_one_line(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with opened(tmp_path) as part:
        monkeypatch.setattr("jaxstyle.video.segments.files.write", full)
        with pytest.raises(ImageError, match=r"-part: cannot be written: no space left on device$"):
            part.write(segment(0))


def test_how_long_frames_are_shown():
    assert durations([(0, 5), (10, 5), (12, 7)], 3) == [10, 2, 7]
    assert durations([(0, 5), (10, 0)], 3) == [10, 3] and durations([], 3) == []
