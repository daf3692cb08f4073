"""The small network of Dynamic Style Kernels in PyTorch, as one would write it: the peer of `jaxstyle.style_kernel`.

The same function and the same weights. All similarities of some content positions are computed, gated and summed up.
`scaled_dot_product_attention` cannot: the gate looks at the weights themselves, and a deviation needs the mean of the
values' squares under the weights of their mean.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.torch_adain import Decoder, Encoder, Moments, convolution, dense, moments

HEADS, TAPS, POSITIONS = 8, 3, 4096
BLOCK = 1024
"""Content positions at a time, without gradients: at 512 x 512 pixels, 134 MB of similarities instead of 537."""
SOFTNESS, FLOOR, LEAST, STRUCTURE_EPS, OWN = 0.5, 1e-2, 0.05, 1e-3, 0.1
STYLE_WEIGHT, IDENTITY_WEIGHT, IDENTITY_EVERY, REMD_WEIGHT = 1.6, 100.0, 4, 0.5

Style = tuple[Tensor, Tensor, Moments, Moments]  # keys and values (N, G, P, D); their moments, and those aimed at


class Network(nn.Module):
    """Everything but the encoder."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        arrays = {name: value.float() for name, value in load_file(file).items()}
        self.decoder = Decoder(file, prefix="decoder")
        names = ("query", "key", "psi.block0", "psi.block1", "psi.block2", "phi.block0", "phi.block1")
        self.layers = nn.ModuleDict({n.replace(".", "_"): _layer(arrays, n) for n in names})
        self.aim = nn.ModuleDict({n: dense(arrays[f"aim.{n}.kernel"], arrays[f"aim.{n}.bias"]) for n in AIM})
        self.sharpness = nn.Parameter(arrays["sharpness"])
        self.gain = nn.Parameter(arrays["gain"])

    def describe(self, found: list[Tensor]) -> Style:
        """What there is to know of styles with these features."""
        of_layers = [moments(features) for features in found]
        own, last = of_layers[-1], found[-1]
        standard = (last - own[0]) / own[1]
        keys = self.layers["key"](standard)
        seen = torch.cat([part for each in of_layers for part in each], 1).flatten(1)
        x = functional.gelu(self.aim["seen"](torch.log(seen.clamp(min=0) + LEAST)), approximate="tanh")
        change = self.aim["change"](x)[:, :, None, None].chunk(2, 1)
        target = own[0] + change[0], own[1] + change[1]
        keys, values = (_heads(_coarser(part)) for part in (keys, standard))
        return _unit(keys), values, own, target

    def transform(self, z_c: Tensor, style: Style) -> tuple[Tensor, Tensor]:
        """What the decoder sees (N, 512, H, W), and what the gate lets through."""
        keys, values, own, target = style
        mean_c, std_c = moments(z_c)
        x = (z_c - mean_c) / std_c
        query = _unit(_heads(self.layers["query"](x)))
        y = functional.relu(self.layers["psi_block0"](x))
        gamma, beta = self.layers["psi_block2"](functional.relu(self.layers["psi_block1"](y))).float().chunk(2, 1)
        threshold = (2 * torch.sigmoid(gamma - 2) + torch.tanh(beta - 1) / 2).flatten(2)  # (N, G, Q)
        m, s = (_map(part, z_c.shape) for part in self.attend(query, keys, values, threshold))
        z_cs = own[0] + own[1] * m
        mean = target[0] + self.gain[0, :, None, None] * target[1] * m
        std = target[1] * (1 + self.gain[1, :, None, None] * (s - 1)).clamp(min=LEAST)
        y = functional.relu(self.layers["phi_block0"](torch.cat([z_cs, x], 1)))
        kernels = self.layers["phi_block1"](y).float().unflatten(1, (2 * TAPS + 1, -1))
        x = x + _along(x, kernels[:, :TAPS], 2)
        x = x + _along(x, kernels[:, TAPS : 2 * TAPS], 3)
        return std * (x + kernels[:, -1]) + mean, z_cs

    def attend(self, query: Tensor, keys: Tensor, values: Tensor, threshold: Tensor) -> tuple[Tensor, Tensor]:
        """Means and deviations of the values, (N, G, Q, D)."""
        count = keys.shape[2]
        sharpness = self.sharpness.exp() * torch.log(torch.tensor(float(count))) / torch.log(torch.tensor(1024.0))
        scaled, both = query * sharpness[:, None, None], torch.cat([values, values.square()], -1)
        block = query.shape[2] if torch.is_grad_enabled() else BLOCK
        parts = zip(scaled.split(block, 2), threshold.split(block, 2), strict=True)
        seen = torch.cat([_gated(q, keys, both, t, count) for q, t in parts], 2)
        mean, square = seen.chunk(2, -1)
        variance = square - mean.square() + FLOOR**2
        return mean, variance.clamp(min=FLOOR**2 / 4).sqrt()


