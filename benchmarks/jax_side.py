"""The cases done by jaxstyle, by what users and trainers call."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks import inputs
from benchmarks.cases import Case, Variant
from benchmarks.subject import DEGREE, SHARE, Subject
from jaxstyle import methods
from jaxstyle.controls.controls import Controls
from jaxstyle.controls.degree import Maps
from jaxstyle.image.windows import ArraySource
from jaxstyle.methods import adain, generalizable_inr, inr, style_kernel
from jaxstyle.methods.inr import step as inr_fit
from jaxstyle.methods.inr.schedule import Refine, Schedule
from jaxstyle.painting import picture
from jaxstyle.painting.paint import paint
from train import adain as trainer
from train import style_kernel as kernel_trainer
from train.evaluate import results


def about() -> dict[str, Any]:
    """The device and versions."""
    kind = jax.devices()[0].platform
    return {"kind": kind, "threads": len(os.sched_getaffinity(0)), **results.environment()}


def device_peak() -> int | None:
    """Most bytes that were taken of the device's own memory; None for a CPU."""
    return (jax.devices()[0].memory_stats() or {}).get("peak_bytes_in_use")


def prepare(case: Case, variant: Variant, made: Path) -> Subject:
    """The subject of a case.

    Args:
      case: which.
      variant: only ``bfloat16`` is looked at.
      made: file of a network, where it is no shipped one, see `benchmarks.made_file`.
    """
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
    return make(case, jnp.bfloat16 if variant.bfloat16 else jnp.float32, made)


def _stylize(case: Case, dtype: Any, made: Path) -> Subject:
    model = adain.load().replace(dtype=dtype)  # type: ignore[attr-defined]
    content, painting = jax.device_put(tuple(inputs.pictures(0, 2, case.size)))
    style = painting if case.variant == "encode" else jax.block_until_ready(adain.encode_style(model, painting))

    def run() -> jax.Array:
        return adain.stylize(model, content, style).block_until_ready()

    return Subject(run, lambda result: {"picture": np.asarray(result)[None]})


def _train(case: Case, dtype: Any, made: Path) -> Subject:
    config = trainer.Config("", "", "", batch_size=case.batch, crop=case.size, dtype=jnp.dtype(dtype).name)
    model = adain.load().replace(dtype=dtype)  # type: ignore[attr-defined]
    state, key = trainer.create_state(config, model), jax.random.key(0)
    content, style = jax.device_put(np.split(inputs.pictures(0, 2 * case.batch, case.size), 2))
    step = jax.jit(partial(trainer.train_step, config=config, model=model.replace(decoder={})), donate_argnums=1)

    def run() -> dict[str, Any]:
        nonlocal state
        state, terms = jax.block_until_ready(step(key, state, {"content": content, "style": style}))
        return {"loss": terms["loss"], "gradients": state.opt[0].mu}

    return Subject(run, _step_outcome)


def _kernel(case: Case, dtype: Any, made: Path) -> Subject:
    model = style_kernel.load(str(made)).replace(dtype=dtype)  # type: ignore[attr-defined]
    loaded, (content, painting) = methods.loaded(model), inputs.pictures(0, 2, case.size)
    whole = np.asarray([[case.size, case.size]], np.int32)

    def encoded() -> style_kernel.Style:
        return style_kernel.encode_styles(model, painting[None], whole)

    def painted(style: style_kernel.Style) -> np.ndarray:
        job = picture.job_of(ArraySource(content), style, Controls(), Maps(), loaded)
        return next(paint(loaded, job))

    style = None if case.variant == "encode" else jax.block_until_ready(encoded())
    return Subject(
        lambda: painted(encoded() if style is None else style), lambda result: {"picture": np.asarray(result)[None]}
    )


def _kernel_train(case: Case, dtype: Any, made: Path) -> Subject:
    of_run = {"batch_size": case.batch, "crop": case.size, "dtype": jnp.dtype(dtype).name}
    config = kernel_trainer.Config("", "", "", init=str(made), **of_run)  # type: ignore[arg-type]
    model = kernel_trainer.create_model(config)
    state, key = kernel_trainer.create_state(config, model), jax.random.key(0)
    content, style = np.split(inputs.pictures(0, 2 * case.batch, case.size), 2)
    batch = jax.device_put(kernel_trainer.mark_identity({"content": content, "style": style}, config, 0))
    step_fn = partial(kernel_trainer.train_step, config=config, model=model.replace(params={}))  # type: ignore[attr-defined]
    step = jax.jit(step_fn, donate_argnums=1)

    def run() -> dict[str, Any]:
        nonlocal state
        state, terms = jax.block_until_ready(step(key, state, batch))
        return {"loss": terms["loss"], "gradients": state.opt[1].mu}  # type: ignore[index]

    return Subject(run, _step_outcome)


def _condition(case: Case, dtype: Any, made: Path) -> Subject:
    model = generalizable_inr.load().replace(dtype=dtype)  # type: ignore[attr-defined]
    content, painting = inputs.pictures(0, 2, case.size)

    def run() -> Any:
        return jax.block_until_ready(generalizable_inr.condition(model, content, painting))

    def outcome(field: Any) -> dict[str, np.ndarray]:
        grids = {"content": field.content.code, "styled": field.styled, "own": field.own, "target": field.target}
        found = {f"{name}.{part}": value for name, each in grids.items() for part, value in each._asdict().items()}
        found |= {"context": field.content.context, "matrix": field.content.matrix}
        return {f"field {name}": np.asarray(value) for name, value in found.items()}

    return Subject(run, outcome)


def _render_generalizable(case: Case, dtype: Any, made: Path) -> Subject:
    field, size = generalizable_inr.load_picture(made), (case.size, case.size)

    def run() -> jax.Array:
        return inr.render_image(field, size, DEGREE, dtype=dtype).block_until_ready()

    return Subject(run, lambda result: {"picture": np.asarray(result)[None]})


def _render(case: Case, dtype: Any, made: Path) -> Subject:
    params, size = inr.load(made), (case.size, case.size)
    alpha = jnp.asarray(inputs.degrees(case.size)) if case.variant == "map" else DEGREE

    def run() -> jax.Array:
        return inr.render_image(params, size, alpha, dtype=dtype).block_until_ready()

    return Subject(run, lambda result: {"picture": np.asarray(result)[None]})


def _fit(case: Case, dtype: Any, made: Path) -> Subject:
    loss = inr.Loss(sampling="fixed", fixed=SHARE, dtype=jnp.dtype(dtype).name)  # type: ignore[arg-type]
    schedule = Schedule((Refine(20_000),), loss=loss, size=case.size)
    encoder = jax.device_put(inr.load_encoder("vgg16", loss)[0])
    content, style = inputs.pictures(0, 2, case.size)
    data = inr_fit.stage_data(schedule, 0, encoder, content, style)
    params = inr.load(made)
    state = inr_fit.started(params, schedule)
    step = jax.jit(partial(inr_fit.fit_step, schedule=schedule, stage=0), donate_argnums=1)
    key = jax.random.key(0)

    def run() -> dict[str, Any]:
        nonlocal state
        state, terms = jax.block_until_ready(step(key, state, data, encoder))
        return {"loss": terms["loss"], "gradients": state.opt.mu}

    return Subject(run, _step_outcome)


def _step_outcome(result: dict[str, Any]) -> dict[str, np.ndarray]:
    flat = jax.tree_util.tree_flatten_with_path(result["gradients"])[0]
    found = {"gradient " + ".".join(str(part.key) for part in path): np.asarray(value) for path, value in flat}
    return {"loss": np.asarray(result["loss"])} | found
