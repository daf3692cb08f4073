"""Steps that have to be finite, and pairs whose style is their content."""

import jax
import jax.numpy as jnp
import numpy as np
import optax

from train import updates


def fresh(tx: optax.GradientTransformation) -> updates.State:
    """Two parts, of which one is trained."""
    params = {name: {"w": jnp.full(2, 5.0)} for name in ("frozen", "trained")}
    average = {"trained": params["trained"]}
    return updates.State(jnp.int32(0), params, average, tx.init(average), jnp.int32(0), jnp.int32(0))


def test_a_step_that_is_not_finite_changes_nothing_and_is_counted() -> None:
    tx = optax.adam(1e-2)
    state = fresh(tx)

    def step(slope: float, loss: float = 1.0) -> dict[str, float]:
        nonlocal state
        grads = {"trained": {"w": jnp.full(2, slope)}}
        trained = {"trained": state.params["trained"]}
        state, terms = updates.advance(state, trained, grads, {"loss": jnp.float32(loss)}, tx=tx, decay=0.9)
        assert all(term.shape == () and term.dtype == jnp.float32 for term in terms.values())
        return {name: float(term) for name, term in terms.items()}

    assert step(3.0) == {"loss": 1.0, "norm": np.float32(18**0.5), "skipped": 0, "in_row": 0}
    before = state
    np.testing.assert_array_equal(before.params["frozen"]["w"], 5)
    np.testing.assert_allclose(before.params["trained"]["w"], 5 - 1e-2, rtol=1e-6)
    np.testing.assert_allclose(before.average["trained"]["w"], 5 - 0.9e-2, rtol=1e-6)
    terms = [step(np.nan), step(np.inf), step(3.0, loss=np.nan)]
    assert [t["skipped"] for t in terms] == [t["in_row"] for t in terms] == [1, 2, 3]
    for name in ("params", "average", "opt"):
        jax.tree.map(np.testing.assert_array_equal, getattr(state, name), getattr(before, name))
    assert int(state.step) == 4
    after = step(3.0)
    assert (after["skipped"], after["in_row"]) == (3, 0)
    assert not np.array_equal(state.params["trained"]["w"], before.params["trained"]["w"])


def test_identity_pairs_are_an_even_share_of_all_rows() -> None:
    whole = {name: np.full((9, 1, 1, 3), value) for name, value in (("content", 1.0), ("style", 2.0))}
    marked = updates.mark_identity(whole, 0, 1 / 3)
    assert marked["identity"].dtype == np.float32 and marked["identity"].sum() == 3
    np.testing.assert_array_equal(marked["style"][:, 0, 0, 0], 2 - marked["identity"])
    part = updates.mark_identity({name: rows[5:] for name, rows in whole.items()}, 5, 1 / 3)
    np.testing.assert_array_equal(part["identity"], marked["identity"][5:])
