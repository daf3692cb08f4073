import jax
import numpy as np
import pytest

import jaxstyle
from jaxstyle import image
from jaxstyle.methods import adain, inr
from jaxstyle.methods.inr import loop
from jaxstyle.methods.inr.schedule import Refine, Regress, Schedule
from jaxstyle.painting import fit as fit_module
from jaxstyle.painting.fit import fit, fitting
from jaxstyle.painting.picture import default_model, repaint

SPEC = inr.Spec(octaves=2, latent=4, width=8, depth=2, skip=0, bottleneck=4)
REGRESSION = Schedule((Regress(3, points=32),), SPEC, size=16)


def picture(seed, height=20, width=30):
    return np.random.default_rng(seed).random((height, width, 3), np.float32)


def same(a, b):
    return all(np.array_equal(x, y) for x, y in zip(jax.tree.leaves(a), jax.tree.leaves(b), strict=True))


@pytest.fixture(scope="module")
def fitted():
    return fit(picture(0), picture(1), REGRESSION, stylized=picture(2))


def test_it_is_the_fit_of_arrays_with_a_key_made_of_the_seed(fitted):
    encoder, _ = inr.load_encoder()
    wanted = loop.fit(jax.random.key(0), picture(0), picture(1), encoder, REGRESSION, stylized=picture(2))
    assert same(fitted, wanted)
    assert fitted.spec == SPEC and fitted.size == (20, 16)
    assert not same(fitted, fit(picture(0), picture(1), REGRESSION, stylized=picture(2), seed=1))


def test_step_by_step_it_is_the_same_fit(fitted, monkeypatch):
    monkeypatch.setattr(fit_module, "repainted", lambda photo, painting, size: image.resize(picture(2), (16, 20)))
    steps = [
        (done, total, jax.tree.map(np.asarray, params))
        for done, total, params in fitting(picture(0), picture(1), REGRESSION)
    ]
    assert [step[:2] for step in steps] == [(1, 3), (2, 3), (3, 3)]
    assert same(steps[-1][2], fitted) and not same(steps[0][2], fitted)
    with pytest.raises(ValueError, match="steps: expected a whole number of at least 1"):
        next(fitting(picture(0), picture(1), REGRESSION, steps=0))


def test_pictures_come_from_anywhere(fitted, tmp_path):
    for number in range(3):
        image.write(tmp_path / f"{number}.png", picture(number), bits=16)
    files = [tmp_path / "0.png", str(tmp_path / "1.png")]
    found = fit(*files, REGRESSION, stylized=(tmp_path / "2.png").read_bytes())
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, atol=1e-3), found, fitted)


def test_size_steps_and_callback_are_passed_on():
    seen = []
    params = fit(
        picture(0), picture(1), REGRESSION, stylized=picture(2), size=32, steps=2, callback=lambda s, t: seen.append(s)
    )
    assert seen == [1, 2] and params.size == (39, 26)


def test_the_package_offers_it(fitted):
    assert jaxstyle.fit is fit and jaxstyle.render is inr.render and jaxstyle.render_image is inr.render_image
    assert isinstance(fitted, jaxstyle.InrParams)
    assert jaxstyle.render_image(fitted, (5, 4), np.eye(2)).shape == (4, 5, 3)


@pytest.mark.slow
def test_without_one_the_stylized_picture_is_adains():
    content, style = picture(0, 16, 16), picture(1, 16, 16)  # of the schedule's size
    painted = repaint(content, style)
    np.testing.assert_allclose(painted, adain.stylize(default_model().model, content, style), atol=0.01 / 255)
    found, wanted, other = (fit(content, style, REGRESSION, stylized=target) for target in (None, painted, picture(7)))
    assert same(found, wanted) and not same(found, other)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"preset": "slow"}, "preset: expected one of paper, fast, zoom, preview, got 'slow'"),
        ({"size": 4}, "size: expected a whole number of at least 16, got 4"),
        ({"steps": 0}, "steps: expected a whole number of at least 1, got 0"),
        ({"seed": -1}, "seed: expected a whole number from 0 to 4294967295, got -1"),
        ({"seed": 2**32}, "seed: expected a whole number from 0 to 4294967295, got 4294967296"),
        ({"seed": 1.0}, "seed: expected a whole number from 0 to 4294967295, got 1.0"),
        ({"vgg": "vgg19"}, "vgg19: no such weight file; shipped are: "),
        ({"vgg": "adain_vgg16"}, "holds weights of kind 'adain'; needed is 'vgg'"),
        ({"content": "missing.png"}, "missing.png: "),
        ({"stylized": "missing.png", "preset": "fast"}, "missing.png: "),
    ],
    ids=str,
)
def test_bad_arguments_are_named_in_one_line(arguments, message):
    with pytest.raises(ValueError) as error:
        fit(**{"content": picture(0), "style": picture(1), "preset": REGRESSION, **arguments})
    assert message in str(error.value) and "\n" not in str(error.value)


@pytest.mark.slow
def test_refinement_through_the_shipped_vgg_runs():
    schedule = Schedule((Refine(2, lr=1e-3),), SPEC, size=16)
    terms = []
    fit(picture(0), picture(1), schedule, callback=lambda step, found: terms.append(found))
    assert len(terms) == 2 and all(np.isfinite(float(value)) for value in terms[-1].values())


def test_an_option_that_does_not_exist_is_none():
    with pytest.raises(TypeError, match="unexpected keyword argument 'stylised'"):
        fit(picture(0), picture(1), REGRESSION, stylised=picture(2))
