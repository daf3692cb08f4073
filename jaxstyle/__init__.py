"""jaxstyle: neural style transfer in JAX.

``jaxstyle.stylize(photo, painting)`` gives a picture; `jaxstyle.adain` is the method on arrays, `jaxstyle.vgg` the
features, `jaxstyle.image` the picture files, `jaxstyle.weights` the shipped weights. ``jaxstyle.fit(photo, painting)``
gives a picture without resolution: ``jaxstyle.render_image`` and ``jaxstyle.render`` turn it into pixels, and
`jaxstyle.inr` is that method.
"""

import importlib
import sys
import types
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from jaxstyle import adain, cache, image, inr, losses, stats, vgg, weights
    from jaxstyle.batch import BatchReport, stylize_folder
    from jaxstyle.controls import Controls
    from jaxstyle.dataset import DatasetReport, stylize_dataset
    from jaxstyle.fitting import fit
    from jaxstyle.image import ImageError, Picture
    from jaxstyle.inr import InrParams, render, render_image
    from jaxstyle.inr_file import Rendering, render_file
    from jaxstyle.inr_sweep import sweep_file
    from jaxstyle.stylize import Report, stylize, stylize_file
    from jaxstyle.transform import StyleTransform
    from jaxstyle.weights import WeightsError

__version__ = "0.1.0"

__all__ = [
    "BatchReport",
    "Controls",
    "DatasetReport",
    "ImageError",
    "InrParams",
    "Picture",
    "Rendering",
    "Report",
    "StyleTransform",
    "WeightsError",
    "adain",
    "cache",
    "fit",
    "image",
    "inr",
    "losses",
    "render",
    "render_file",
    "render_image",
    "stats",
    "stylize",
    "stylize_dataset",
    "stylize_file",
    "stylize_folder",
    "sweep_file",
    "vgg",
    "weights",
]

_HOMES = {
    "BatchReport": "batch",
    "Controls": "controls",
    "DatasetReport": "dataset",
    "ImageError": "image",
    "InrParams": "inr",
    "Picture": "image",
    "Rendering": "inr_file",
    "Report": "stylize",
    "StyleTransform": "transform",
    "WeightsError": "weights",
    "fit": "fitting",
    "render": "inr",
    "render_file": "inr_file",
    "render_image": "inr",
    "stylize": "stylize",
    "stylize_dataset": "dataset",
    "stylize_file": "stylize",
    "stylize_folder": "batch",
    "sweep_file": "inr_sweep",
}
"""The modules of what is no module itself."""


class _Package(types.ModuleType):
    """This package, which imports what is in it when it is first asked for: JAX and Flax take a second."""

    def __getattr__(self, name: str) -> object:
        home = f"{self.__name__}.{_HOMES.get(name, name)}"
        try:
            module = importlib.import_module(home)
        except ModuleNotFoundError as error:
            if error.name != home:
                raise
            raise AttributeError(f"module {self.__name__!r} has no attribute {name!r}") from None
        value = getattr(module, name) if name in _HOMES else module
        setattr(self, name, value)
        return value

    def __setattr__(self, name: str, value: object) -> None:
        # Whoever imports the module jaxstyle.stylize sets it here, where its name means the function.
        if not (name in _HOMES and isinstance(value, types.ModuleType)):
            super().__setattr__(name, value)

    def __dir__(self) -> list[str]:
        return sorted({*super().__dir__(), *__all__})


sys.modules[__name__].__class__ = _Package
