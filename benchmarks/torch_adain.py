"""AdaIN (arXiv:1703.06868) in PyTorch, as one would write it: the peer that jaxstyle is timed against.

The same function and the same weights as `jaxstyle.adain` with the shipped files, in the plain form: reflect padding,
then convolution; nearest up-sampling, then convolution.
"""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

BLOCKS = (2, 2, 3, 3)  # convolutions of VGG-16's blocks
LAYERS = [f"conv{block}_{i}" for block, count in enumerate(BLOCKS, 1) for i in range(1, count + 1)]
ENCODED = LAYERS[: LAYERS.index("conv4_1") + 1]
UPSAMPLED = (1, 4, 6)  # layers of the decoder that see a doubled picture
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)

Moments = tuple[Tensor, Tensor]


def convolution(kernel: Tensor, bias: Tensor, *, reflect: bool = True) -> nn.Conv2d:
    """A convolution that keeps the size, from a kernel (k, k, Cin, Cout), k odd."""
    mode: Literal["reflect", "zeros"] = "reflect" if reflect else "zeros"
    side = kernel.shape[0]
    layer = nn.Conv2d(kernel.shape[2], kernel.shape[3], side, padding=side // 2, padding_mode=mode)
    with torch.no_grad():
        layer.weight.copy_(kernel.permute(3, 2, 0, 1))
        layer.bias.copy_(bias)  # type: ignore[union-attr]
    return layer


def dense(kernel: Tensor, bias: Tensor) -> nn.Linear:
    """A dense layer from a kernel (Cin, Cout)."""
    layer = nn.Linear(*kernel.shape)
    with torch.no_grad():
        layer.weight.copy_(kernel.T)
        layer.bias.copy_(bias)
    return layer


class Encoder(nn.Module):
    """Normalised VGG-16 up to relu4_1, frozen."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        arrays = {name: value.float() for name, value in load_file(file).items()}
        layers, before = [], torch.ones(3)
        for name in ENCODED:  # every filter's mean activation becomes 1
            scale = arrays[f"mean_activation.{name}"]
            kernel = arrays[f"{name}.kernel"] * before[:, None] / scale
            layers.append(convolution(kernel, arrays[f"{name}.bias"] / scale))
            before = scale
        self.layers = nn.ModuleList(layers).requires_grad_(False)
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> list[Tensor]:
        """Images (N, 3, H, W) in [0, 1] -> relu1_1, relu2_1, relu3_1, relu4_1."""
        x, taps = (images - self.mean) / self.std, []  # type: ignore[operator]
        for name, layer in zip(ENCODED, self.layers, strict=True):
            if name.endswith("_1") and name != "conv1_1":
                x = functional.max_pool2d(x, 2)
            x = functional.relu(layer(x))
            if name.endswith("_1"):
                taps.append(x)
        return taps


class Decoder(nn.Module):
    """The mirror of the encoder."""

    def __init__(self, file: Path, prefix: str = "params") -> None:
        super().__init__()
        arrays = {name: value.float() for name, value in load_file(file).items()}
        names = [f"{prefix}.conv{i}" for i in range(8)]
        self.layers = nn.ModuleList(convolution(arrays[f"{n}.kernel"], arrays[f"{n}.bias"]) for n in names)

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, 512, H, W) -> images (N, 3, 8 H, 8 W)."""
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            if i in UPSAMPLED:
                x = functional.interpolate(x, scale_factor=2.0, mode="nearest")
            x = layer(x) if i == last else functional.relu(layer(x))
        return x


def moments(features: Tensor) -> Moments:
    """Mean and standard deviation of every channel, (N, C, 1, 1)."""
    variance, mean = torch.var_mean(features.float(), (2, 3), correction=0, keepdim=True)
    return mean, (variance + 1e-5).sqrt()


def adain(content: Tensor, style: Moments) -> Tensor:
    """Eq. 8: the content's features with the style's statistics."""
    mean, std = moments(content)
    return (content - mean) / std * style[1] + style[0]


class Stylize(nn.Module):
    """Eq. 14, the style given by its moments or as pictures."""

    def __init__(self, encoder: Encoder, decoder: Decoder) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder

    def forward(self, content: Tensor, style: Tensor | Moments, alpha: float = 1.0) -> Tensor:
        """Pictures (N, 3, H, W), sides multiples of 8, in [0, 1]."""
        looks = style if isinstance(style, tuple) else moments(self.encoder(style)[-1])
        features = self.encoder(content)[-1]
        mixed = (1 - alpha) * features + alpha * adain(features, looks)
        return self.decoder(mixed).float().clamp(0, 1)


class Loss(nn.Module):
    """Eq. 11 to 13 with mean squared errors."""

    def __init__(self, encoder: Encoder, decoder: Decoder, style_weight: float = 10.0) -> None:
        super().__init__()
        self.encoder, self.decoder, self.style_weight = encoder, decoder, style_weight

    def forward(self, content: Tensor, style: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) twice -> a scalar."""
        with torch.no_grad():
            f_c, f_s = self.encoder(content)[-1], self.encoder(style)
            targets = [moments(f) for f in f_s]
            wanted = adain(f_c, targets[-1])
        found = self.encoder(self.decoder(wanted))
        loss = functional.mse_loss(found[-1].float(), wanted)
        for features, (mean, std) in zip(found, targets, strict=True):
            own = moments(features)
            distance = functional.mse_loss(own[0], mean) + functional.mse_loss(own[1], std)
            loss = loss + self.style_weight * distance
        return loss


def optimizer(decoder: Decoder) -> torch.optim.Adam:
    """Adam with the learning rate of the first step."""
    return torch.optim.Adam(decoder.parameters(), lr=1e-4)