AIM = ("seen", "change")


def _layer(arrays: dict[str, Tensor], name: str) -> nn.Conv2d:
    return convolution(arrays[f"{name}.kernel"], arrays[f"{name}.bias"])


def _heads(x: Tensor) -> Tensor:
    """(N, C, H, W) -> (N, G, H W, D)."""
    return x.flatten(2).unflatten(1, (HEADS, -1)).transpose(2, 3).contiguous()


def _map(x: Tensor, shape: torch.Size) -> Tensor:
    """(N, G, H W, D) -> (N, C, H, W)."""
    return x.transpose(2, 3).reshape(shape)


def _unit(x: Tensor) -> Tensor:
    x = x.float()
    return x * (x.square().sum(-1, keepdim=True) + 1e-6).rsqrt()


def _coarser(x: Tensor) -> Tensor:
    """At most `POSITIONS` of a square's positions, a regular grid."""
    side = x.shape[2]
    few = min(side, int(POSITIONS**0.5))
    at = (2 * torch.arange(few, device=x.device) + 1) * side // (2 * few)
    return x if few == side else x[:, :, at][:, :, :, at]


def _gated(query: Tensor, keys: Tensor, both: Tensor, threshold: Tensor, count: int) -> Tensor:
    """Means of values and squares under the gated weights, (N, G, Q, 2 D)."""
    weights = torch.softmax(query @ keys.mT, -1)
    distance = weights.detach() * count - threshold[..., None]
    gate = (distance > 0).float()
    if torch.is_grad_enabled():  # straight through a sigmoid
        soft = torch.sigmoid(distance / SOFTNESS)
        gate = soft + (gate - soft).detach()
    largest = weights.detach().amax(-1, keepdim=True) * (1 - 1e-4)
    weights = weights * torch.where(weights.detach() >= largest, 1.0, gate)
    return weights @ both / weights.sum(-1, keepdim=True)


def _along(x: Tensor, kernels: Tensor, axis: int) -> Tensor:
    """Sum of shifted copies, each times its map; ``kernels`` (N, k, C, H, W)."""
    far = TAPS // 2
    padded = functional.pad(x, (0, 0, far, far) if axis == 2 else (far, far, 0, 0), mode="reflect")
    return sum(padded.narrow(axis, i, x.shape[axis]) * kernels[:, i] for i in range(TAPS))  # type: ignore[return-value]


class Stylize(nn.Module):
    """At full degree of style, the style given encoded or as pictures."""

    def __init__(self, encoder: Encoder, network: Network) -> None:
        super().__init__()
        self.encoder, self.network = encoder, network

    def forward(self, content: Tensor, style: Tensor | Style) -> Tensor:
        """Pictures (N, 3, H, W), sides multiples of 8, in [0, 1]."""
        looks = style if isinstance(style, tuple) else self.network.describe(self.encoder(style))
        z, _ = self.network.transform(self.encoder(content)[-1], looks)
        return self.network.decoder(z).float().clamp(0, 1)


