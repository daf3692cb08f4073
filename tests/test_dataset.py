"""Data sets. Most tests put a cheap method in the place of AdaIN: they are about what is around it."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import image, methods
from jaxstyle.cli import main
from jaxstyle.folders import dataset, manifest, workers
from jaxstyle.folders import folder as batch
from jaxstyle.folders.dataset import stylize_dataset
from jaxstyle.folders.dataset_plan import shard_of
from jaxstyle.folders.find import PairError
from jaxstyle.folders.kept import BatchError
from jaxstyle.folders.pairing import choose
from jaxstyle.methods import adain
from jaxstyle.runtime.journal import Journal

RNG = np.random.default_rng(0)
PICTURES = [f"{folder}/{i}.png" for folder in ("cat", "dog", "dog/small") for i in range(4)]


def noise(path, size=(5, 7)):
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    image.write(path, RNG.random((*size, 3), np.float32))


def render(picture, looks, controls, maps, model, *, style=None):
    pixels = (1 - controls.alpha) * picture.pixels + controls.alpha * (picture.pixels / 2 + style / 2)
    return image.Picture(pixels.astype(np.float32))


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Twelve pictures in class folders in ``in``, other files, five styles; a cheap method."""
    monkeypatch.chdir(tmp_path)
    for name in PICTURES:
        noise(f"in/{name}")
    for name in ("cat/0.txt", "dog/small/boxes.json", "classes.csv", ".hidden", "dog/.hidden.txt"):
        Path("in", name).write_text(name)
    for i in range(5):
        noise(f"styles/{'ab'[i % 2]}/s{i}.png")
    monkeypatch.setattr(workers, "render", render)
    monkeypatch.setattr(workers, "encode_styles", lambda looks, *_: np.float32(looks[0].pixels.mean()))
    monkeypatch.setattr(
        batch, "load_model", lambda name: methods.loaded(adain.Model({}, {"place": jax.numpy.zeros(1)}))
    )
    return tmp_path


def contents(folder="out"):
    """{name: bytes} of all files but the manifests."""
    files = [path for path in Path(folder).rglob("*") if path.is_file() and not manifest.is_manifest(path.name)]
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in files}


def done(folder="out"):
    return [record for record in manifest.records(folder) if record["status"] == "done"]


def style_of(name, seed, k=1):
    """The styles of a picture, by the definition of the draw."""
    styles = sorted(f"{'ab'[i % 2]}/s{i}.png" for i in range(5))
    return [styles[i] for i in choose(seed, name, 5, k)]


# ---- what is made ------------------------------------------------------------------------------------------


def test_the_tree_is_kept_and_styles_are_drawn_by_seed_and_name(folder):
    report = stylize_dataset("in", "out", "styles", seed=3, alpha=0.5)
    expected = {name: style_of(name, 3)[0] for name in PICTURES}
    names = {name: f"{name[:-4]}_stylized_{style[2:]}" for name, style in expected.items()}
    assert contents().keys() == set(names.values())
    assert (report.pictures, report.done, report.failed, report.ignored, report.copied) == (12, 12, (), 3, 0)
    assert (report.seed, report.styles_per_image, report.shard) == (3, 1, None)
    assert report.manifest == f"out/{manifest.NAME}"
    for name, style in expected.items():
        mean = image.read(f"styles/{style}").pixels.mean()
        made = image.read(f"out/{names[name]}").pixels
        np.testing.assert_allclose(made, 0.75 * image.read(f"in/{name}").pixels + 0.25 * mean, atol=0.51 / 255)
    assert {record["seed"] for record in done()} == {3} and len(set(expected.values())) > 2


def test_several_styles_for_each_picture(folder):
    report = stylize_dataset("in", "out", ["styles/b", "styles/a"], styles_per_image=3)
    # the order of styles is that of their names, and these are relative to the folder that was named
    styles = sorted(f"s{i}.png" for i in range(5))
    expected = {f"{n[:-4]}_stylized_{styles[i]}" for n in PICTURES for i in choose(0, n, 5, 3)}
    assert contents().keys() == expected and report.done == 36 and report.styles_per_image == 3
    assert stylize_dataset("in", "other", ["styles/b", "styles/a"], styles_per_image=2).done == 24
    assert contents("other").items() <= contents("out").items()
    more = stylize_dataset("in", "other", ["styles/a", "styles/b"], styles_per_image=3)  # grows
    assert (more.done, more.kept) == (12, 24) and contents("other") == contents("out")


