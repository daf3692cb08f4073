"""Generalizable INRs in PyTorch, as one would write them: the peer of `jaxstyle.methods.generalizable_inr`.

The same function and the same weights, those shipped. A rendering computes every point by itself: it looks its control
points up and goes through all layers. What makes the control points of pixels is computed once for a size.
"""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import torch
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.torch_adain import UPSAMPLED, Decoder, Encoder, Moments, adain, dense, moments

HEADS, DEPTH, WEIGHT_TOKENS, TOKENS, OCTAVES = 4, 3, 8, 16, 4
CELL, REACH = 8, 32
TAPS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1")
PHOTO, PAINTED = (7, 2), (8, 4)  # control points along a cell, of brightness and of colours
COLOURS = (np.array([[1, 1, 1], [1, 0, -1], [1, -2, 1]]) / np.sqrt([[3], [2], [6]])).astype(np.float32)
LEAST, REFERENCE, NORM_EPS = 0.05, 32, 1e-6

Arrays = dict[str, Tensor]
Axis = tuple[Tensor, Tensor]  # the control points of an axis that count at n places, and their weights: (n, k) twice


# ---- splines -----------------------------------------------------------------------------------------------


def analysis(length: int, points: int) -> Tensor:
    """The matrix (points length / 8, length) that makes control points of the pixels of an axis, mirrored at its ends.

    A cell's control points are rows of the pseudo-inverse of a long spline.
    """
    cells = 4 * REACH // CELL + 1
    pixels, at = (np.arange(cells * n) + 0.5 for n in (CELL, points))
    t = np.abs(pixels[:, None] * points / CELL - at[None])
    spline = np.where(t < 1, 2 / 3 - t**2 + t**3 / 2, np.where(t < 2, np.clip(2 - t, 0, None) ** 3 / 6, 0))
    middle = cells // 2
    rows = np.linalg.pinv(spline)[middle * points : (middle + 1) * points]
    rows = rows[:, middle * CELL - REACH : (middle + 1) * CELL + REACH]
    rows /= rows.sum(1, keepdims=True)
    found = np.zeros((length // CELL, points, length))
    for cell in range(length // CELL):
        seen = (np.arange(rows.shape[1]) + cell * CELL - REACH) % (2 * length)
        np.add.at(found[cell], (slice(None), np.minimum(seen, 2 * length - 1 - seen)), rows)  # type: ignore[arg-type]
    return torch.from_numpy(found.reshape(-1, length)).float()


def parts(length: int, count: int) -> Tensor:
    """The matrix (count, length) of means over equal parts of an axis."""
    edges, at = np.arange(count + 1)[:, None] * (length / count), np.arange(length)[None]
    shared = np.clip(np.minimum(edges[1:], at + 1) - np.maximum(edges[:-1], at), 0, None)
    return torch.from_numpy(shared * (count / length)).float()


def cubic(places: Tensor, count: int, points: int) -> Axis:
    """Of a row of ``count`` control points, mirrored at its ends; places (n,) in pixels."""
    at = places * (points / CELL) - 0.5
    low = at.floor()
    t = at - low
    weights = torch.stack([(1 - t) ** 3, 4 - 6 * t**2 + 3 * t**3, 1 + 3 * t + 3 * t**2 - 3 * t**3, t**3], 1) / 6
    index = (low.long()[:, None] + torch.arange(-1, 3, device=at.device)) % (2 * count)
    return torch.minimum(index, 2 * count - 1 - index), weights


def quadratic(places: Tensor, cells: int) -> Axis:
    """Of a spline over ``cells`` cells of [-1, 1]; places (n,) in it."""
    at = (places + 1) * (cells / 2)
    low = at.floor().clamp(0, cells - 1)
    t = at - low
    weights = torch.stack([(1 - t) ** 2 / 2, 0.5 + t * (1 - t), t**2 / 2], 1)
    return low.long()[:, None] + torch.arange(3, device=at.device), weights


def values(grid: Tensor, down: Axis, across: Axis) -> Tensor:
    """Control points (rows, columns, C) at n places -> (n, C)."""
    near = grid[down[0][:, :, None], across[0][:, None, :]]
    return torch.einsum("nk,nm,nkmc->nc", down[1], across[1], near)


# ---- a picture as a function of place ----------------------------------------------------------------------


def colours_at(luma: Tensor, chroma: Tensor, coords: Tensor, extent: Tensor, points: tuple[int, int] = PHOTO) -> Tensor:
    """What a code of colours shows at places (n, 2): (n, 3)."""
    x, y = ((coords + 1) * (extent / 2)).unbind(1)
    grids = zip((luma, chroma), points, strict=True)
    found = [values(g, cubic(y, g.shape[0], count), cubic(x, g.shape[1], count)) for g, count in grids]
    return torch.cat(found, 1)


def features_at(context: Tensor, matrix: Tensor, coords: Tensor, colour: Tensor) -> Tensor:
    """F of places (n, 2), from the code's colours there: (n, C)."""
    edged = functional.pad(context.permute(2, 0, 1)[None], (1, 1, 1, 1), mode="replicate")[0].permute(1, 2, 0)
    x, y = (quadratic(places, context.shape[0]) for places in coords.unbind(1))
    frequencies = math.pi * 2.0 ** torch.arange(OCTAVES, device=coords.device)
    phases = (coords[..., None] * frequencies).flatten(1)
    seen = torch.cat([colour, values(edged, y, x), phases.sin(), phases.cos(), coords], 1)
    return seen @ matrix[:-1] + matrix[-1]


class Field(nn.Module):
    """A conditioned picture from its file."""

    def __init__(self, file: Path) -> None:
        super().__init__()
        arrays = load_file(file)
        self.layers = nn.ModuleDict(
            {n: dense(arrays[f"{n}.kernel"], arrays[f"{n}.bias"]) for n in ("hidden", "colours")}
        )
        scale = arrays["target.std"] / arrays["own.std"]
        found = {
            "scale": scale,
            "shift": arrays["target.mean"] - arrays["own.mean"] * scale,
            "extent": arrays["extent"],
        }
        found |= {n.replace(".", "_"): arrays[n] for n in ("context", "matrix", *CODES)}
        for name, value in (found | {"axes": torch.from_numpy(COLOURS)}).items():
            self.register_buffer(name, value)

    def forward(self, coords: Tensor, alpha: Tensor) -> Tensor:
        """Points (n, 2) with degrees of style () or (n,) -> colours (n, 3) in [0, 1]."""
        part = {name: value for name, value in self.named_buffers()}
        content, styled = (
            colours_at(part[f"{name}_luma"], part[f"{name}_chroma"], coords, part["extent"], points)
            for name, points in (("content", PHOTO), ("styled", PAINTED))
        )
        features = features_at(part["context"], part["matrix"], coords, content)
        alpha = alpha.expand(len(coords))[:, None]
        restyled = features + alpha * (features * (part["scale"] - 1) + part["shift"])
        shown = (1 - alpha) * content + alpha * styled
        x = functional.relu(self.layers["hidden"](torch.cat([functional.relu(restyled), shown], 1)))
        return ((shown + self.layers["colours"](x)).float() @ part["axes"]).clamp(0, 1)


CODES = ("content.luma", "content.chroma", "styled.luma", "styled.chroma")


# ---- what makes one of two pictures ------------------------------------------------------------------------


class Block(nn.Module):
    """A block of the transformer."""

    def __init__(self, arrays: Arrays, number: int) -> None:
        super().__init__()
        self.norms = nn.ModuleList(_norm(arrays, f"norm{number}_{i}") for i in range(2))
        names = ("query", "key", "value", "out")
        self.attention = nn.ModuleDict({n: _dense(arrays, f"attention{number}.{n}") for n in names})
        self.mlp = nn.ModuleList(_dense(arrays, f"{n}{number}") for n in ("in", "out"))

    def forward(self, x: Tensor) -> Tensor:
        """(N, T, width) -> the same."""
        y = self.norms[0](x)
        q, k, v = (self.attention[n](y).unflatten(2, (HEADS, -1)).transpose(1, 2) for n in ("query", "key", "value"))
        y = functional.scaled_dot_product_attention(q, k, v).transpose(1, 2).flatten(2)
        x = x + self.attention["out"](y)
        return x + self.mlp[1](functional.gelu(self.mlp[0](self.norms[1](x)), approximate="tanh"))


class Transformer(nn.Module):
    """Tokens of a picture -> its weight tokens' vectors, and its context."""

    def __init__(self, arrays: Arrays) -> None:
        super().__init__()
        self.norms = nn.ModuleDict({n: _norm(arrays, n) for n in ("entry_norm", "norm")})
        self.layers = nn.ModuleDict({n: _dense(arrays, n) for n in ("entry", "vectors", "context")})
        self.blocks = nn.Sequential(*(Block(arrays, i) for i in range(DEPTH)))
        self.places, self.weights = (nn.Parameter(arrays[n]) for n in ("places", "weights"))

    def forward(self, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """(N, T, C) -> (N, weight tokens, inputs) and (N, T, context)."""
        x = self.layers["entry"](self.norms["entry_norm"](tokens)) + self.places
        x = torch.cat([self.weights.expand(len(x), -1, -1), x], 1)
        x = self.norms["norm"](self.blocks(x))
        return self.layers["vectors"](x[:, :WEIGHT_TOKENS]), self.layers["context"](x[:, WEIGHT_TOKENS:])


class Painter(Decoder):
    """AdaIN's decoder that sees the shallower layers as well."""

    def __init__(self, file: Path) -> None:
        super().__init__(file, prefix="painter")
        arrays = {name: value.float() for name, value in load_file(file).items()}
        self.beside = nn.ModuleDict()
        for i in UPSAMPLED:
            kernel = arrays[f"painter.beside{i}.kernel"]
            self.beside[str(i)] = layer = nn.Conv2d(kernel.shape[0], kernel.shape[1], 1, bias=False)
            with torch.no_grad():
                layer.weight.copy_(kernel.T[:, :, None, None])

    def forward(self, restyled: list[Tensor]) -> Tensor:  # type: ignore[override]
        """Features of all layers after AdaIN -> (N, 3, H, W)."""
        *shallow, x = restyled
        last = len(self.layers) - 1
        for i, layer in enumerate(self.layers):
            if i in UPSAMPLED:
                x = functional.relu(layer(functional.interpolate(x, scale_factor=2.0, mode="nearest")))
                x = x + self.beside[str(i)](shallow.pop())
            else:
                x = layer(x) if i == last else functional.relu(layer(x))
        return x.float()


class Condition(nn.Module):
    """Two square pictures of one size -> everything that a `Field` is, by name, in its file's layout."""

    def __init__(self, encoder: Encoder, file: Path, size: int) -> None:
        super().__init__()
        arrays = {name: value.float() for name, value in load_file(file).items()}
        self.encoder, self.painter = encoder, Painter(file)
        of = {name.removeprefix("transformer."): v for name, v in arrays.items() if name.startswith("transformer.")}
        self.transformer = Transformer(of)
        self.aim = nn.ModuleDict({n: _dense(arrays, f"aim.{n}") for n in ("seen", "change")})
        self.gains = nn.ModuleList(
            nn.ParameterList(arrays[f"feedback.{tap}.{part}"].reshape(1, -1, 1, 1) for part in ("mean", "std"))
            for tap in TAPS
        )
        self.full = nn.Parameter(arrays["feedback.full"])
        self.base, self.up = (nn.Parameter(arrays[f"field.{n}"]) for n in ("base", "up"))
        line = (2 * torch.arange(REFERENCE) + 1) / REFERENCE - 1
        y, x = torch.meshgrid(line, line, indexing="ij")
        constants = {
            **{f"of_{points}": analysis(size, points) for points in {*PHOTO, *PAINTED}},
            "parts": parts(size // CELL, TOKENS),
        }
        constants |= {"reference": torch.stack([x, y], -1).reshape(-1, 2), "axes": torch.from_numpy(COLOURS)}
        constants["extent"] = torch.tensor([float(size), float(size)])
        for name, value in constants.items():
            self.register_buffer(name, value)

    def forward(self, content: Tensor, style: Tensor) -> Arrays:
        """Pictures (1, 3, H, H) in [0, 1]."""
        maps_c, maps_s = self.encoder(content), self.encoder(style)
        photo, painting = self.view(content, maps_c[-1]), self.view(style, maps_s[-1])
        own, target = self.statistics(photo), self.statistics(painting)
        of_layers = [moments(f) for f in maps_s]
        told = [*of_layers[:-1], self.aimed(of_layers)]
        seen = self.encoder(self.painted(maps_c, told).clamp(0, 1))
        parts = zip(self.gains, told, seen, of_layers, strict=True)
        painted = self.painted(maps_c, [self.moved(gain, t, moments(f), w) for gain, t, f, w in parts])
        styled = self.code(content + self.full * (painted - content), PAINTED)
        found = {f"content.{name}": photo[name] for name in ("luma", "chroma")}
        found |= {f"styled.{name}": value for name, value in styled.items()}
        found |= {f"own.{n}": v for n, v in zip(("mean", "std"), own, strict=True)}
        found |= {f"target.{n}": v for n, v in zip(("mean", "std"), target, strict=True)}
        return found | {name: photo[name] for name in ("context", "matrix")}

    def painted(self, maps_c: list[Tensor], told: list[Moments]) -> Tensor:
        """A picture whose features have about these moments."""
        return self.painter([adain(f.float(), w) for f, w in zip(maps_c, told, strict=True)])  # type: ignore[no-any-return]

    def moved(self, gain: Any, told: Moments, found: Moments, wanted: Moments) -> Moments:
        """The moments by which what is painted comes nearer to those wanted."""
        mean, std = (t + g * (w - f) for g, t, f, w in zip(gain, told, found, wanted, strict=True))
        return mean, std.maximum(told[1] / 4)

    def code(self, pictures: Tensor, points: tuple[int, int] = PHOTO) -> Arrays:
        """The latent grids of a picture's colours."""
        colours = torch.einsum("nchw,kc->nkhw", pictures, self.axes)
        luma, chroma = (getattr(self, f"of_{count}") for count in points)
        grids = {"luma": (luma, colours[:, :1]), "chroma": (chroma, colours[:, 1:])}
        return {name: (matrix @ x @ matrix.T)[0].permute(1, 2, 0) for name, (matrix, x) in grids.items()}  # type: ignore[operator]

    def view(self, pictures: Tensor, deepest: Tensor) -> Arrays:
        """What a picture alone decides."""
        tokens = self.parts @ deepest.float() @ self.parts.T  # type: ignore[operator]
        vectors, context = self.transformer(tokens.flatten(2).mT)
        matrix = self.base + vectors[0].float().mT @ self.up
        return self.code(pictures) | {"matrix": matrix, "context": context[0].float().unflatten(0, (TOKENS, TOKENS))}

    def statistics(self, view: Arrays) -> Moments:
        """Moments of F over a fixed grid."""
        colour = colours_at(view["luma"], view["chroma"], self.reference, self.extent)  # type: ignore[arg-type]
        features = features_at(view["context"], view["matrix"], self.reference, colour)  # type: ignore[arg-type]
        variance, mean = torch.var_mean(features, 0, correction=0)
        return mean, (variance + 1e-5).sqrt()

    def aimed(self, of_layers: list[Moments]) -> Moments:
        """The moments that the deepest features shall get."""
        seen = torch.cat([part for each in of_layers for part in each], 1).flatten(1)
        x = functional.gelu(self.aim["seen"](torch.log(seen.clamp(min=0) + LEAST)), approximate="tanh")
        mean, std = self.aim["change"](x)[:, :, None, None].chunk(2, 1)
        return of_layers[-1][0] + mean, of_layers[-1][1] + std


def _dense(arrays: Arrays, name: str) -> nn.Linear:
    """A dense layer; of an attention its heads' axis and theirs are one."""
    kernel, bias = arrays[f"{name}.kernel"], arrays[f"{name}.bias"]
    if kernel.ndim == 3:
        kernel = kernel.flatten(0, 1) if name.endswith("out") else kernel.flatten(1)
    return dense(kernel, bias.flatten())


def _norm(arrays: Arrays, name: str) -> nn.LayerNorm:
    layer = nn.LayerNorm(len(arrays[f"{name}.scale"]), eps=NORM_EPS)
    with torch.no_grad():
        layer.weight.copy_(arrays[f"{name}.scale"])
        layer.bias.copy_(arrays[f"{name}.bias"])
    return layer
