import dataclasses
import math

import pytest

from jaxstyle.methods import inr
from jaxstyle.methods.inr import schedule as inr_schedule
from jaxstyle.methods.inr.schedule import PRESETS, Refine, Regress, Schedule, fitted_size, preset


def test_the_papers_preset_is_the_paper():
    paper = PRESETS["paper"]
    assert paper == Schedule(stages=(Refine(steps=20_000),))
    assert (paper.size, paper.betas, paper.stages[0].lr, paper.stages[0].lr_end) == (256, (0.5, 0.99), 1e-3, None)
    assert (paper.spec, paper.loss) == (inr.Spec(), inr.Loss())
    assert paper.stages[0] == Refine(20_000, shrink=1, alphas=1, gradient_every=1, lr=1e-3)


def test_the_other_presets_minimise_the_papers_objective_at_less_compute():
    def cost(schedule):
        """Points evaluated."""
        each = [s.points if isinstance(s, Regress) else (schedule.size / s.shrink) ** 2 for s in schedule.stages]
        return sum(stage.steps * points for stage, points in zip(schedule.stages, each, strict=True))

    paper, fast, preview = (PRESETS[name] for name in ("paper", "fast", "preview"))
    assert paper.loss == fast.loss == preview.loss and paper.size == fast.size == preview.size
    assert 0 < cost(preview) < cost(fast) < 0.05 * cost(paper)
    assert all(hash(schedule) == hash(dataclasses.replace(schedule)) for schedule in PRESETS.values())


def test_stages_follow_each_other():
    schedule = Schedule((Regress(3), Refine(0), Refine(2, shrink=2), Refine(1)))
    assert schedule.steps == 6 and schedule.starts() == (0, 3, 3, 5)
    assert [schedule.stage_at(step) for step in range(8)] == [0, 0, 0, 2, 2, 3, 3, 3]


@pytest.mark.parametrize("steps", [1, 2, 7, 890, 12_345])
def test_another_number_of_steps_is_shared_out_as_before(steps):
    schedule = PRESETS["fast"]
    changed = schedule.with_steps(steps)
    assert changed.steps == steps
    assert changed.starts()[-1] >= changed.starts()[1] >= 0
    for before, after in zip(schedule.stages, changed.stages, strict=True):
        assert abs(after.steps - steps * before.steps / schedule.steps) <= 1
        assert dataclasses.replace(after, steps=before.steps) == before


def test_a_preset_takes_size_and_steps():
    assert preset("paper") is PRESETS["paper"]
    changed = preset("paper", size=64, steps=10)
    assert (changed.size, changed.steps, changed.spec) == (64, 10, inr.Spec())
    assert preset("fast", size=256) == PRESETS["fast"]
    finest = {16: (8, 16), 100: (8, 16, 32, 64, 100), 512: (8, 16, 32, 64, 128, 256, 512)}  # one cell a pixel
    assert {size: preset("preview", size=size).spec.grids for size in finest} == finest
    assert preset("fast").with_steps(PRESETS["fast"].steps) == PRESETS["fast"]
    with pytest.raises(ValueError, match=r"^preset: expected one of paper, fast, zoom, preview, got 'slow'"):
        preset("slow")


@pytest.mark.parametrize("shape", [(100, 100), (3000, 4000), (640, 427), (50, 400), (9, 16, 3)])
def test_a_picture_keeps_its_shape_and_a_fit_its_cost(shape):
    height, width = fitted_size(shape, 256)
    assert height * width == pytest.approx(256**2, rel=0.02)
    assert width / height == pytest.approx(shape[1] / shape[0], rel=0.02)


def test_no_side_gets_too_short_for_vgg():
    height, width = fitted_size((10, 10_000), 256)
    assert height == inr_schedule.SMALLEST and width == pytest.approx(256 * math.sqrt(1000), rel=0.01)
    assert fitted_size((10_000, 10), 256) == (width, height)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: Regress(-1), "steps: expected a whole number of at least 0, got -1"),
        (lambda: Refine(1.5), "steps: expected a whole number of at least 0, got 1.5"),
        (lambda: Regress(1, points=0), "points: expected a whole number of at least 1, got 0"),
        (lambda: Regress(1, ends=1.5), "ends: expected a share in [0, 1], got 1.5"),
        (lambda: Regress(1, lr=0), "lr: expected a positive number, got 0"),
        (lambda: Refine(1, lr_end=math.inf), "lr_end: expected a positive number, got inf"),
        (lambda: Refine(1, shrink=0.5), "shrink: expected a number of at least 1, got 0.5"),
        (lambda: Refine(1, alphas=0), "alphas: expected a whole number of at least 1, got 0"),
        (lambda: Refine(1, gradient_every=2.5), "gradient_every: expected a whole number of at least 1, got 2.5"),
        (lambda: Schedule(()), "stages: expected at least one, with at least one step"),
        (lambda: Schedule((Refine(0),)), "stages: expected at least one, with at least one step"),
        (lambda: Schedule((Refine(1),), size=8), "size: expected a whole number of at least 16, got 8"),
        (lambda: Schedule((Refine(1),), size=2**40), "size: expected at most 13377, got 1099511627776"),
        (lambda: Schedule((Refine(1),), betas=(0.5, 1)), "betas: expected numbers in [0, 1), got (0.5, 1)"),
        (lambda: preset("fast", steps=0), "steps: expected a whole number of at least 1, got 0"),
        (lambda: preset("fast", size=True), "size: expected a whole number of at least 16, got True"),
    ],
)
def test_a_schedule_that_none_can_be_is_refused(make, message):
    with pytest.raises(ValueError) as error:
        make()
    assert str(error.value) == message


@pytest.mark.parametrize("done", range(7))
def test_the_steps_that_are_left_are_those_of_their_stages(done):
    schedule = Schedule((Regress(2), Refine(0), Refine(3), Regress(1)))
    found = [(stage, step) for stage, steps in schedule.left(done) for step in steps]
    assert found == [(schedule.stage_at(step - 1), step) for step in range(done + 1, 7)]
    assert [stage for stage, _ in schedule.left(done)] == sorted({stage for stage, _ in found})
