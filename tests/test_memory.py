from pathlib import Path

import jax
import numpy as np
import pytest

from jaxstyle.runtime import memory

GIB = 1 << 30


def machine(root, **files):
    for name, text in files.items():
        path = root / name.replace("__", "/")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return root


MEMINFO = f"MemTotal: {16 * GIB >> 10} kB\nMemFree: 1 kB\nMemAvailable: {12 * GIB >> 10} kB\n"


def test_without_control_groups(tmp_path):
    assert memory.host_memory(machine(tmp_path, proc__meminfo=MEMINFO)) == 12 * GIB


def test_second_version_and_the_groups_above(tmp_path):
    machine(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="0::/job/task\n")
    group = tmp_path / "sys/fs/cgroup/job/task"
    machine(group, **{"memory.max": "max\n", "memory.current": f"{GIB}\n"})
    assert memory.host_memory(tmp_path) == 12 * GIB
    machine(group.parent, **{"memory.max": f"{4 * GIB}\n", "memory.current": f"{3 * GIB}\n"})
    assert memory.host_memory(tmp_path) == GIB
    machine(group.parent, **{"memory.stat": f"anon 5\ninactive_file {GIB}\n"})  # the kernel gives it back
    assert memory.host_memory(tmp_path) == 2 * GIB
    machine(group, **{"memory.max": f"{GIB}\n", "memory.current": f"{2 * GIB}\n"})
    assert memory.host_memory(tmp_path) == 0


def test_first_version_where_the_path_is_that_of_the_host(tmp_path):
    machine(tmp_path, proc__meminfo=MEMINFO, proc__self__cgroup="5:cpu:/\n4:memory:/docker/1234\n0::/\n")
    top = tmp_path / "sys/fs/cgroup/memory"
    machine(top, **{"memory.limit_in_bytes": f"{3 * GIB}\n", "memory.usage_in_bytes": f"{GIB}\n"})
    assert memory.host_memory(tmp_path) == 2 * GIB
    machine(top, **{"memory.limit_in_bytes": "9223372036854771712\n"})
    assert memory.host_memory(tmp_path) == 12 * GIB


def test_without_any_of_linux_files(tmp_path):
    found = memory.host_memory(tmp_path)
    assert found is None or found > GIB // 4


@pytest.mark.skipif(not Path("/proc/meminfo").exists(), reason="not Linux")
def test_this_machine():
    total = int(Path("/proc/meminfo").read_text().split()[1]) << 10
    assert 0 < memory.available_memory() <= total


def test_fits():
    assert memory.fits(int(1.6 * GIB), 2 * GIB) and not memory.fits(int(1.6 * GIB) + 1, 2 * GIB)
    assert memory.fits(1 << 18) and not memory.fits(10**15)


def test_picture_fits():
    assert memory.picture_fits(10_000, 4000, 2 * GIB) and not memory.picture_fits(10_000, 5000, 2 * GIB)
    assert memory.picture_fits(16, 16) and not memory.picture_fits(10**6, 10**6)


class Device:
    def __init__(self, stats):
        self.memory_stats = lambda: stats


@pytest.mark.parametrize(("stats", "expected"), [({"bytes_limit": 100, "bytes_in_use": 30}, 70), (None, 5), ({}, 5)])
def test_an_accelerator_has_its_own_memory(monkeypatch, stats, expected):
    monkeypatch.setattr(memory.jax, "local_devices", lambda: [Device(stats)])
    monkeypatch.setattr(memory, "host_memory", lambda: 5)
    assert memory.available_memory() == expected


def test_of_several_devices_the_least_counts(monkeypatch):
    monkeypatch.setattr(memory, "host_memory", lambda: 50)
    own = [Device({"bytes_limit": limit}) for limit in (100, 40, 70)]
    assert memory.available_memory(own) == 40
    assert memory.available_memory([own[0], Device(None)]) == 50
    assert memory.available_memory([Device(None)] * 4) == 12  # they share the host's
    monkeypatch.setattr(memory, "host_memory", lambda: None)
    assert memory.available_memory([own[0], Device(None)]) == 100 and memory.available_memory([Device(None)]) is None


def test_the_device_that_was_chosen_counts():
    first, *_, last = jax.devices()
    seen = []
    for device in (last, "cpu"):
        with jax.default_device(device):
            seen.append(memory._default_device())
    assert seen == [last, first] and memory._default_device() == first != last


def test_peak_memory_is_that_of_now_or_more():
    before = memory.peak_bytes()
    block = np.ones(1 << 24)
    assert memory.peak_bytes() >= max(before, block.nbytes) and before > 1 << 24


def test_peak_memory_without_linux_files(monkeypatch):
    monkeypatch.setattr(memory, "_text", lambda path: "")
    assert memory.peak_bytes() > 1 << 24
