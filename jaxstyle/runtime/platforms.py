"""What JAX runs on, and one line where the environment asks for what this machine has not."""

from __future__ import annotations

import os

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
