"""The text form of a Graph: stable, for golden files, and one fact a line, for people who diff it."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator

    from neuromorph.graph import Graph, Modulator, Phase, Population, Projection

__all__ = ["text"]

_PLAIN = re.compile(r"[\w.\-]+")
_WIDTH = 8  # values per line of a full array


def text(graph: Graph, *, full: bool = False) -> str:
    """The text form; see `neuromorph.graph.Graph.text`."""
    lines = [f"graph {_name(graph.name)} dt={_value(graph.dt)} seed={graph.seed}"]
    for pop in graph.populations:
        lines += ["", *_population(pop, full)]
    for proj in graph.projections:
        lines += ["", *_projection(proj, full)]
    for modulator in graph.modulators:
        lines += ["", *_modulator(modulator, full)]
    if graph.probes:
        lines.append("")
    for probe in graph.probes:
        what = f"{_name(probe.object)}.{probe.variable}"
        lines.append(f"probe {_name(probe.name)} of {what} every={probe.every} phase={probe.phase}")
    if graph.schedule:
        lines.append("")
    lines += [_phase(phase) for phase in graph.schedule]
    if graph.metadata:
        lines.append("")
    for key in sorted(graph.metadata):
        lines.append(f"metadata {_name(key)} {json.dumps(graph.metadata[key], sort_keys=True, default=repr)}")
    return "\n".join(lines) + "\n"


def _population(pop: Population, full: bool) -> Iterator[str]:
    if pop.kind == "input":
        yield f"input {_name(pop.name)} n={pop.n} {'graded' if pop.graded else 'binary'}"
        return
    yield f"{pop.kind} {_name(pop.name)} n={pop.n}"
    keys = ["tau_m", "tau_s", "v_th", "v_th_low", "bias", "refractory", "resistance", "v_init", "u_init"]
    for key in keys:
        if key != "v_th_low" or pop.kind == "ternary":
            yield from _parameter(key, getattr(pop, key), full)
    if pop.reset_interval:
        yield f"  reset every={pop.reset_interval} offset={pop.reset_offset}"
    if pop.adaptation is not None:
        for key in ("increment", "tau", "init"):
            yield from _parameter(f"adaptation.{key}", getattr(pop.adaptation, key), full)
        for key in ("drift", "floor"):  # not where they are not used, so that texts stay as they were
            if getattr(pop.adaptation, key):
                yield from _parameter(f"adaptation.{key}", getattr(pop.adaptation, key), full)


def _projection(proj: Projection, full: bool) -> Iterator[str]:
    kind = f"{proj.layout} {proj.sign} {'graded' if proj.graded else 'binary'}"
    yield f"projection {_name(proj.name)} {_name(proj.pre)} -> {_name(proj.post)} {kind}"
    yield from _parameter("weights", proj.weights, full)
    yield from _parameter("delays", proj.delays, full)
    if proj.indptr is not None:
        yield from _parameter("indptr", proj.indptr, full)
        yield from _parameter("indices", proj.indices, full)
    if proj.rule is not None:
        yield f"  rule {_shown(proj.rule)}"
    if proj.w_max is not None:
        yield f"  w_max {_value(proj.w_max)}"
    if proj.short_term is not None:
        for key in ("U", "tau_rec", "tau_facil", "learned_use"):
            yield from _parameter(f"short_term.{key}", getattr(proj.short_term, key), full)


def _modulator(modulator: Modulator, full: bool) -> Iterator[str]:
    size = "shared" if modulator.of is None else f"of {_name(modulator.of)} n={modulator.n}"
    yield f"modulator {_name(modulator.name)} {size} {modulator.mode}"
    for name, gain in modulator.sources:
        yield f"  source {_name(name)} {_value(gain)}"
    for key in ("tau", "full_scale", "init"):
        yield from _parameter(key, getattr(modulator, key), full)


def _phase(phase: Phase) -> str:
    what = f"phase step={phase.step} {phase.operation}"
    if phase.operation == "modulator":
        return f"{what} {_name(phase.object)} = {_value(phase.value)}"
    return f"{what} of {_name(phase.object)} {'on' if phase.on else 'off'}"


def _parameter(key: str, value: Any, full: bool) -> Iterator[str]:
    array = np.asarray(value) if value is not None else None
    if array is None or array.ndim == 0:
        yield f"  {key} {_value(value)}"
        return
    shape = ",".join(map(str, array.shape))
    span = f" {_value(array.min())}..{_value(array.max())}" if array.size else ""
    little = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("<"))
    yield f"  {key} {array.dtype.name}[{shape}]{span} #{blake2b(little.tobytes(), digest_size=6).hexdigest()}"
    if full:
        flat = array.ravel()
        for at in range(0, flat.size, _WIDTH):
            yield "    " + " ".join(_value(x) for x in flat[at : at + _WIDTH])


def _value(value: Any) -> str:
    if value is None:
        return "default"
    if isinstance(value, np.generic):
        value = value.item()
    # An int and the equal float are the same parameter: 1 and 1.0 must not differ.
    return repr(int(value)) if isinstance(value, float) and value.is_integer() and abs(value) < 1e15 else repr(value)


def _shown(value: Any) -> str:
    """A rule as its constructor call, the same whatever kind of mapping or subclass of dataclass holds its parts."""
    if is_dataclass(value) and not isinstance(value, type):
        shown = [item.name for item in fields(value) if item.repr]
        # What rules got later is left out where it is not used, so that texts stay as they were.
        unused = {i.name for i in fields(value) if i.metadata.get("extension") and not getattr(value, i.name)}
        parts = [f"{name}={_shown(getattr(value, name))}" for name in shown if name not in unused]
        return f"{type(value).__name__}({', '.join(parts)})"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{key!r}: {_shown(held)}" for key, held in value.items()) + "}"
    return repr(value)


def _name(name: str) -> str:
    return name if _PLAIN.fullmatch(name) else json.dumps(name, ensure_ascii=False)