def test_names_may_be_kept_and_other_files_copied(folder):
    noise("in/cat/odd.gif.bmp")
    report = stylize_dataset("in", "out", "styles", keep_names=True, copy_other=True, format="png")
    others = {"cat/0.txt", "dog/small/boxes.json", "classes.csv"}
    made = contents()
    assert made.keys() == {*PICTURES, "cat/odd.gif.png", *others}
    assert {name: made[name].decode() for name in others} == {name: name for name in others}
    assert (report.copied, report.ignored) == (3, 0)
    times = Path("in/cat/0.txt").stat().st_mtime_ns, Path("out/cat/0.txt").stat().st_mtime_ns
    assert times[0] == times[1]
    again = stylize_dataset("in", "out", "styles", keep_names=True, copy_other=True, format="png")
    assert (again.kept, again.done, again.copied) == (13, 0, 0)


def test_copies_go_beside_the_results(folder):
    """Also where a folder's name is not allowed everywhere."""
    noise("in/a:b/x.png")
    Path("in/a:b/x:y.txt").write_text("label")
    stylize_dataset("in", "out", "styles", keep_names=True, copy_other=True)
    assert {"a_b/x.png", "a_b/x:y.txt"} <= contents().keys()


def test_another_file_is_not_replaced_unasked_and_manifests_are_not_copied(folder):
    Path("in", "jaxstyle-manifest-old.jsonl").touch()
    Path("out/cat").mkdir(parents=True)
    Path("out/cat/0.txt").write_text("mine")
    with pytest.raises(BatchError, match=r"out/cat/0\.txt: is there already and differs from in/cat/0\.txt"):
        stylize_dataset("in", "out", "styles", copy_other=True)
    assert contents() == {"cat/0.txt": b"mine"}
    assert stylize_dataset("in", "out", "styles", copy_other=True, overwrite=True).copied == 3
    assert contents()["cat/0.txt"] == b"cat/0.txt" and not Path("out", "jaxstyle-manifest-old.jsonl").exists()


def test_what_cannot_be_copied_is_reported(folder, monkeypatch):
    Path("out/classes.csv").mkdir(parents=True)
    report = stylize_dataset("in", "out", "styles", copy_other=True, overwrite=True)
    (failure,) = report.failed
    assert failure.source == "in/classes.csv" and failure.output == "classes.csv"
    assert failure.error.startswith("out/classes.csv: cannot be copied: ") and (report.done, report.copied) == (12, 2)
    assert not list(Path("out").rglob(".*"))

    def full(source, target):
        Path(target).touch()
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(dataset.shutil, "copy2", full)
    report = stylize_dataset("in", "new", "styles", copy_other=True)
    assert report.stopped.endswith("cannot be copied: no space left on device") and report.done == 12
    assert not list(Path("new").rglob(".*"))


# ---- shards ------------------------------------------------------------------------------------------------


def test_a_shard_is_a_hash_of_the_name():
    names = [f"n{i}.png" for i in range(1000)]
    for count in (1, 2, 7):
        found = [shard_of(name, count) for name in names]
        assert set(found) == set(range(1, count + 1))
        assert all(abs(found.count(i) - 1000 / count) < 4 * (1000 / count) ** 0.5 for i in set(found))
    assert [shard_of(name, 4) for name in ("a.png", "cat/1.png", "ä.png")] == [1, 1, 3]  # today and ever


def test_shards_together_are_the_whole(folder):
    options = {"styles_per_image": 2, "seed": 5, "copy_other": True}
    stylize_dataset("in", "whole", "styles", **options)
    parts = []
    for i in (3, 1, 2):
        report = stylize_dataset("in", "out", "styles", shard=(i, 3), **options)
        assert report.shard == f"{i}/3" and report.manifest == f"out/jaxstyle-manifest-{i}-of-3.jsonl"
        assert report.pictures == report.done and report.done % 2 == 0  # all results of a picture
        parts.append(report)
    assert sum(part.done for part in parts) == 24 and sum(part.copied for part in parts) == 3
    assert contents() == contents("whole") and not Path("out", manifest.NAME).exists()


