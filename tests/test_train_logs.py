"""Metric files, TensorBoard, progress and the finite check."""

import io
import os
from pathlib import Path

import jax.numpy as jnp
import numpy as np
import pytest

from train.logs import EventLog, LogError, MetricLog, NonFiniteError, Progress, check_finite, format_seconds


def values(step: int) -> dict[str, float]:
    return {"loss": float(np.float32(1 / (step + 3))), "style/relu1_1": 0.1 * step}


def write(path: Path, steps: range, resume_step: int | None = None) -> None:
    with MetricLog(path, resume_step=resume_step) as log:
        for step in steps:
            log.write(step, values(step))


def test_metric_log_has_step_first_and_exact_floats(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    write(path, range(1, 4))
    lines = path.read_text().splitlines()
    assert lines[0] == "step,loss,style/relu1_1"
    assert [int(line.split(",")[0]) for line in lines[1:]] == [1, 2, 3]
    for line in lines[1:]:
        step, *found = line.split(",")
        assert [float(x) for x in found] == list(values(int(step)).values())


@pytest.mark.parametrize("torn", [False, True])
@pytest.mark.parametrize("resume_step", [0, 3, 5])
def test_resumed_metric_log_equals_an_uninterrupted_one(tmp_path: Path, resume_step: int, torn: bool) -> None:
    write(tmp_path / "whole.csv", range(1, 9))
    path = tmp_path / "killed.csv"
    write(path, range(1, 6))
    if torn:
        with path.open("a") as file:
            file.write("6,0.1")
    write(path, range(resume_step + 1, 9), resume_step=resume_step)
    assert path.read_bytes() == (tmp_path / "whole.csv").read_bytes()
    assert sorted(os.listdir(tmp_path)) == ["killed.csv", "whole.csv"]


def test_metric_log_torn_in_its_header_or_missing_starts_anew(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    path.write_text("step,lo")
    write(path, range(1, 3), resume_step=0)
    write(tmp_path / "new.csv", range(1, 3), resume_step=0)
    assert path.read_bytes() == (tmp_path / "new.csv").read_bytes()
    write(path, range(5, 6))  # not resumed: the old rows go
    assert path.read_text().count("\n") == 2


def test_metric_log_rows_are_on_disk_at_once(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    log = MetricLog(path)
    log.write(1, values(1))
    assert path.read_text().count("\n") == 2
    log.close()


def test_metric_log_refuses_other_columns_and_other_files(tmp_path: Path) -> None:
    path = tmp_path / "metrics.csv"
    with MetricLog(path) as log:
        log.write(1, values(1))
        with pytest.raises(LogError, match=r"metrics.csv: step 2 has \['loss'\]"):
            log.write(2, {"loss": 1.0})
    for text in ("time,loss\n1,2\n", "step,loss\nx,2\n"):
        path.write_text(text)
        with pytest.raises(LogError, match=r"metrics\.csv"):
            MetricLog(path, resume_step=3)
        assert path.read_text() == text
    with MetricLog(os.devnull, resume_step=3) as log:
        log.write(1, values(1))


def test_event_log_writes_scalars_and_pictures_that_can_be_read_back(tmp_path: Path) -> None:
    pytest.importorskip("tensorboardX")
    from PIL import Image
    from tensorboardX.proto.event_pb2 import Event

    with EventLog(tmp_path, resume_step=4) as log:
        log.scalars(5, {"loss": 0.25})
        log.picture(5, "validation", np.full((3, 4, 3), 0.5, np.float32))
    (file,) = tmp_path.glob("events.out.tfevents.*")
    data, events = file.read_bytes(), []
    while data:  # a TFRecord: length, its checksum, the bytes, their checksum
        length = int.from_bytes(data[:8], "little")
        events.append(Event.FromString(data[12 : 12 + length]))
        data = data[16 + length :]
    found = {value.tag: value for event in events if event.step == 5 for value in event.summary.value}
    assert found["loss"].simple_value == 0.25
    picture = np.asarray(Image.open(io.BytesIO(found["validation"].image.encoded_image_string)))
    np.testing.assert_array_equal(picture, np.full((3, 4, 3), 128))
    with EventLog(None) as log:
        log.scalars(1, {"loss": 1.0})
        log.picture(1, "validation", np.zeros((1, 1, 3)))


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def test_progress_prints_plain_lines_without_a_terminal() -> None:
    stream = io.StringIO()
    with Progress(10, start=4, batch_size=8, stream=stream) as progress:
        for _ in range(4):
            progress.advance()
        assert stream.getvalue() == ""
        progress.report({"loss": 1.23456})
    line = stream.getvalue()
    assert line.startswith("step 8/10  loss 1.235  images/s ")
    assert line.endswith("left 0:00:00\n")
    assert progress.per_second > 0


def test_progress_counts_other_units_and_names_the_part_of_the_run() -> None:
    for stream, words in ((io.StringIO(), "refine 2/2  step 8/10  loss 1.235  steps/s "), (Terminal(), "refine 2/2: ")):
        with Progress(10, start=7, unit="steps", label="refine 2/2", stream=stream) as progress:
            progress.advance()
            progress.report({"loss": 1.23456})
        assert words in stream.getvalue() and "steps/s" in stream.getvalue()


def test_progress_shows_a_bar_on_a_terminal_and_nothing_on_other_processes() -> None:
    pytest.importorskip("tqdm")
    stream, silent = Terminal(), Terminal()
    for out in (stream, silent):
        with Progress(10, start=4, batch_size=8, stream=out, enabled=out is stream) as progress:
            progress.advance()
            progress.report({"loss": 1.23456})
    assert "5/10" in stream.getvalue()
    assert "loss=1.235" in stream.getvalue()
    assert "images/s=" in stream.getvalue()
    assert silent.getvalue() == ""


def test_format_seconds() -> None:
    assert [format_seconds(s) for s in (0.2, 59.7, 3725.0)] == ["0:00:00", "0:01:00", "1:02:05"]


def test_check_finite_gives_floats_or_names_terms_and_step() -> None:
    found = check_finite({"loss": jnp.float32(0.5), "content": np.float64(2)}, 3)
    assert found == {"loss": 0.5, "content": 2.0}
    assert all(type(value) is float for value in found.values())
    with pytest.raises(NonFiniteError, match=r"step 7: style = nan, tv = -inf") as caught:
        check_finite({"loss": 1.0, "style": jnp.float32("nan"), "tv": -np.inf}, 7)
    assert "loss" not in str(caught.value)
