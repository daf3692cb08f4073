import errno

import numpy as np
import pytest

from jaxstyle.painting import unfinished
from jaxstyle.painting.unfinished import SUFFIX, Unfinished, UnfinishedError
from jaxstyle.runtime.journal import Journal, JournalError

SHAPE, DTYPE = (4, 5, 3), np.dtype(np.uint8)
TILES = np.random.default_rng(0).integers(0, 256, (3, *SHAPE), np.uint8)
REQUEST = {"alpha": 0.5, "size": (10, 4)}


@pytest.fixture
def begun(tmp_path):
    """A picture of which the tiles 0 and 2 are done."""
    with Unfinished(tmp_path / "a.png", REQUEST, SHAPE, DTYPE) as part:
        assert part.done == 0 and part.read(0) is None
        part.write(2, TILES[2])
        part.write(0, TILES[0])
    return tmp_path / "a.png"


def folder_of(target):
    return target.with_name(target.name + SUFFIX)


def test_tiles_are_there_again(begun):
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        assert part.done == 2
        np.testing.assert_array_equal(part.read(0), TILES[0])
        assert part.read(1) is None
        np.testing.assert_array_equal(part.read(2), TILES[2])
        part.write(1, TILES[1])
        part.keep = False
    assert not folder_of(begun).exists()


def test_samples_of_two_bytes(tmp_path):
    tile = np.arange(60, dtype=np.uint16).reshape(SHAPE) * 1000
    with Unfinished(tmp_path / "a.png", REQUEST, SHAPE, np.dtype(np.uint16)) as part:
        part.write(1, tile)
        np.testing.assert_array_equal(part.read(1), tile)


def test_a_torn_journal_and_damaged_samples_are_found(begun):
    folder = folder_of(begun)
    lines = (folder / "journal.jsonl").read_bytes()
    (folder / "journal.jsonl").write_bytes(lines[:-3])  # the last line, that of tile 0, is not whole
    samples = bytearray((folder / "samples").read_bytes())
    samples[2 * 60 + 7] ^= 1
    (folder / "samples").write_bytes(samples)
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        assert part.done == 1
        assert part.read(0) is None and part.read(2) is None
        assert part.done == 0
        part.write(2, TILES[2])
        np.testing.assert_array_equal(part.read(2), TILES[2])
    (folder / "samples").write_bytes(b"")
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        assert part.read(2) is None


def test_another_request_is_refused_or_discarded(begun):
    other = REQUEST | {"alpha": 0.7}
    begun_otherwise = r"a\.png\.jaxstyle-part: holds a picture begun with alpha = 0\.5, not 0\.7; "
    with pytest.raises(UnfinishedError, match=begun_otherwise):
        Unfinished(begun, other, SHAPE, DTYPE)
    with Unfinished(begun, REQUEST, SHAPE, DTYPE, discard=True) as part:  # the same one is never discarded
        assert part.done == 2
    with Unfinished(begun, other, SHAPE, DTYPE, discard=True) as part:
        assert part.done == 0 and part.read(0) is None
        part.write(0, TILES[0])
    with pytest.raises(UnfinishedError, match=r"alpha = 0\.7, not 0\.5"):
        Unfinished(begun, REQUEST, SHAPE, DTYPE)


def test_another_request_may_take_over_where_nothing_was_done(tmp_path):
    with Unfinished(tmp_path / "a.png", REQUEST, SHAPE, DTYPE):
        pass
    with Unfinished(tmp_path / "a.png", REQUEST | {"alpha": 0.7}, SHAPE, DTYPE) as part:
        assert part.done == 0
        part.write(0, TILES[0])
    with pytest.raises(UnfinishedError, match=r"alpha = 0\.7, not 0\.5"):
        Unfinished(tmp_path / "a.png", REQUEST, SHAPE, DTYPE)


def test_a_folder_that_could_not_be_begun_is_not_left(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Journal, "append", full)
    with pytest.raises(OSError, match="No space"):
        Unfinished(tmp_path / "a.png", REQUEST, SHAPE, DTYPE)
    assert list(tmp_path.iterdir()) == []


