"""The verb ``jaxstyle info``: what is installed, and what it runs on."""

from __future__ import annotations

import argparse
import importlib.metadata
import sys
from typing import Any

from jaxstyle import __version__
from jaxstyle.cli import arguments, messages

HELP = "show versions, devices and shipped weights"
DESCRIPTION = "Shows versions, devices, the cache folder, the shipped weights with their licences and checksums."
EPILOG = """\
example:
  jaxstyle info --json"""
PACKAGES = ("jax", "jaxlib", "flax", "optax", "orbax-checkpoint", "numpy", "pillow", "safetensors")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Adds the verb's arguments."""
    arguments.add_json(parser, "it")


def run(args: argparse.Namespace) -> tuple[dict[str, Any], int]:
    """Does what the flags say; returns what was found, and 0."""
    from jaxstyle import weights
    from jaxstyle.runtime import cache, platforms

    packages = {name: importlib.metadata.version(name) for name in PACKAGES}
    available, problem = platforms.devices()
    devices = [f"{device.platform}:{device.id} {device.device_kind}" for device in available]
    if problem is not None:
        messages.note(problem)
    shipped = [weights.info(name) for name in weights.shipped()]
    python, folder = sys.version.split()[0], cache.folder()
    if not args.json:
        versions = ", ".join(f"{name} {number}" for name, number in packages.items())
        print(f"jaxstyle {__version__}, Python {python}, {versions}")
        print(f"devices: {', '.join(devices)}")
        print(f"compilation cache: {folder or 'off'}")
        for file in shipped:
            print(f"weights {file['name']}: {file['parameters']:,} parameters, {file['bytes'] / 1e6:.1f} MB")
            print(f"  licence {file['licence']}\n  sha256 {file['sha256']}")
    found = {"version": __version__, "python": python, "packages": packages, "devices": devices}
    return {**found, "cache": None if folder is None else str(folder), "weights": shipped}, 0
