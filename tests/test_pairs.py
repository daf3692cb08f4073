import os
import time

import pytest

from jaxstyle import image
from jaxstyle.controls.controls import Controls
from jaxstyle.folders import pairing
from jaxstyle.folders.pairing import (
    Found,
    Listing,
    PairError,
    choose,
    find,
    make_jobs,
    pair_up,
)
from jaxstyle.painting.names import MOST_BYTES, SUFFIXES, comparable, default_output, result_name
from jaxstyle.runtime import journal


def touch(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def listing(*names, grouped=False, folder="in"):
    return Listing(tuple(Found(f"{folder}/{name}", name) for name in names), grouped, 0)


def names(found):
    return [picture.name for picture in found.pictures]


# ---- finding -----------------------------------------------------------------------------------------------


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
    assert not pairing.is_group("[1].png") and pairing.is_group("[2].png") and pairing.is_group("photos")
    assert not pairing.is_group("missing.png")


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
    os.mkfifo(folder / "photos/pipe.png")
    found = find(["photos"], "content", recursive=True)  # no endless walk; what leads nowhere is not overlooked
    assert names(found) == ["a.png", "b.JPG", "gone.png", "sub/a.png", "sub/deep/c.webp"] and found.ignored == 2


def test_results_are_no_pictures(folder):
    """Neither those of the folder for the results, nor those of other runs in folders in folders."""
    touch(folder / "photos", "sub/a_stylized.png", "out/x_stylized.png", "out/mine.png", "out/deep/y_stylized.png")
    for place, outputs in (("sub", ["a_stylized.png"]), ("out", ["x_stylized.png", "deep/y_stylized.png"])):
        with journal.Manifest(folder / "photos" / place / journal.NAME) as file:
            for output in outputs:
                file.append({"output": output, "status": "writing"})
    expected = ["a.png", "b.JPG", "out/mine.png", "sub/a.png", "sub/deep/c.webp"]
    assert names(find(["photos"], "content", recursive=True)) == expected
    assert names(find(["photos/**/*.*"], "content")) == expected
    assert names(find(["photos/*"], "content", recursive=True)) == expected
    assert "x_stylized.png" in names(find(["photos/out"], "content"))  # named itself
    made = journal.results(folder / "photos/out")
    found = find(["photos/out", "photos/a.png", "photos/out/x_stylized.png"], "content", results=made)
    assert names(found) == ["mine.png", "a.png"] and found.ignored == 3
    with pytest.raises(PairError, match="content: expected at least one picture, got none but results"):
        find(["photos/out/x_stylized.png"], "content", results=made)


def test_ten_thousand_files_are_listed_at_once(tmp_path):
    for i in range(10_000):
        (tmp_path / f"{i}.png").touch()
    start = time.perf_counter()
    found = find([tmp_path], "content", results={"/nowhere"})
    jobs = make_jobs(found, listing("s.png"), Controls())
    assert len(jobs) == 10_000 and time.perf_counter() - start < 5


# ---- who with whom -----------------------------------------------------------------------------------------


def paired(*args, **kwargs):
    return [(content.name, "+".join(style.name for style in styles)) for content, styles in pair_up(*args, **kwargs)]


def test_styles_named_as_files_are_mixed_those_of_folders_are_not():
    contents, styles = listing("a.png", "b.png"), ("x.png", "y.png")
    assert paired(contents, listing(*styles)) == [("a.png", "x.png+y.png"), ("b.png", "x.png+y.png")]
    each = [("a.png", "x.png"), ("a.png", "y.png"), ("b.png", "x.png"), ("b.png", "y.png")]
    assert paired(contents, listing(*styles, grouped=True)) == each
    assert paired(contents, listing(*styles), pair="product") == each


def test_zip():
    assert paired(listing("a.png", "b.png"), listing("x.png", "y.png"), pair="zip") == [
        ("a.png", "x.png"),
        ("b.png", "y.png"),
    ]
    with pytest.raises(PairError, match="pair: zip needs as many styles as contents, found 2 contents and 1 styles"):
        pair_up(listing("a.png", "b.png"), listing("x.png"), pair="zip")
    with pytest.raises(PairError, match="pair: expected one of product, zip, random, got 'all'"):
        pair_up(listing("a.png"), listing("x.png"), pair="all")


def test_random_depends_on_the_seed_and_the_name_alone():
    contents, styles = [f"{i}.png" for i in range(200)], [f"s{i}.png" for i in range(5)]
    drawn = dict(paired(listing(*contents), listing(*styles), pair="random", seed=7))
    assert dict(paired(listing(*contents[::-2]), listing(*styles[::-1], folder="x"), pair="random", seed=7)) == {
        name: drawn[name] for name in contents[::-2]
    }
    assert dict(paired(listing(*contents, folder="moved"), listing(*styles), pair="random", seed=7)) == drawn
    other = dict(paired(listing(*contents), listing(*styles), pair="random", seed=8))
    assert sum(other[name] != drawn[name] for name in contents) > 100
    for style in styles:  # 40 expected, deviation 5.7
        assert 15 < list(drawn.values()).count(style) < 65


def test_several_styles_for_each():
    contents, styles = [f"{i}.png" for i in range(50)], [f"s{i}.png" for i in range(5)]
    two, three = (paired(listing(*contents), listing(*styles), pair="random", seed=7, k=k) for k in (2, 3))
    assert [content for content, _ in two] == [name for name in contents for _ in range(2)]
    assert len(set(two)) == 100 and set(two) < set(three)
    with pytest.raises(ValueError, match="k: expected 0 to 5, got 6"):
        paired(listing("a.png"), listing(*styles), pair="random", k=6)


def test_choose_draws_without_putting_back():
    assert sorted(choose(0, "a", 6, 6)) == list(range(6)) and choose(0, "a", 6, 0) == ()
    assert choose(3, "a", 100, 4)[:2] == choose(3, "a", 100, 2)  # more of them go on from fewer
    counts = [0] * 5
    for i in range(1000):
        first, second = choose(1, str(i), 5, 2)
        assert first != second
        counts[second] += 1
    assert min(counts) > 140  # 200 expected, deviation 12.6
    with pytest.raises(ValueError, match="k: expected 0 to 2, got 3"):
        choose(0, "a", 2, 3)


def test_the_same_twice_is_done_once(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    touch(tmp_path, "in/a.png", "s.png")
    contents = find(["in", "in/a.png", tmp_path / "in/a.png"], "content")
    assert len(contents.pictures) == 3
    assert [job.output for job in make_jobs(contents, find(["s.png"], "style"), Controls())] == ["a_stylized_s.png"]


@pytest.mark.parametrize("fields", [{"weights": (1, 2)}, {"mask": ("a.png", "b.png")}])
def test_nothing_to_mix(fields):
    name = next(iter(fields))
    two, one = listing("x.png", "y.png"), listing("x.png")
    for styles, pair, how in (
        (two, "product", "pair 'product'"),
        (listing("x.png", "y.png", grouped=True), None, "a folder or pattern"),
        (one, None, "one file"),
    ):
        with pytest.raises(PairError, match=f"{name}: 2 are for several styles to be mixed; {how} gives one to each"):
            make_jobs(listing("a.png"), styles, Controls(**fields), pair=pair)
    (job,) = make_jobs(listing("a.png"), two, Controls(**fields))
    assert job.styles == ("in/x.png", "in/y.png") and job.controls == Controls(**fields)


# ---- names -------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "styles", "expected"),
    [
        ("photo.jpg", ["night.png"], "photo_stylized_night.jpg"),
        ("sub/deep/photo.JPG", ["x/night.tar.png"], "sub/deep/photo_stylized_night.tar.JPG"),
        ("photo.gif", ["night.png"], "photo_stylized_night.png"),
        ("photo", ["a.png", "b.png"], "photo_stylized_a_b.png"),
        ("photo.png", ["a", "b", "c", "d", "e"], "photo_stylized_a_b_c_2_more.png"),
        ("12:30/a:b?.png", ["c|d\n.png"], "12_30/a_b__stylized_c_d_.png"),
        (os.fsdecode(b"\xff.png"), ["ä.png"], "__stylized_ä.png"),
    ],
)
def test_result_name(content, styles, expected):
    assert result_name(content, styles) == expected


@pytest.mark.parametrize(
    ("content", "format", "expected"),
    [
        ("a.jpg", "PNG", "a_stylized_s.png"),
        ("a.JPEG", "jpg", "a_stylized_s.jpg"),
        ("in/a.gif", "tiff", "in/a_stylized_s.tif"),
        ("a", "webp", "a_stylized_s.webp"),
    ],
)
def test_the_format_gives_the_suffix(content, format, expected):
    assert result_name(content, ["s.png"], format=format) == expected
    assert default_output(content, "s.png", format).name == expected.rpartition("/")[2]
    with pytest.raises(ValueError, match="format: unknown format 'gif'"):
        result_name(content, ["s.png"], format="gif")


def test_every_format_has_a_suffix_that_means_it():
    assert {image.WRITE_FORMATS[suffix]: suffix for suffix in SUFFIXES.values()} == SUFFIXES
    assert set(SUFFIXES) == set(image.WRITE_FORMATS.values())


def test_long_names_are_cut_and_stay_different():
    found = {result_name(f"{stem * 200}{i}.png", ["é" * 200 + ".png"]) for stem in "aé" for i in range(3)}
    assert len(found) == 6 and all(len(name.encode()) <= MOST_BYTES for name in found)
    assert all(name.endswith(".png") for name in found)


def test_default_output():
    assert str(default_output("a/photo.jpg", "b/night.png")) == "photo_stylized_night.jpg"
    assert str(default_output("photo.png", ["a.png", "x/b.jpg"])) == "photo_stylized_a_b.png"


def outputs(contents, styles=("s.png",), **options):
    found = Listing(tuple(Found(path, name) for path, name in contents), True, 0)
    return [job.output for job in make_jobs(found, listing(*styles, grouped=True), Controls(), **options)]


@pytest.mark.parametrize(
    "contents",
    [
        [("in/a.gif", "a.gif"), ("in/a.png", "a.png")],
        [("in/a.png", "a.png"), ("in/A.png", "A.png")],
        [("in/a:b.png", "a:b.png"), ("in/a?b.png", "a?b.png"), ("in/a_b.png", "a_b.png")],
        [("one/a.png", "a.png"), ("two/a.png", "a.png")],
        [("in/\u00e4.png", "\u00e4.png"), ("in/a\u0308.png", "a\u0308.png")],  # composed and not
        [("in/X:/a.png", "X:/a.png"), ("in/x?/a.png", "x?/a.png")],
    ],
)
def test_names_that_would_be_the_same_are_marked(contents):
    found = outputs(contents)
    assert len({comparable(name) for name in found}) == len(contents)
    assert outputs(contents[::-1]) == found[::-1]  # it does not matter who is first
    plain, *_ = outputs(contents[:1])
    assert all(len(name.encode()) - len(plain.encode()) in range(8, 11) for name in found)  # _12345678


def test_what_differs_is_not_marked():
    assert outputs([("in/a.jpg", "a.jpg"), ("in/a.png", "a.png"), ("in/s/a.png", "s/a.png")]) == [
        "a_stylized_s.jpg",
        "a_stylized_s.png",
        "s/a_stylized_s.png",
    ]
    same = outputs([("in/a.jpg", "a.jpg"), ("in/a.png", "a.png")], format="png")  # in one format they would be
    assert len(set(same)) == 2 and all(name.startswith("a_stylized_s_") and name.endswith(".png") for name in same)


def test_the_contents_own_names():
    found = [("in/s/a.jpg", "s/a.jpg"), ("in/b.gif", "b.gif"), ("in/c:d.png", "c:d.png")]
    assert outputs(found, keep_names=True) == ["s/a.jpg", "b.png", "c_d.png"]
    assert outputs(found[:2], keep_names=True, format="tiff") == ["s/a.tif", "b.tif"]
    with pytest.raises(PairError, match=r"^in/a.png: its result would have the name of that of in/a.gif: a\.png$"):
        outputs([("in/a.gif", "a.gif"), ("in/a.png", "a.png")], keep_names=True)


def test_styles_of_one_name():
    found = outputs([("in/a.png", "a.png")], ["x/s.png", "y/s.png", "t.png"])
    assert len(set(found)) == 3 and found[2] == "a_stylized_t.png" and found[0].startswith("a_stylized_s_")


def test_names_that_are_the_same_even_so_are_refused(monkeypatch):
    monkeypatch.setattr("jaxstyle.painting.names.digest", lambda parts: "0" * 8)
    with pytest.raises(PairError, match=r"^in/A.png: its result would have the name of that of in/a.png: A_styl.*png$"):
        outputs([("in/a.png", "a.png"), ("in/A.png", "A.png")])
