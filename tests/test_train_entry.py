"""How commands start: an interrupt is one line and code 130, also while a trainer is being imported."""

import subprocess
import sys
from pathlib import Path

import pytest

from train import entry

ROOT = Path(__file__).resolve().parent.parent
HEED = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # in the background it is ignored


def run(folder: Path, text: str) -> subprocess.CompletedProcess[str]:
    """A process of its own that enters a module of this text, called ``method``."""
    (folder / "method.py").write_text(text)
    code = f"{HEED}; from train.entry import entry; import sys; sys.path.append({str(folder)!r}); entry('method')"
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)


@pytest.mark.parametrize(
    ("text", "code", "out", "err"),
    [
        ("def main(): return 3", 3, "", ""),
        (
            "import signal\nsignal.raise_signal(signal.SIGINT)\nprint('imported')\nmain = None",
            130,
            "imported\n",
            "interrupted",
        ),
        ("import signal\ndef main(): print(1); signal.raise_signal(signal.SIGINT)", 130, "1\n", "interrupted"),
        ("def main(): print('stopped'); return 130", 130, "stopped\n", ""),
    ],
    ids=["code", "import", "main", "stopped"],
)
def test_the_exit_code_is_mains_and_an_interrupt_is_one_line(
    tmp_path: Path, text: str, code: int, out: str, err: str
) -> None:
    found = run(tmp_path, text)
    assert (found.returncode, found.stdout) == (code, out)
    assert found.stderr == (f"method: {err}\n" if err else "")


@pytest.mark.parametrize(
    "module", ["train.adain", "train.style_kernel", "train.inr_fit", "train.evaluate", "train.evaluate_inr"]
)
def test_an_interrupt_while_a_command_imports_jax(module: str) -> None:
    """It comes with the first import below `entry`, long before there is a ``main``."""
    code = (
        f"{HEED}; import builtins, runpy; before = builtins.__import__\n"
        "def imported(name, *rest, **more):\n"
        "    if name == 'jax':\n"
        "        builtins.__import__ = before\n"
        "        signal.raise_signal(signal.SIGINT)\n"
        "    return before(name, *rest, **more)\n"
        f"builtins.__import__ = imported; runpy.run_module({module!r}, run_name='__main__', alter_sys=True)"
    )
    found = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (found.returncode, found.stdout, found.stderr) == (130, "", f"{module}: interrupted\n")


def test_one_of_several_processes_ends_in_order(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others wait for it."""
    monkeypatch.setattr(entry.interrupts, "deliver_lost", lambda: None)
    monkeypatch.setattr(entry.signal, "signal", lambda *args: None)
    monkeypatch.setattr(entry, "_is_distributed", lambda: True)
    monkeypatch.setattr(entry.importlib, "import_module", lambda name: type("Module", (), {"main": lambda: 130}))
    with pytest.raises(SystemExit) as caught:
        entry.entry("method")
    assert caught.value.code == 130  # by an exception: `os._exit` would have ended the tests
