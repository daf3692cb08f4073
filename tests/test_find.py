import glob
import os
import time

import pytest

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.folders import find as module
from jaxstyle.folders import manifest
from jaxstyle.folders.find import Found, Listing, PairError, find
from jaxstyle.folders.pairing import make_jobs
from jaxstyle.runtime.journal import Journal


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(found):
    return [picture.name for picture in found.pictures]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(
        tmp_path / "photos", "b.JPG", "a.png", "notes.txt", ".hidden.png", "sub/a.png", "sub/deep/c.webp", ".git/x.png"
    )
    return tmp_path


def test_a_folder(folder):
    found = find(["photos"], "content")
    others = (Found("photos/notes.txt", "notes.txt", picture=False),)
    assert found == Listing((Found("photos/a.png", "a.png"), Found("photos/b.JPG", "b.JPG")), True, 1, others)
    found = find([folder / "photos"], "content", recursive=True)
    assert names(found) == ["a.png", "b.JPG", "sub/a.png", "sub/deep/c.webp"] and found.ignored == 1
    assert all(os.path.isfile(picture.path) for picture in found.pictures)


def test_patterns(folder):
    assert names(find(["photos/*"], "content")) == ["a.png", "b.JPG"]  # no text, no hidden file, no folder
    assert names(find(["photos/?.png", "photos/[b]*"], "content")) == ["a.png", "b.JPG"]
    found = find(["photos/*/*.png"], "content")
    assert found.pictures == (Found("photos/sub/a.png", "sub/a.png"),) and found.grouped
    assert names(find([str(folder / "photos/**/*.png")], "content")) == ["a.png", "sub/a.png"]
    assert names(find(["photos/*"], "content", recursive=True)) == ["a.png", "b.JPG", "sub/a.png", "sub/deep/c.webp"]
    assert names(find(["photos/**"], "content", recursive=True)) == ["a.png", "b.JPG", "sub/a.png", "sub/deep/c.webp"]


def test_files_are_taken_whatever_their_suffix_and_in_their_order(folder):
    found = find(["photos/sub/a.png", "photos/notes.txt", "photos/a.png"], "content")
    assert names(found) == ["a.png", "notes.txt", "a.png"] and not found.grouped and found.ignored == 0


def test_a_file_whose_name_looks_like_a_pattern(folder):
    touch(folder, "[1].png", "1.png")
    assert find(["[1].png"], "content") == Listing((Found("[1].png", "[1].png"),), False, 0)
    assert not module.is_group("[1].png") and module.is_group("[2].png") and module.is_group("photos")
    assert not module.is_group("missing.png")


def test_signs_in_the_names_of_folders_stand_for_themselves(folder):
    touch(folder, "[2024] a*b/x.png", "[2024] a*b/sub [1]/y.png", "2/z.png", "top/[1]/[2].png", "top/1/2.png")
    inside = "[2024] a*b"
    assert find([f"{inside}/*.png"], "content").pictures == (Found(f"{inside}/x.png", "x.png"),)
    assert names(find([str(folder / inside / "*.png")], "content")) == ["x.png"]
    assert names(find([f"{inside}/**/*.png"], "content")) == ["sub [1]/y.png", "x.png"]
    assert names(find([f"{inside}/*"], "content", recursive=True)) == ["sub [1]/y.png", "x.png"]
    assert names(find([f"./{inside}/sub [1]/?.png"], "content")) == ["y.png"]
    assert names(find(["[23]/*.png"], "content")) == ["2/z.png"]  # there is no such folder: a pattern
    assert names(find(["to[p]/[1]/[2].png"], "content")) == ["top/[1]/[2].png"]  # below a pattern likewise
    assert names(find(["to[p]/[12]/[23].png"], "content")) == ["top/1/2.png"]
    with pytest.raises(PairError, match=r"x\[2\]\.jpg: matches no picture"):
        find([f"{inside}/x[2].jpg"], "content")
    with pytest.raises(PairError, match=r"missing\.jpg: no such file or folder"):
        find([f"{inside}/missing.jpg"], "content")


@pytest.mark.parametrize(
    "pattern",
    [
        "photos/*",
        "photos/*/*.png",
        "photos/**/*.png",
        "**/*.png",
        "**",
        "*/",
        "photos/**/",
        "./photos/[ab]*",
        "*/../*",
    ],
)
def test_patterns_are_those_of_glob(folder, pattern):
    for given in (pattern, f"{folder}/{pattern}"):
        parts = given.split("/")
        found = module._matches("/", parts[1:]) if given.startswith("/") else module._matches("", parts)
        assert sorted(found) == sorted(glob.glob(given, recursive=True))


