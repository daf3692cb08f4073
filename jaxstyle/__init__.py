"""jaxstyle: neural style transfer in JAX.

``jaxstyle.stylize(photo, painting)`` gives a picture; `jaxstyle.styles` has built-in paintings. `jaxstyle.adain` and
`jaxstyle.style_kernel` are methods on arrays, `jaxstyle.vgg` the features, `jaxstyle.image` the picture files,
`jaxstyle.weights` the shipped weights.
``jaxstyle.fit(photo, painting)`` gives a picture without resolution: ``jaxstyle.render_image`` and ``jaxstyle.render``
turn it into pixels, and `jaxstyle.inr` is that method.
"""

import gc
import importlib
import threading
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxstyle import image, styles, weights
    from jaxstyle.controls.controls import Controls
    from jaxstyle.folders import ray as on_ray
    from jaxstyle.folders.dataset import DatasetReport, stylize_dataset
    from jaxstyle.folders.folder import BatchReport, stylize_folder
    from jaxstyle.folders.transform import StyleTransform
    from jaxstyle.image import ImageError, Picture
    from jaxstyle.methods import adain, generalizable_inr, inr, style_kernel
    from jaxstyle.methods.inr import InrParams, render, render_image
    from jaxstyle.nets import losses, stats, vgg
    from jaxstyle.painting.condition import Conditioning, condition, condition_file
    from jaxstyle.painting.file import Report, stylize_file
    from jaxstyle.painting.fit import fit
    from jaxstyle.painting.fit_file import Fitting, fit_file
    from jaxstyle.painting.fit_style import FittedStyle, fit_style, fit_style_file
    from jaxstyle.painting.picture import stylize
    from jaxstyle.painting.rendering import Rendering, load_picture, render_file
    from jaxstyle.painting.sweep import sweep_file
    from jaxstyle.runtime import cache
    from jaxstyle.video.file import VideoReport, stylize_video
    from jaxstyle.weights import WeightsError

__version__ = "0.1.0"

__all__ = [
    "BatchReport",
    "Conditioning",
    "Controls",
    "DatasetReport",
    "FittedStyle",
    "Fitting",
    "ImageError",
    "InrParams",
    "Picture",
    "Rendering",
    "Report",
    "StyleTransform",
    "VideoReport",
    "WeightsError",
    "adain",
    "cache",
    "condition",
    "condition_file",
    "fit",
    "fit_file",
    "fit_style",
    "fit_style_file",
    "generalizable_inr",
    "image",
    "inr",
    "load_picture",
    "losses",
    "on_ray",
    "render",
    "render_file",
    "render_image",
    "stats",
    "style_kernel",
    "styles",
    "stylize",
    "stylize_dataset",
    "stylize_file",
    "stylize_folder",
    "stylize_video",
    "sweep_file",
    "vgg",
    "weights",
]

_MODULES = {
    "adain": "methods.adain",
    "cache": "runtime.cache",
    "generalizable_inr": "methods.generalizable_inr",
    "image": "image",
    "inr": "methods.inr",
    "losses": "nets.losses",
    "on_ray": "folders.ray",
    "stats": "nets.stats",
    "style_kernel": "methods.style_kernel",
    "styles": "styles",
    "vgg": "nets.vgg",
    "weights": "weights",
}
"""The public names of modules, and where they are."""

_HOMES = {
    "BatchReport": "folders.folder",
    "Conditioning": "painting.condition",
    "Controls": "controls.controls",
    "DatasetReport": "folders.dataset",
    "FittedStyle": "painting.fit_style",
    "Fitting": "painting.fit_file",
    "ImageError": "image",
    "InrParams": "methods.inr",
    "Picture": "image",
    "Rendering": "painting.rendering",
    "Report": "painting.file",
    "StyleTransform": "folders.transform",
    "VideoReport": "video.file",
    "WeightsError": "weights",
    "condition": "painting.condition",
    "condition_file": "painting.condition",
    "fit": "painting.fit",
    "fit_file": "painting.fit_file",
    "fit_style": "painting.fit_style",
    "fit_style_file": "painting.fit_style",
    "load_picture": "painting.rendering",
    "render": "methods.inr",
    "render_file": "painting.rendering",
    "render_image": "methods.inr",
    "stylize": "painting.picture",
    "stylize_dataset": "folders.dataset",
    "stylize_file": "painting.file",
    "stylize_folder": "folders.folder",
    "stylize_video": "video.file",
    "sweep_file": "painting.sweep",
}
"""The other public names, and the modules that they are in."""


_ONE = threading.RLock()
"""Threads import one after the other: where two need what the other one is importing, Python shows them half of it."""


def __getattr__(name: str) -> object:
    """Imports what is asked for when it is first asked for: JAX and Flax take a second."""
    home = _MODULES.get(name) or _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    if home == name:  # a package beside this file, for which our own modules ask while they are being imported
        return importlib.import_module(f"{__name__}.{home}")
    with _ONE:
        collects = gc.isenabled()
        gc.disable()  # there is nothing to free, and looking for it takes a tenth of the time
        try:
            module = importlib.import_module(f"{__name__}.{home}")
        finally:
            if collects:
                gc.enable()
    value = module if name in _MODULES else getattr(module, name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
