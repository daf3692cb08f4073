"""The cases done by PyTorch, in one of its variants."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from benchmarks import inputs, torch_adain, torch_generalizable_inr, torch_inr, torch_style_kernel
from benchmarks.cases import Case, Variant
from benchmarks.subject import DEGREE, SHARE, Subject


def about() -> dict[str, Any]:
    """The device and versions."""
    device = _device()
    name = torch.cuda.get_device_name() if device.type == "cuda" else "cpu"
    kind = {"cuda": "gpu"}.get(device.type, device.type)
    return {"kind": kind, "threads": torch.get_num_threads(), "device": name, "torch": torch.__version__}


def device_peak() -> int | None:
    """Most bytes that were taken of the device's own memory; None for a CPU."""
    return torch.cuda.max_memory_allocated() if torch.cuda.is_available() else None


def prepare(case: Case, variant: Variant, made: Path) -> Subject:
    """The subject of a case.

    Args:
      case: which.
      variant: how.
      made: file of a network, where it is no shipped one, see `benchmarks.made_file`.
    """
    torch.set_num_threads(int(os.environ["OMP_NUM_THREADS"]))
    torch.set_float32_matmul_precision("high")  # TF32 on a GPU, as jax does; without effect on a CPU
    make = {
        "stylize": _stylize,
        "train": _train,
        "kernel": _kernel,
        "kernel-train": _kernel_train,
        "condition": _condition,
        "render-generalizable": _render_generalizable,
        "render": _render,
        "fit": _fit,
    }[case.kind]
    return make(case, variant, made)


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def _finish(result: Any) -> Any:
    """The result, when it is there."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return result


def _images(pixels: np.ndarray, variant: Variant) -> Tensor:
    """(N, H, W, 3) -> (N, 3, H, W) on the device in the variant's layout."""
    memory = torch.channels_last if variant.channels_last else torch.contiguous_format
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous(memory_format=memory).to(_device())


def _placed(module: nn.Module, variant: Variant) -> Any:
    module = module.to(_device())
    return module.to(memory_format=torch.channels_last) if variant.channels_last else module  # type: ignore[call-overload]


def _compiled(module: Any, variant: Variant) -> Any:
    return torch.compile(module) if variant.compiled else module


def _autocast(variant: Variant) -> torch.autocast:
    return torch.autocast(_device().type, dtype=torch.bfloat16, enabled=variant.bfloat16)


def _stylize(case: Case, variant: Variant, made: Path) -> Subject:
    parts = (torch_adain.Encoder(inputs.ENCODER), torch_adain.Decoder(inputs.DECODER))
    module = _placed(torch_adain.Stylize(*parts), variant)
    run_module = _compiled(module, variant)
    content, painting = (_images(picture[None], variant) for picture in inputs.pictures(0, 2, case.size))
    with torch.no_grad(), _autocast(variant):
        style = painting if case.variant == "encode" else torch_adain.moments(module.encoder(painting)[-1])

    def run() -> Tensor:
        with torch.no_grad(), _autocast(variant):
            return _finish(run_module(content, style))

    return Subject(run, lambda picture: {"picture": picture.permute(0, 2, 3, 1).float().cpu().numpy()})


def _train(case: Case, variant: Variant, made: Path) -> Subject:
    encoder, decoder = torch_adain.Encoder(inputs.ENCODER), torch_adain.Decoder(inputs.DECODER)
    module = _placed(torch_adain.Loss(encoder, decoder), variant)
    optimizer = torch_adain.optimizer(module.decoder)
    content, style = (_images(half, variant) for half in np.split(inputs.pictures(0, 2 * case.batch, case.size), 2))
    step = _step(_compiled(module, variant), optimizer, variant, content, style)

    def outcome(loss: Tensor) -> dict[str, np.ndarray]:
        found = {"loss": loss.cpu().numpy()}
        for i, layer in enumerate(module.decoder.layers):
            kernel, bias = (optimizer.state[value]["exp_avg"].cpu() for value in (layer.weight, layer.bias))
            found[f"gradient conv{i}.kernel"] = kernel.permute(2, 3, 1, 0).numpy()
            found[f"gradient conv{i}.bias"] = bias.numpy()
        return found

    return Subject(step, outcome)


