"""Which pictures are evaluated."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from train import pairs
from train.loader import validation_pairs
from train.sources import open_source, split


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[str, str]:
    root = tmp_path_factory.mktemp("sets")
    for name in ("content", "style"):
        (root / name).mkdir()
        for i in range(9):
            noise = np.random.default_rng([i, len(name)]).integers(0, 256, (24 + i, 30, 3), dtype=np.uint8)
            Image.fromarray(noise).save(root / name / f"{i}.png")
        (root / name / "broken.jpg").write_text("not a picture")
    return str(root / "content"), str(root / "style")


def test_held_out_pairs_are_those_that_the_trainer_validates_on(folders: tuple[str, str]) -> None:
    count = 4
    for seed in (0, 1):
        found = pairs.held_out(*folders, holdout=6, seed=seed, size=16, count=count)
        sources = [open_source(folder) for folder in folders]
        indices = [split(source, 6, seed)[1] for source in sources]
        expected = validation_pairs(sources[0], indices[0], sources[1], indices[1], count=count, crop=16)
        np.testing.assert_array_equal(np.stack([pair.content for pair in found]), expected["content"])
        np.testing.assert_array_equal(np.stack([pair.style for pair in found]), expected["style"])
        names = [sources[0].name(i) for i in indices[0] if sources[0].name(i) != "broken.jpg"]
        assert [pair.name.partition(" + ")[0] for pair in found] == names[:count]


def test_as_many_as_a_training_holds_out_by_itself(folders: tuple[str, str]) -> None:
    held = min(len(open_source(folder)) for folder in folders) // 10
    assert held == 1
    with pytest.raises(pairs.PairsError, match="pairs: 2; only 1 of each set are held out"):
        pairs.held_out(*folders, holdout=None, seed=0, size=16, count=2)
    found, expected = (pairs.held_out(*folders, holdout=given, seed=0, size=16, count=1) for given in (None, 1))
    assert found[0].fingerprint == expected[0].fingerprint


def test_too_few_readable_pictures(folders: tuple[str, str]) -> None:
    with pytest.raises(pairs.PairsError, match=r"content: 9 of the 9 pictures|content: 8 of the 9 pictures"):
        pairs.held_out(*folders, holdout=9, seed=0, size=16, count=10)


def test_pairs_of_a_file(folders: tuple[str, str], tmp_path: Path) -> None:
    photo, painting = f"{folders[0]}/3.png", f"{folders[1]}/4.png"
    file = tmp_path / "pairs.tsv"
    file.write_text(f"{photo}\t{painting}\tout.png\n\n{painting}\t{photo}\n")
    found = pairs.squares(file, size=16, count=9)
    assert [p.name for p in found] == [f"{photo} + {painting}", f"{painting} + {photo}"]
    assert len(pairs.squares(file, size=16, count=1)) == 1
    np.testing.assert_array_equal(found[0].content, found[1].style)
    assert found[0].fingerprint == found[0]._replace(name="x").fingerprint != found[1].fingerprint
    pixels = np.asarray(Image.open(photo)) / np.float32(255)  # 27 x 30
    np.testing.assert_array_equal(found[0].content, pairs.square(pixels, 16))
    np.testing.assert_array_equal(pairs.square(pixels, 27), pixels[:, 1:28])


def test_the_mark_that_some_editors_begin_a_file_with_is_no_part_of_a_name(tmp_path: Path) -> None:
    file = tmp_path / "pairs.tsv"
    file.write_bytes(b"\xef\xbb\xbfa.png\tb.png\n")
    assert list(pairs.lines(file)) == [(1, "a.png", "b.png")]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "holds no pairs"),
        ("a.png\n", r"line 1 is 'a.png'; expected PHOTO tab PAINTING"),
        ("\na.png\t\n", r"line 2 is 'a.png\\t'; expected PHOTO tab PAINTING"),
        ("\na.png\tb.png\n", r"pairs\.tsv: line 2: a\.png: no such file"),
        ("NARROW\tb.png\n", r"pairs\.tsv: line 1: .*narrow\.png: 400x4 pixels; expected sides within"),
        (None, r"pairs\.tsv: cannot be read: No such file or directory$"),
        (b"\xff\tb.png\n", r"pairs\.tsv: cannot be read: 'utf-8' codec can't decode"),
    ],
)
def test_files_that_hold_no_pairs(tmp_path: Path, text: str | bytes | None, message: str) -> None:
    file = tmp_path / "pairs.tsv"
    Image.new("L", (400, 4)).save(tmp_path / "narrow.png")
    if text is not None:
        file.write_bytes(text if isinstance(text, bytes) else text.replace("NARROW", f"{tmp_path}/narrow.png").encode())
    with pytest.raises(ValueError, match=message) as found:
        pairs.squares(file, size=16, count=2)
    assert "\n" not in str(found.value)


def test_a_pair_is_evaluated_once(folders: tuple[str, str], tmp_path: Path) -> None:
    file, line = tmp_path / "pairs.tsv", f"{folders[0]}/3.png\t{folders[1]}/4.png"
    file.write_text(f"{line}\n\n{line}\tsecond.png\n")
    with pytest.raises(pairs.PairsError, match=r"pairs\.tsv: line 3: the pair of line 1 again$"):
        pairs.squares(file, size=16, count=2)
    assert len(pairs.squares(file, size=16, count=1)) == 1
