"""jaxstyle: neural style transfer in JAX.

``jaxstyle.stylize(photo, painting)`` gives a picture; `jaxstyle.adain` is the method on arrays, `jaxstyle.vgg` the
features, `jaxstyle.image` the picture files, `jaxstyle.weights` the shipped weights.
"""

from jaxstyle import adain, cache, image, losses, stats, vgg, weights
from jaxstyle.controls import Controls
from jaxstyle.image import ImageError, Picture
from jaxstyle.stylize import Report, stylize, stylize_file
from jaxstyle.weights import WeightsError

__version__ = "0.1.0"

__all__ = [
    "Controls",
    "ImageError",
    "Picture",
    "Report",
    "WeightsError",
    "adain",
    "cache",
    "image",
    "losses",
    "stats",
    "stylize",
    "stylize_file",
    "vgg",
    "weights",
]