def _kernel(case: Case, variant: Variant, made: Path) -> Subject:
    parts = (torch_adain.Encoder(inputs.ENCODER), torch_style_kernel.Network(made))
    module = _placed(torch_style_kernel.Stylize(*parts), variant)
    run_module = _compiled(module, variant)
    content, painting = (_images(picture[None], variant) for picture in inputs.pictures(0, 2, case.size))
    with torch.no_grad(), _autocast(variant):
        style = painting if case.variant == "encode" else module.network.describe(module.encoder(painting))

    def run() -> Tensor:
        with torch.no_grad(), _autocast(variant):
            return _finish(run_module(content, style))

    return Subject(run, lambda picture: {"picture": picture.permute(0, 2, 3, 1).float().cpu().numpy()})


def _kernel_train(case: Case, variant: Variant, made: Path) -> Subject:
    module = torch_style_kernel.Loss(torch_adain.Encoder(inputs.ENCODER), torch_style_kernel.Network(made))
    module = _placed(module, variant)
    optimizer = torch_style_kernel.Optimizer(module.network)
    photos, paintings = np.split(inputs.pictures(0, 2 * case.batch, case.size), 2)
    same = np.arange(case.batch)[:, None, None, None] % torch_style_kernel.IDENTITY_EVERY == 0
    content, style = (_images(x, variant) for x in (photos, np.where(same, photos, paintings)))
    identity = torch.from_numpy(same.astype(np.float32)).to(_device())

    def outcome(loss: Tensor) -> dict[str, np.ndarray]:
        found = {f"gradient {name}": mean.numpy() for name, mean in optimizer.gradients()}
        return {"loss": loss.cpu().numpy()} | found

    step = _step(_compiled(module, variant), optimizer, variant, content, style, identity)
    return Subject(step, outcome)


def _condition(case: Case, variant: Variant, made: Path) -> Subject:
    encoder = torch_adain.Encoder(inputs.ENCODER)
    module = _placed(torch_generalizable_inr.Condition(encoder, inputs.HYPERNETWORK, case.size), variant)
    run_module = _compiled(module, variant)
    content, painting = (_images(picture[None], variant) for picture in inputs.pictures(0, 2, case.size))

    def run() -> dict[str, Tensor]:
        with torch.no_grad(), _autocast(variant):
            return _finish(run_module(content, painting))  # type: ignore[no-any-return]

    return Subject(run, lambda found: {f"field {name}": value.float().cpu().numpy() for name, value in found.items()})


def _render_generalizable(case: Case, variant: Variant, made: Path) -> Subject:
    field = _compiled(_placed(torch_generalizable_inr.Field(made), variant), variant)
    alpha = torch.tensor(DEGREE, device=_device())

    def run() -> Tensor:
        with torch.no_grad(), _autocast(variant):
            return _finish(torch_inr.render(field, case.size, alpha, variant.points, _device()))

    return Subject(run, lambda picture: {"picture": picture[None].cpu().numpy()})


def _render(case: Case, variant: Variant, made: Path) -> Subject:
    network = _compiled(_placed(torch_inr.Network(made), variant), variant)
    alpha = torch.from_numpy(inputs.degrees(case.size)) if case.variant == "map" else torch.tensor(DEGREE)
    alpha = alpha.to(_device())

    def run() -> Tensor:
        with torch.no_grad(), _autocast(variant):
            return _finish(torch_inr.render(network, case.size, alpha, variant.points, _device()))

    return Subject(run, lambda picture: {"picture": picture[None].cpu().numpy()})


def _fit(case: Case, variant: Variant, made: Path) -> Subject:
    network = _placed(torch_inr.Network(made), Variant())
    encoder = _placed(torch_inr.Encoder(inputs.ENCODER), variant)
    content, style = (_images(picture[None], variant) for picture in inputs.pictures(0, 2, case.size))
    loss = torch_inr.Loss(network, encoder, content, style)
    optimizer = torch_inr.optimizer(network)
    alpha = torch.tensor(1 - SHARE, device=_device())

    def outcome(value: Tensor) -> dict[str, np.ndarray]:
        found = {"loss": value.cpu().numpy()}
        for name, layer in network.layers.items():
            kernel, bias = (optimizer.state[part]["exp_avg"].cpu() for part in (layer.weight, layer.bias))
            found |= {f"gradient {name}.kernel": kernel.T.numpy(), f"gradient {name}.bias": bias.numpy()}
        return found

    return Subject(_step(_compiled(loss, variant), optimizer, variant, alpha), outcome)


def _step(loss: Any, optimizer: Any, variant: Variant, *data: Tensor) -> Callable[[], Tensor]:
    """A training step: loss, gradients, and the optimiser's change."""

    def run() -> Tensor:
        optimizer.zero_grad(set_to_none=True)
        with _autocast(variant):
            value = loss(*data)
        value.backward()
        optimizer.step()
        return _finish(value.detach())

    return run
