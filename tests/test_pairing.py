import numpy as np
import pytest

from jaxstyle.controls.controls import Controls
from jaxstyle.folders.find import Found, Listing, PairError, find
from jaxstyle.folders.pairing import check_no_seed, checked_seed, choose, make_jobs, pair_up
from jaxstyle.painting.names import comparable


def listing(*names, grouped=False, folder="in"):
    return Listing(tuple(Found(f"{folder}/{name}", name) for name in names), grouped, 0)


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
    (tmp_path / "in").mkdir()
    for name in ("in/a.png", "s.png"):
        (tmp_path / name).touch()
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


def test_seeds():
    assert checked_seed(None) == checked_seed(0) == 0 and checked_seed(np.int64(7)) == 7
    for wrong in (-1, 1.5, True, "1"):
        with pytest.raises(ValueError, match=r"^seed: expected a whole number of at least 0, got "):
            checked_seed(wrong)
    check_no_seed(None)
    with pytest.raises(ValueError, match=r"^seed: .*drawn at random but by pair"):
        check_no_seed(0)


# ---- names -------------------------------------------------------------------------------------------------


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
