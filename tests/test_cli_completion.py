"""Scripts that complete the command in a shell; bash is really asked."""

import shutil
import subprocess
import sys

import pytest

from jaxstyle.cli import completion, main


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """``jaxstyle.bash``, a picture and a folder of pictures."""
    folder = tmp_path_factory.mktemp("completion")
    (folder / "jaxstyle.bash").write_text(completion.script(main.parser(), "bash"))
    (folder / "photo.jpg").touch()
    (folder / "phones").mkdir()
    (folder / "phones/painting.jpg").touch()
    return folder


ASK = """
source jaxstyle.bash
complete -p jaxstyle >&2
COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMPREPLY=()
_shtab_jaxstyle
printf '%s\\n' "${COMPREPLY[@]}"
"""

bash = pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash")


@bash
@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (["sty"], {"styles", "stylize", "stylize-dataset"}),
        (["stylize", "--alpha"], {"--alpha", "--alpha-blend", "--alpha-map"}),
        (["stylize", "ph"], {"photo.jpg", "phones"}),
        (["stylize", "photo.jpg", "--style", "phones/"], {"phones/painting.jpg"}),
        (["stylize", "photo.jpg", "--style", "one.jpg", "phones/p"], {"phones/painting.jpg"}),
        (["stylize", "photo.jpg", "--style", "one.jpg", "--preserve-color", ""], {"match", "histogram", "luminance"}),
        (["stylize", "photo.jpg", "--format", "w"], {"webp"}),
        (["stylize", "photo.jpg", "--scratch", "ph"], {"phones"}),
        (["stylize", "photo.jpg", "--gradient", "ph"], {""}),
        (["completion", "t"], {"tcsh"}),
    ],
)
def test_bash_completes(folder, words, expected):
    command = ["bash", "--norc", "-c", ASK, "bash", "jaxstyle", *words]
    found = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60)
    assert found.returncode == 0 and found.stderr.endswith("-F _shtab_jaxstyle jaxstyle\n")
    assert set(found.stdout.split("\n")[:-1]) == expected


@bash
def test_every_verb_is_there(folder):
    found = subprocess.run(
        ["bash", "--norc", "-c", ASK, "bash", "jaxstyle", ""], cwd=folder, capture_output=True, text=True, timeout=60
    )
    (verbs,) = (action.choices for action in main.parser()._actions if isinstance(action.choices, dict))
    assert set(found.stdout.split()) == set(verbs)


@pytest.mark.parametrize("shell", completion.SHELLS)
def test_scripts_are_valid(shell, capsys, tmp_path):
    assert main.main(["completion", shell]) == 0
    script = capsys.readouterr().out
    assert all(word in script for word in ("stylize", "style-size", "histogram")) and "%(" not in script
    if shell != "tcsh" and shutil.which(shell):  # tcsh cannot check without running
        (tmp_path / "script").write_text(script)
        subprocess.run([shell, "-n", tmp_path / "script"], check=True, timeout=60)


def test_a_wrong_shell_and_a_missing_package(capsys, monkeypatch):
    with pytest.raises(SystemExit) as exit_:
        main.main(["completion", "cmd"])
    assert exit_.value.code == 2 and "invalid choice: 'cmd'" in capsys.readouterr().err
    with pytest.raises(ValueError, match="shell: expected one of bash, zsh, fish, tcsh, got 'cmd'"):
        completion.script(main.parser(), "cmd")
    monkeypatch.setitem(sys.modules, "shtab", None)
    assert main.main(["completion", "bash"]) == 2
    captured = capsys.readouterr()
    assert captured.err == "jaxstyle: completion: needs the package shtab (pip install shtab)\n" and not captured.out
