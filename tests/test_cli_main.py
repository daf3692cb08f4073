"""What is the same for all verbs: help, mistakes in the command line, words of messages, Ctrl-C."""

import argparse
import json
import os
import re
import signal
import subprocess
import sys
import time

import numpy as np
import pytest

import jaxstyle
from jaxstyle import image
from jaxstyle.cli import main, messages


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    """The current folder is empty, and there is no cache in the user's home."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("JAXSTYLE_CACHE_DIR", "off")


@pytest.mark.parametrize("argv", [["--help"], ["stylize", "--help"], ["info", "--help"], ["convert-vgg", "--help"]])
def test_help(argv, capsys):
    with pytest.raises(SystemExit) as exit_:
        main.main(argv)
    assert exit_.value.code == 0
    if argv[1:]:
        assert re.search(r"examples?:\s+jaxstyle ", capsys.readouterr().out)


def test_no_verb_is_a_mistake_that_the_help_answers(capsys):
    """On standard error, where it is no result that another program reads."""
    with pytest.raises(SystemExit) as exit_:
        main.main([])
    captured = capsys.readouterr()
    assert exit_.value.code == 2 and captured.out == ""
    assert captured.err == main.parser().format_help() and "stylize-dataset" in captured.err
    with pytest.raises(SystemExit) as exit_:
        main.main(["paint"])
    captured = capsys.readouterr()
    assert exit_.value.code == 2 and "invalid choice: 'paint'" in captured.err and captured.err.count("\n") == 1


def test_the_package_is_the_command(tmp_path):
    found = subprocess.run([sys.executable, "-m", "jaxstyle", "--version"], capture_output=True, text=True)
    assert (found.returncode, found.stdout, found.stderr) == (0, f"jaxstyle {jaxstyle.__version__}\n", "")


@pytest.mark.parametrize(
    "line",
    [
        "stylize -dash.png --style b.png",
        "stylize a.png --style -dash.png",
        "stylize a.png --style b.png -o -dash.png",
        "sheet -dash.png a.png --styles b.png",
    ],
)
def test_a_file_whose_name_begins_with_a_dash(capsys, line):
    with pytest.raises(SystemExit) as exit_:
        main.main(line.split())
    assert exit_.value.code == 2
    said = "jaxstyle: -dash.png: begins with a dash, as flags do; write ./-dash.png for the file\n"
    assert capsys.readouterr().err == said


def test_what_begins_with_a_dash_may_be_something_else(capsys, tmp_path):
    assert main.parse(["stylize", "./-a.png", "--style", "b", "-oout.png"]).output == "out.png"
    assert main.parse(["stylize", "--style", "b", "--", "-a.png"]).content == ["-a.png"]
    assert main.parse(["render", "a", "-o", "-", "--region", "-.5,0,1,1"]).output == "-"
    (tmp_path / "-out.png").touch()
    (tmp_path / "-photos").mkdir()
    for line in ("stylize a --style b -out.png", "stylize -photos --style b"):  # as `*` of a shell gives it
        with pytest.raises(SystemExit):
            main.parse(line.split())
        assert "begins with a dash" in capsys.readouterr().err
    for line in ("stylize a --style b --alpha -.5", "stylize a --style b -x"):
        with pytest.raises(SystemExit):
            main.parse(line.split())
        assert "begins with a dash" not in capsys.readouterr().err


# ---- messages ----------------------------------------------------------------------------------------------


STYLIZE = "stylize content --style b"


@pytest.mark.parametrize(
    ("line", "message", "expected"),
    [
        (STYLIZE, "style_size: expected a whole number", "--style-size: expected a whole number"),
        (STYLIZE, "output: a file is needed", "--output: a file is needed"),
        (STYLIZE, "a.png: exists already: or give overwrite=True", "a.png: exists already: or give --overwrite"),
        (STYLIZE, "a.png: more than 1.0 (max_pixels = 9)", "a.png: more than 1.0 (--max-pixels 9)"),
        (STYLIZE, "a: was made with style_size = 9, not 8", "a: was made with style_size = 9, not 8"),
        (STYLIZE, "overwrite_me.png: no such file", "overwrite_me.png: no such file"),
        (STYLIZE, "a/max_pixels: no such file", "a/max_pixels: no such file"),
        (STYLIZE, "keep_names: of another verb", "keep_names: of another verb"),
        (STYLIZE, "content: no such file", "content: no such file"),
        ("stylize a --style style", "style: no such file", "style: no such file"),
        ("stylize-dataset a b --styles c", "styles_per_image: 3", "--styles-per-image: 3"),
        ("stylize-dataset a b --styles c", "styles: none", "--styles: none"),
        ("stylize-dataset a b --styles c", "output: no file", "OUT: no file"),
        ("sheet a --styles c", "photos: none can be read", "PHOTO: none can be read"),
        ("render a -o b", "mask: needs mask_alpha, or alpha_map)", "--mask: needs --mask-alpha, or --alpha-map)"),
    ],
)
def test_arguments_are_called_as_the_command_calls_them(line, message, expected):
    assert messages.in_flags(message, main.parse(line.split())) == expected


@pytest.mark.parametrize(("cause", "code"), [(None, 2), (OSError(28, "full"), 1)])
def test_messages_of_all_verbs_go_that_way(monkeypatch, capsys, cause, code):
    """Exit codes stay: 2, or 1 where the system is the cause."""

    class Failing:
        @staticmethod
        def run(args):
            raise ValueError("style_size: is\nnothing") from cause

    monkeypatch.setitem(main.VERBS, "stylize", Failing)
    monkeypatch.setattr(main, "parse", lambda argv: argparse.Namespace(verb="stylize", json=False, parser=parser))
    parser = argparse.ArgumentParser()
    parser.add_argument("--style-size")
    assert main.main([]) == code
    assert capsys.readouterr().err == "jaxstyle: --style-size: is nothing\n"


def test_a_file_is_not_replaced_unless_that_is_said(capsys, tmp_path):
    for name in ("photo.png", "painting.png", "out.png"):
        image.write(name, np.zeros((9, 9, 3), np.float32))
    expected = "jaxstyle: out.png: exists already: choose another name, or give --overwrite\n"
    for line in ("stylize photo.png --style painting.png", "sheet photo.png --styles painting.png"):
        assert main.main([*line.split(), "-o", "out.png"]) == 2
        assert capsys.readouterr().err == expected
    (tmp_path / "photos/deep").mkdir(parents=True)
    assert main.main(["sheet", "photos", "--styles", "painting.png"]) == 2
    assert capsys.readouterr().err == "jaxstyle: photos: holds no picture; --recursive looks into its folders\n"
    assert main.main(["stylize", "photo.png", "--style", "painting.png", "--max-pixels", "80"]) == 2
    assert capsys.readouterr().err.endswith(" more than the limit of 0.0 (--max-pixels 80)\n")


# ---- one verb that is short --------------------------------------------------------------------------------


def test_info(capsys):
    assert main.main(["info"]) == 0
    text = capsys.readouterr().out
    for word in ("jaxstyle 0.", "jax ", "cpu:0", "adain_vgg16", "vgg16", "licence", "sha256"):
        assert word in text
    assert main.main(["info", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert {file["name"] for file in found["weights"]} == set(jaxstyle.weights.shipped())
    assert found["version"] == jaxstyle.__version__ and found["cache"] is None


# ---- Ctrl-C ------------------------------------------------------------------------------------------------


@pytest.mark.slow
@pytest.mark.parametrize("seconds", [0.1, 0.4, 0.8, 1.4, 1.8, 2.2, 2.6, 3.0])  # it imports, traces, compiles, paints
def test_interrupting_leaves_nothing(seconds):
    image.write("large.png", np.zeros((900, 1200, 3), np.float32))
    image.write("painting.png", np.random.default_rng(1).random((19, 19, 3), np.float32))
    heed = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # in the background it is ignored
    command = [sys.executable, "-c", f"{heed}; from jaxstyle.cli.main import entry; print(flush=True); entry()"]
    command += ["stylize", "large.png", "--style", "painting.png", "-o", "o.png"]
    before = set(os.listdir())
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        process.stdout.readline()
        time.sleep(seconds)
        process.send_signal(signal.SIGINT)
        _, error = process.communicate(timeout=120)
    assert (process.returncode, error) == (130, "jaxstyle: interrupted\n")
    assert set(os.listdir()) == before


def test_an_interrupted_command_line_is_told(monkeypatch, capsys):
    def interrupted():
        raise KeyboardInterrupt

    class Exit(Exception):
        pass

    def leave(code):
        raise Exit(code)

    monkeypatch.setattr(sys, "unraisablehook", sys.unraisablehook)
    monkeypatch.setattr(main, "main", interrupted)
    monkeypatch.setattr(os, "_exit", leave)
    with pytest.raises(Exit, match=r"^130$"):
        main.entry()
    assert capsys.readouterr().err == "jaxstyle: interrupted\n"


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stylise a.png", "jaxstyle: stylise: no such verb; did you mean stylize? (see jaxstyle --help)\n"),
        (
            "stylize a.png --style b.png --preserve-colur match",
            "jaxstyle stylize: unrecognized arguments: --preserve-colur match; did you mean --preserve-colour? "
            "(see jaxstyle stylize --help)\n",
        ),
        (
            "stylize --style b.png a.png",
            "jaxstyle stylize: the following arguments are required: CONTENT, before --style, which takes all that "
            "follows (see jaxstyle stylize --help)\n",
        ),
        (
            "stylize a.png --style b.png --method inr",
            "jaxstyle stylize: argument --method: expected one of adain, style_kernel, generalizable_inr, got 'inr'; "
            "that is jaxstyle fit (see jaxstyle stylize --help)\n",
        ),
    ],
)
def test_what_was_meant_is_said(capsys, line, words):
    with pytest.raises(SystemExit) as stopped:
        main.main(line.split())
    assert (stopped.value.code, capsys.readouterr().err) == (2, words)


def test_colour_may_be_spelt_both_ways():
    for flag in ("--preserve-color", "--preserve-colour", "--preserve_colour"):
        args = main.parse(["stylize", "a.png", "--style", "b.png", flag, "match"])
        assert args.preserve_color == "match"
