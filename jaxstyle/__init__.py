"""jaxstyle: neural style transfer in JAX.

``jaxstyle.stylize(photo, painting)`` gives a picture; `jaxstyle.adain` is the method on arrays, `jaxstyle.vgg` the
features, `jaxstyle.image` the picture files, `jaxstyle.weights` the shipped weights. ``jaxstyle.fit(photo, painting)``
gives a picture without resolution: ``jaxstyle.render_image`` and ``jaxstyle.render`` turn it into pixels, and
`jaxstyle.inr` is that method.
"""

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