def test_taken_up_again_in_another_number_of_shards(folder):
    made = stylize_dataset("in", "out", "styles", shard=(1, 2)).done
    assert 0 < made < 12
    reports = [stylize_dataset("in", "out", "styles", shard=(i, 3)) for i in (1, 2, 3)]
    assert (sum(r.kept for r in reports), sum(r.done for r in reports)) == (made, 12 - made)
    for shard in (None, (2, 2), (1, 1)):
        report = stylize_dataset("in", "out", "styles", shard=shard)
        assert report.done == 0 and report.kept == report.pictures > 0
    assert len({record["output"] for record in done()}) == len(done()) == 12


def test_the_newest_record_counts(folder):
    """A result that another shard has replaced is not taken for what it was before."""
    before = contents_after(shard=(1, 2))
    stylize_dataset("in", "out", "styles", alpha=0.5, overwrite=True)
    half = contents()
    with pytest.raises(BatchError, match=r"was made with alpha = 0\.5, not 1\.0"):
        stylize_dataset("in", "out", "styles", shard=(1, 2))
    stylize_dataset("in", "out", "styles", shard=(1, 2), overwrite=True)
    assert before.items() <= contents().items() and contents() != half


def contents_after(**options):
    stylize_dataset("in", "out", "styles", **options)
    return contents()


def test_an_empty_shard(folder, capsys):
    empty = next(i for i in range(1, 100) if all(shard_of(name, 99) != i for name in PICTURES))
    report = stylize_dataset("in", "out", "styles", shard=(empty, 99))
    assert (report.pictures, report.done, report.failed) == (0, 0, ()) and contents() == {}
    capsys.readouterr()
    assert main.main(["stylize-dataset", "in", "out", "--styles", "styles", "--shard", f"{empty}/99"]) == 0
    assert capsys.readouterr().err == (
        f"jaxstyle: shard {empty}/99 is empty, which is normal: names decide, and there are few pictures\n"
    )


def test_a_leftover_goes_when_nobody_else_is_at_work(folder):
    stylize_dataset("in", "out", "styles", shard=(1, 2))
    Path("out/cat/.jaxstyle-00.tmp").touch()
    with Journal("out/jaxstyle-manifest-1-of-2.jsonl"):  # the first shard is running
        stylize_dataset("in", "out", "styles", shard=(2, 2))
        assert Path("out/cat/.jaxstyle-00.tmp").exists()
    stylize_dataset("in", "out", "styles", shard=(2, 2))
    assert not Path("out/cat/.jaxstyle-00.tmp").exists()


# ---- mistakes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "options", "error", "words"),
    [
        (("nowhere", "out", "styles"), {}, PairError, "^nowhere: no such folder$"),
        (("in/cat/0.png", "out", "styles"), {}, PairError, r"^in/cat/0\.png: is no folder$"),
        (("in", "out", "nowhere"), {}, PairError, "^nowhere: no such file or folder$"),
        (("in", "in/out", "styles"), {}, BatchError, "^in/out: lies in in"),
        (("in", "out/../in", "styles"), {}, BatchError, r"^out/\.\./in: lies in in"),
        (("in", "out", "styles"), {"styles_per_image": 6}, ValueError, "^styles_per_image: expected 1 to 5, .* got 6$"),
        (("in", "out", "styles"), {"styles_per_image": 0}, ValueError, "^styles_per_image: expected 1 to 5, .* got 0$"),
        (("in", "out", "styles"), {"styles_per_image": 2, "keep_names": True}, ValueError, "^keep_names: 2 results of"),
        (("in", "out", "styles"), {"shard": (0, 2)}, ValueError, r"^shard: expected \(i, n\) .* got \(0, 2\)$"),
        (("in", "out", "styles"), {"shard": (3, 2)}, ValueError, "^shard: "),
        (("in", "out", "styles"), {"weights": (1, 2)}, PairError, "^weights: 2 are for several styles"),
        (("in", "out", "styles"), {"format": "gif"}, image.ImageError, "^format: unknown format 'gif'"),
        (("in", "out", "styles"), {"alpha": 2}, ValueError, "^alpha: expected a number in"),
        (("in", "out", "styles"), {"seed": -1}, ValueError, "^seed: expected a whole number of at least 0, got -1$"),
        (("in", "out", "styles"), {"shards": 2}, TypeError, "^unexpected keyword argument 'shards'$"),
    ],
)
def test_mistakes_are_found_before_any_work(folder, arguments, options, error, words):
    with pytest.raises(error, match=words):
        stylize_dataset(*arguments, **options)
    assert not Path("out").exists() and not Path("in/out").exists()