def test_what_is_something_else_stays(begun):
    (folder_of(begun) / "thesis.doc").touch()
    with pytest.raises(UnfinishedError, match=r"holds something else than an unfinished picture \(thesis\.doc\)"):
        Unfinished(begun, REQUEST, SHAPE, DTYPE, discard=True)
    assert (folder_of(begun) / "thesis.doc").exists()
    folder_of(begun.with_name("b.png")).touch()
    with pytest.raises(UnfinishedError, match=r"b\.png\.jaxstyle-part: is in the way"):
        Unfinished(begun.with_name("b.png"), REQUEST, SHAPE, DTYPE)


def test_leftovers_of_a_killed_run_go(begun):
    folder = folder_of(begun)
    (folder / ".jaxstyle-1.tmp").write_bytes(b"half a picture")
    (folder / ".jaxstyle-2.tmp" / "files").mkdir(parents=True)
    with Unfinished(begun, REQUEST, SHAPE, DTYPE):
        assert sorted(path.name for path in folder.iterdir()) == ["journal.jsonl", "samples"]


def test_two_processes_do_not_share_a_picture(begun):
    # locks belong to an opened file, so one process stands for two
    with Unfinished(begun, REQUEST, SHAPE, DTYPE), pytest.raises(JournalError, match="another process"):
        Unfinished(begun, REQUEST, SHAPE, DTYPE)
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        assert part.done == 2


def test_a_tile_that_could_not_be_written_does_not_count(begun):
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:

        class Full:
            def seek(self, place):
                pass

            def write(self, data):
                raise OSError(errno.ENOSPC, "No space left on device")

            def close(self):
                pass

        whole, part._file = part._file, Full()
        with pytest.raises(OSError, match="No space"):
            part.write(1, TILES[1])
        part._file = whole
        assert part.read(1) is None and part.done == 2


def test_notes_are_there_again_and_are_no_tiles(begun):
    mean = {"mean": [0.1, 1 / 3, 1e-300], "count": 7}
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        assert part.noted("statistics") is None
        part.note("statistics", {"mean": []})
        part.note("statistics", mean)
        assert part.noted("statistics") == mean and part.done == 2
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        assert part.noted("statistics") == mean and part.noted("0") is None and part.done == 2
    with Unfinished(begun, REQUEST | {"alpha": 0.7}, SHAPE, DTYPE, discard=True) as part:
        assert part.noted("statistics") is None


def test_a_note_alone_is_not_thrown_away(tmp_path):
    with Unfinished(tmp_path / "a.png", REQUEST, SHAPE, DTYPE) as part:
        part.note("statistics", 1.5)
    with pytest.raises(UnfinishedError, match=r"alpha = 0\.5, not 0\.7"):
        Unfinished(tmp_path / "a.png", REQUEST | {"alpha": 0.7}, SHAPE, DTYPE)


def test_a_tile_that_is_written_again_counts_once(begun):
    with Unfinished(begun, REQUEST, SHAPE, DTYPE) as part:
        part.write(0, TILES[1])
        assert part.done == 2
        np.testing.assert_array_equal(part.read(0), TILES[1])


def test_tiles_of_any_kind(tmp_path):
    tile = np.linspace(0, 1, 24, dtype=np.float32).reshape(2, 3, 4)
    for _ in range(2):
        with Unfinished(tmp_path / "a.png", REQUEST, tile.shape, tile.dtype) as part:
            part.write(5, tile)
            np.testing.assert_array_equal(part.read(5), tile)


def test_a_picture_that_is_not_kept_makes_way_for_itself(tmp_path):
    target = tmp_path / "a.png"
    unfinished.clear(target, discard=False)  # there is nothing
    with Unfinished(target, REQUEST, SHAPE, DTYPE) as part:
        part.write(0, np.zeros(SHAPE, DTYPE))
    with pytest.raises(UnfinishedError, match=r"holds a picture begun otherwise; .* overwrite=True"):
        unfinished.clear(target, discard=False)
    assert unfinished.begun(target) == REQUEST | {"size": [10, 4]}
    unfinished.clear(target, discard=True)
    assert list(tmp_path.iterdir()) == []


def test_a_request_that_is_none(tmp_path):
    """A journal that somebody wrote by hand."""
    target = tmp_path / "a.png"
    with Unfinished(target, [1], SHAPE, DTYPE) as part:
        part.write(0, np.zeros(SHAPE, DTYPE))
    assert unfinished.begun(target) is None
    with pytest.raises(UnfinishedError, match="holds a picture begun with"):
        Unfinished(target, REQUEST, SHAPE, DTYPE)