@pytest.mark.parametrize(
    ("sources", "words"),
    [
        (["missing.png"], "missing.png: no such file or folder"),
        (["photos/*.gif"], r"photos/\*.gif: matches no picture"),
        (["empty"], "empty: holds no picture$"),
        (["photos/sub/deep/.."], None),
        (["upper"], "upper: holds no picture; recursive=True looks into its folders"),
        ([], "style: expected at least one picture, got none"),
    ],
)
def test_nothing_found(folder, sources, words):
    (folder / "empty").mkdir()
    touch(folder, "upper/lower/a.png")
    if words is None:
        assert names(find(sources, "style")) == ["a.png"]
        return
    with pytest.raises(PairError, match=words) as error:
        find(sources, "style")
    assert "\n" not in str(error.value)


def test_links(folder):
    (folder / "photos/sub/up").symlink_to(folder / "photos")
    (folder / "photos/gone.png").symlink_to(folder / "nowhere.png")
    (folder / "photos/self.png").symlink_to("self.png")
    (folder / "photos/self").symlink_to("self")
    os.mkfifo(folder / "photos/pipe.png")
    os.mkfifo(folder / "photos/pipe")
    (folder / "photos/to_pipe.png").symlink_to("pipe.png")
    found = find(["photos"], "content", recursive=True)  # no endless walk; what will fail is not overlooked
    plain = ["a.png", "b.JPG", "gone.png", "pipe.png", "self.png", "sub/a.png", "sub/deep/c.webp", "to_pipe.png"]
    assert names(found) == plain and found.ignored == 3
    assert names(find(["photos/*"], "content")) == [name for name in plain if "/" not in name]


def test_a_folder_of_nothing_but_links_to_themselves(folder):
    (folder / "loops").mkdir()
    (folder / "loops/self").symlink_to("self")
    with pytest.raises(PairError, match=r"loops: holds no picture$"):
        find(["loops"], "content")


def test_results_are_no_pictures(folder):
    """Neither those of the folder for the results, nor those of other runs in folders in folders."""
    touch(folder / "photos", "sub/a_stylized.png", "out/x_stylized.png", "out/mine.png", "out/deep/y_stylized.png")
    for place, outputs in (("sub", ["a_stylized.png"]), ("out", ["x_stylized.png", "deep/y_stylized.png"])):
        with Journal(folder / "photos" / place / manifest.NAME) as file:
            for output in outputs:
                file.append({"output": output, "status": "writing"})
    expected = ["a.png", "b.JPG", "out/mine.png", "sub/a.png", "sub/deep/c.webp"]
    assert names(find(["photos"], "content", recursive=True)) == expected
    assert names(find(["photos/**/*.*"], "content")) == expected
    assert names(find(["photos/*"], "content", recursive=True)) == expected
    assert "x_stylized.png" in names(find(["photos/out"], "content"))  # named itself
    made = manifest.results(folder / "photos/out")
    found = find(["photos/out", "photos/a.png", "photos/out/x_stylized.png"], "content", results=made)
    assert names(found) == ["mine.png", "a.png"] and found.ignored == 3
    with pytest.raises(PairError, match="content: expected at least one picture, got none but results"):
        find(["photos/out/x_stylized.png"], "content", results=made)


def test_ten_thousand_files_are_listed_at_once(tmp_path):
    for i in range(10_000):
        (tmp_path / f"{i}.png").touch()
    style = tmp_path / "0.png"
    start = time.perf_counter()
    found = find([tmp_path], "content", results={"/nowhere"})
    jobs = make_jobs(found, find([style], "style"), Controls())
    assert len(jobs) == 10_000 and time.perf_counter() - start < 5


def test_heic_photos_that_cannot_be_read_are_counted(folder, monkeypatch):
    touch(folder, "photos/x.heic", "photos/y.HEIC", "photos/sub/z.heif", "phone/a.heic")
    monkeypatch.setattr(image, "UNREAD_SUFFIXES", frozenset((".heic", ".heif")))
    monkeypatch.setattr(image, "READ_SUFFIXES", image.READ_SUFFIXES - {".heic", ".heif"})
    words = "photos: passed over 2 HEIC photos: to read them, pip install 'jaxstyle[heif]'"
    for source in ("photos", "photos/*"):
        found = find([source], "content")
        assert names(found) == ["a.png", "b.JPG"] and found.notices == (words.replace("photos:", f"{source}:", 1),)
    assert find(["photos"], "content", recursive=True).notices == (words.replace("2 HEIC", "3 HEIC"),)
    assert find(["photos/a.png"], "content").notices == ()
    for source in ("phone", "phone/*.heic"):
        with pytest.raises(
            PairError, match=r"no picture but 1 HEIC photo: to read them, pip install 'jaxstyle\[heif\]'"
        ):
            find([source], "content")
    monkeypatch.setattr(image, "READ_SUFFIXES", image.READ_SUFFIXES | {".heic", ".heif"})
    monkeypatch.setattr(image, "UNREAD_SUFFIXES", frozenset())
    found = find(["photos"], "content")
    assert names(found) == ["a.png", "b.JPG", "x.heic", "y.HEIC"] and found.notices == ()