def test_another_draw_is_refused(folder):
    stylize_dataset("in", "out", "styles", seed=1, styles_per_image=2)
    before = contents()
    for options in ({"seed": 2}, {"seed": 1}, {"seed": 1, "keep_names": True}, {"seed": 2, "shard": (1, 2)}):
        with pytest.raises(BatchError, match=r"^out/.*: was made by another draw \(seed 1, other styles"):
            stylize_dataset("in", "out", "styles", **options)
    assert contents() == before
    os.remove("in/cat/0.png")  # what was made of it may stay
    assert stylize_dataset("in", "out", "styles", seed=1, styles_per_image=2).kept == 22


# ---- the command -------------------------------------------------------------------------------------------


def test_the_command(folder, capsys, monkeypatch):
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")
    arguments = ["stylize-dataset", "in", "out", "--styles", "styles", "--styles-per-image", "2", "--seed", "4"]
    assert main.main([*arguments, "--alpha", "0.5", "--copy-other", "--shard", "2/2"]) == 0
    text = capsys.readouterr().out
    assert text.startswith("out: of ") and " 3 other files copied, in " in text
    assert main.main([*arguments, "--alpha", "0.5", "--shard", "1/2", "--json"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["shard"], report["seed"], report["styles_per_image"], report["copied"]) == ("1/2", 4, 2, 0)
    Path("in/cat/0.png").write_text("broken")
    assert main.main([*arguments, "--alpha", "0.5"]) == 1
    captured = capsys.readouterr()
    assert "22 were there" in captured.out and captured.err.count("in/cat/0.png: ") == 2
    for shard in ("0/2", "3/2", "1", "a/b", "1/2/3", "-1/2"):
        with pytest.raises(SystemExit) as exit_:
            main.main([*arguments, f"--shard={shard}"])
        assert exit_.value.code == 2 and "expected I/N such as 1/4" in capsys.readouterr().err


RUN = """
import sys, time
import numpy as np
from jaxstyle import image, methods
from jaxstyle.cli import main
from jaxstyle.folders import folder, workers
from jaxstyle.methods import adain

def render(picture, looks, controls, maps, model, *, style=None):
    time.sleep(0.02)
    return image.Picture(picture.pixels / 2 + style / 2)

workers.render = render
workers.encode_styles = lambda looks, *_: np.float32(looks[0].pixels.mean())
folder.load_model = lambda name: methods.loaded(adain.Model({}, {}))
sys.exit(main.main(["stylize-dataset", "in", *sys.argv[1:], "--styles", "styles", "--copy-other", "--json"]))
"""


def start(*arguments):
    here = {"PYTHONPATH": str(Path(jaxstyle.__file__).parents[1]), "JAXSTYLE_CACHE_DIR": "off"}
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *arguments], stdout=subprocess.PIPE, text=True, env=os.environ | here
    )


@pytest.mark.slow
def test_two_processes_share_a_folder_and_one_is_killed(folder):
    for i in range(120):
        noise(f"in/more/{i}.png", (90, 90))
    first, second = start("out", "--shard", "1/2"), start("out", "--shard", "2/2")
    while len(list(Path("out").rglob("*.png"))) < 30 and second.poll() is None:
        time.sleep(0.005)
    second.kill()
    assert second.wait() == -signal.SIGKILL and first.wait() == 0
    with first, second, start("out", "--shard", "2/2") as again:
        report = json.loads(again.communicate()[0])
    assert again.returncode == 0 and report["done"] > 0 and report["kept"] > 0 and report["failed"] == []
    with start("whole") as whole:
        assert json.loads(whole.communicate()[0])["done"] == 132
    assert contents("out") == contents("whole")  # byte for byte, labels too, and no temporary file
    finished = [record["output"] for record in done()]
    assert len(finished) == len(set(finished)) == 132