class Loss(nn.Module):
    """Eq. 7 as `train.style_kernel` has it by default."""

    def __init__(self, encoder: Encoder, network: Network) -> None:
        super().__init__()
        self.encoder, self.network = encoder, network

    def forward(self, content: Tensor, style: Tensor, identity: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) twice, and (N, 1, 1, 1), 1 where they are the same -> a scalar."""
        with torch.no_grad():
            f_c, f_s = self.encoder(content), self.encoder(style)
        z, _ = self.network.transform(f_c[-1], self.network.describe(f_s))
        images = self.network.decoder(torch.where(identity > 0, f_c[-1], z)).float()
        f_o = self.encoder(images)
        apart = [(a - mean) / std for a, (mean, std) in ((f, _structure(f)) for f in (f_o[-1], f_c[-1]))]
        loss = functional.mse_loss(*apart)
        for found, photo, painting in zip(f_o, f_c, f_s, strict=True):
            target = moments(painting)
            own = sum(part.square().mean((1, 2, 3)) for part in target)
            distance = _distance(moments(found), target) / (_distance(moments(photo), target) + OWN * own)
            loss = loss + STYLE_WEIGHT * distance.mean()
        loss = loss + IDENTITY_WEIGHT * (identity * (images - content).abs()).mean()
        return loss + REMD_WEIGHT * _remd(f_o[-1], f_s[-1])


def _structure(features: Tensor) -> Moments:
    variance, mean = torch.var_mean(features.float(), (2, 3), correction=0, keepdim=True)
    return mean, (variance + STRUCTURE_EPS).sqrt()


def _distance(found: Moments, target: Moments) -> Tensor:
    return sum((a - b).square().mean((1, 2, 3)) for a, b in zip(found, target, strict=True))  # type: ignore[return-value]


def _remd(features: Tensor, style: Tensor) -> Tensor:
    """Eq. 9 between all positions."""
    a, b = (f.float().flatten(2) for f in (features, style))
    a, b = (f / (f.square().sum(1, keepdim=True) + 1e-12).sqrt() for f in (a, b))
    cosine = a.mT @ b
    there, back = (1 - cosine.amax(axis).mean(-1) for axis in (2, 1))
    return torch.maximum(there, back).mean()


class Optimizer:
    """Adam of the first step, on clipped gradients, and the running average of the weights."""

    def __init__(self, network: Network) -> None:
        self.network, self.steps = network, 0
        psi = [value for name, value in network.named_parameters() if "psi" in name]
        rest = [value for name, value in network.named_parameters() if "psi" not in name]
        groups: list[dict[str, Any]] = [{"params": psi, "lr": 3e-5}, {"params": rest}]
        self.adam = torch.optim.Adam(groups, lr=1e-4)
        self.average = [value.detach().clone() for value in network.parameters()]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forgets the gradients."""
        self.adam.zero_grad(set_to_none)

    def step(self) -> None:
        """One step."""
        torch.nn.utils.clip_grad_norm_(self.network.parameters(), 100.0)
        self.adam.step()
        kept = min(0.999, (1 + self.steps) / (10 + self.steps))
        torch._foreach_lerp_(self.average, [value.detach() for value in self.network.parameters()], 1 - kept)
        self.steps += 1

    def gradients(self) -> Iterator[tuple[str, Tensor]]:
        """Adam's mean gradients by jaxstyle's names, in its layout."""
        for name, value in self.network.named_parameters():
            mean = self.adam.state[value]["exp_avg"].cpu()
            parts = name.removeprefix("layers.").replace("decoder.layers.", "decoder.conv").replace("_", ".").split(".")
            if parts[-1] == "weight":
                parts[-1], mean = "kernel", mean.permute(2, 3, 1, 0) if mean.ndim == 4 else mean.T
            yield ".".join(parts), mean
