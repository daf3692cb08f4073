import numpy as np
import pytest

from jaxstyle.runtime.scratch import Scratch


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_gives_back_what_was_written(tmp_path, dtype):
    import jax.numpy as jnp

    array = np.random.default_rng(0).random((9, 7, 4)).astype(jnp.dtype(dtype))
    with Scratch(tmp_path, array.shape, array.dtype) as scratch:
        for rows in (slice(5, 9), slice(0, 5)):
            for columns in (slice(0, 3), slice(3, 7)):
                scratch.write(rows.start, columns.start, array[rows, columns])
        assert scratch.usable
        np.testing.assert_array_equal(scratch.read(0, 0, 9, 7), array)
        np.testing.assert_array_equal(scratch.read(4, 2, 3, 5), array[4:7, 2:7])
        assert list(tmp_path.iterdir()) == []  # it has no name
    assert not scratch.usable


def test_is_not_usable_without_a_folder_or_room(tmp_path):
    for folder, shape in ((None, (2, 2, 2)), (tmp_path / "none", (2, 2, 2)), (tmp_path, (1 << 20, 1 << 20, 512))):
        with Scratch(folder, shape, np.dtype(np.float32)) as scratch:
            assert not scratch.usable


def test_a_full_disk_ends_it(tmp_path):
    with Scratch(tmp_path, (4, 4, 2), np.dtype(np.float32)) as scratch:
        scratch._file.close()
        scratch._file = open("/dev/full", "r+b")  # noqa: SIM115
        scratch.write(0, 0, np.zeros((4, 4, 2), np.float32))
        assert not scratch.usable
