"""What JAX runs on, and one line where the environment or a caller asks for what this machine has not."""

from __future__ import annotations

import os
from typing import Any

import jax

VARIABLES = ("JAX_PLATFORMS", "JAX_PLATFORM_NAME")
"""The variables of the environment that choose a platform."""


def devices() -> tuple[list[jax.Device], str | None]:
    """The devices that JAX uses, and what is wrong with the platform that was asked for.

    Returns:
      The devices and None; or those that there are without asking, and a line that names the variable, what it says and
      what it may say.

    Raises:
      RuntimeError, AssertionError: there are none though no platform was asked for.
    """
    try:
        return jax.devices(), None
    except (RuntimeError, AssertionError):  # the latter of jax 0.10 for platforms of which it knows but the name
        name = next((name for name in VARIABLES if os.environ.get(name)), None)
        if name is None:
            raise
    jax.config.update("jax_platforms", None)
    jax.config.update("jax_platform_name", "")
    found = jax.devices()
    there = ", ".join(sorted({"cpu", *(device.platform for device in found)}))
    asked = os.environ[name]
    return found, f"{name}={asked}: JAX cannot use this platform here; there are: {there} (or leave {name} unset)"


def checked_devices(given: Any) -> tuple[jax.Device, ...] | None:
    """The argument ``devices`` of whatever takes one; None leaves the choice to that.

    Raises:
      ValueError: there is no device in it, or one of them twice, or something else.
    """
    if given is None:
        return None
    try:
        found = tuple(given)
    except TypeError:  # one device alone, for instance
        found = ()
    if not found or not all(isinstance(device, jax.Device) for device in found):
        shown = " ".join(repr(given).split())[:80]
        raise ValueError(f"devices: expected at least one of jax.devices(), got {shown}")
    if len(set(found)) < len(found):
        raise ValueError("devices: expected at least one of jax.devices(), got one of them twice")
    return found
