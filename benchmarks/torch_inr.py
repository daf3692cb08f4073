"""INR-st (arXiv:2210.07762) in PyTorch, as one would write it: the peer that jaxstyle is timed against.

The network as the paper draws it, for files that `jaxstyle.inr.save` wrote: every point gets its encoding and its
latent, and goes through all layers. Pixels are at their centres and alpha is the degree of style, as in `jaxstyle.inr`.
"""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors import safe_open
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.torch_adain import MEAN, STD, convolution

STYLE_TAPS = ("conv1_1", "conv1_2", "conv2_1", "conv2_2", "conv3_1")  # after their ReLU
CONTENT_TAP = "conv2_2"
STYLE_WEIGHT = 1e5


class Network(nn.Module):
    """The coordinate network of a file (Appendix A)."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        arrays = load_file(file)
        with safe_open(file, "pt") as handle:
            spec = json.loads(handle.metadata()["spec"])
        self.skip: int = spec["skip"]
        names = [*(f"layer{i}" for i in range(spec["depth"])), "linear", "rgb"]
        self.layers = nn.ModuleDict()
        for name in names:
            kernel = arrays[f"network.{name}.kernel"]
            layer = nn.Linear(*kernel.shape)
            with torch.no_grad():
                layer.weight.copy_(kernel.T)
                layer.bias.copy_(arrays[f"network.{name}.bias"])
            self.layers[name] = layer
        self.hidden = names[:-2]
        self.register_buffer("frequencies", spec["omega"] * 2.0 ** torch.arange(spec["octaves"]))
        self.register_buffer("z_c", arrays["z_c"])
        self.register_buffer("z_s", arrays["z_s"])

    def forward(self, coords: Tensor, alpha: Tensor) -> Tensor:
        """Points (n, 2) with degrees of style () or (n,) -> colours (n, 3) in [0, 1]."""
        phases = (coords[..., None] * self.frequencies).flatten(1)  # type: ignore[operator]
        alpha = alpha.expand(len(coords))[:, None]
        z = (1 - alpha) * self.z_c + alpha * self.z_s  # type: ignore[operator]
        entry = torch.cat([phases.sin(), phases.cos(), coords, z], dim=1)
        x = entry
        for i, name in enumerate(self.hidden):
            if i and i == self.skip:
                x = torch.cat([x, entry], dim=1)
            x = functional.relu(self.layers[name](x))
        return torch.sigmoid(self.layers["rgb"](self.layers["linear"](x)).float())


def grid(size: int, device: torch.device) -> Tensor:
    """Coordinates (x, y) of a square picture's pixel centres in raster order, (size^2, 2)."""
    line = (2 * torch.arange(size, dtype=torch.float64) + 1) / size - 1
    y, x = torch.meshgrid(line, line, indexing="ij")
    return torch.stack([x, y], dim=-1).reshape(-1, 2).float().to(device)


def render(network: nn.Module, size: int, alpha: Tensor, points: int, device: torch.device) -> Tensor:
    """A square picture (size, size, 3), so many points at once, all chunks of one length; alpha () or (size, size)."""
    coords, degrees = grid(size, device), alpha.reshape(-1)
    count = len(coords)
    chunks = -(-count // points)
    each = -(-count // chunks)
    colours = torch.empty(count, 3, device=device)
    for start in (min(i * each, count - each) for i in range(chunks)):  # the last overlaps the one before
        part = slice(start, start + each)
        colours[part] = network(coords[part], degrees[part] if alpha.ndim else alpha)
    return colours.reshape(size, size, 3)


class Encoder(nn.Module):
    """VGG-16 as trained, with average pooling, up to relu3_1, frozen."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        arrays = {name: value.float() for name, value in load_file(file).items()}
        layers = (convolution(arrays[f"{n}.kernel"], arrays[f"{n}.bias"], reflect=False) for n in STYLE_TAPS)
        self.layers = nn.ModuleList(layers).requires_grad_(False)
        for name, values in (("mean", MEAN), ("std", STD)):
            self.register_buffer(name, torch.tensor(values).reshape(1, 3, 1, 1))

    def forward(self, images: Tensor) -> dict[str, Tensor]:
        """Images (N, 3, H, W) in [0, 1] -> the features of `STYLE_TAPS`."""
        x, found = (images - self.mean) / self.std, {}  # type: ignore[operator]
        for name, layer in zip(STYLE_TAPS, self.layers, strict=True):
            if name.endswith("_1") and name != "conv1_1":
                x = functional.avg_pool2d(x, 2)
            found[name] = x = functional.relu(layer(x))
        return found


def gram(features: Tensor) -> Tensor:
    """Gram matrices (N, C, C) divided by C H W."""
    flat = features.float().flatten(2)
    return flat @ flat.mT / flat[0].numel()


def reweight(share: Tensor) -> Tensor:
    """f of Eq. 6 with kappa = 1."""
    share = share.clamp(1e-6, 1 - 1e-6)
    return -share * torch.log1p(-share)


class Loss(nn.Module):
    """Eq. 6 to 8 of the square picture at one degree of style; what it is compared with is computed once."""

    def __init__(self, network: Network, encoder: Encoder, content: Tensor, style: Tensor) -> None:
        super().__init__()
        self.network, self.encoder, self.size = network, encoder, content.shape[-1]
        self.channels_last = content.is_contiguous(memory_format=torch.channels_last)
        with torch.no_grad():
            self.register_buffer("content", encoder(content)[CONTENT_TAP].float())
            self.grams = {name: gram(features) for name, features in encoder(style).items()}
        self.register_buffer("coords", grid(self.size, content.device))

    def forward(self, alpha: Tensor) -> Tensor:
        """A degree of style () -> a scalar."""
        colours = self.network(self.coords, alpha)
        picture = colours.reshape(1, self.size, self.size, 3).permute(0, 3, 1, 2)
        memory = torch.channels_last if self.channels_last else torch.contiguous_format
        found = self.encoder(picture.contiguous(memory_format=memory))
        content = functional.mse_loss(found[CONTENT_TAP].float(), self.content)  # type: ignore[arg-type]
        style = sum(functional.mse_loss(gram(found[name]), self.grams[name]) for name in STYLE_TAPS)
        return reweight(1 - alpha) * content + reweight(alpha) * STYLE_WEIGHT * style


def optimizer(network: Network) -> torch.optim.Adam:
    """The paper's."""
    return torch.optim.Adam(network.parameters(), lr=1e-3, betas=(0.5, 0.99))
