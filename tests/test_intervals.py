import itertools

import jax
import numpy as np
import pytest

from jaxstyle.metrics.intervals import Interval, bootstrap


def test_the_interval_is_that_of_all_draws(key):
    """Of three values all 27 draws can be made, so that their percentiles are known."""
    values = [0.0, 1.0, 5.0]
    means = [np.mean(draw) for draw in itertools.product(values, repeat=3)]
    found = bootstrap(key, values, draws=20_000, level=0.8)
    assert found.mean == 2.0
    np.testing.assert_allclose(found[1:], np.percentile(means, (10, 90)), atol=0.02)


def test_it_is_that_of_the_normal_distribution_for_many_values(key):
    values = np.random.default_rng(0).normal(3, 2, 400)
    found = bootstrap(key, values)
    half = 1.96 * values.std() / 20
    np.testing.assert_allclose(found, (values.mean(), values.mean() - half, values.mean() + half), atol=0.03)


def test_the_same_key_draws_the_same(key):
    values = np.random.default_rng(0).random(7)
    found, moved = bootstrap(key, values), bootstrap(key, values + 1)
    np.testing.assert_allclose(np.subtract(moved, found), 1)
    assert bootstrap(jax.random.key(1), values) != found


def test_a_single_value_has_no_interval(key):
    assert bootstrap(key, [2.5]) == Interval(2.5, None, None)


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        ([], {}, "values: expected at least one number"),
        ([1, 2], {"draws": 0}, "draws: 0, level: 0.95; expected at least 1"),
        ([1, 2], {"level": 1.0}, "a part between 0 and 1"),
    ],
)
def test_mistakes(key, values, options, words):
    with pytest.raises(ValueError, match=words):
        bootstrap(key, values, **options)
