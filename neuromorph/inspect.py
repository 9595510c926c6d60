"""What is in a file: images (.nmi), states (.nms) and traces (.npz), as plain data and as text."""

from __future__ import annotations

import struct
from pathlib import Path
from typing import Any

import numpy as np

from neuromorph.errors import ValidationError
from neuromorph.files import load_file, read_file
from neuromorph.program import Modulator, Population, Program, Projection
from neuromorph.rule import MODULATORS
from neuromorph.state import SEMANTICS, State
from neuromorph.trace import Spikes, Trace

__all__ = ["describe", "text"]

SECTIONS = {
    1: "machine", 2: "metadata", 3: "populations", 4: "projections", 5: "parameters", 6: "rows", 7: "targets",
    8: "weights", 9: "delays", 10: "rules", 11: "products", 12: "factors", 13: "traces", 14: "decay tables",
    15: "streams", 16: "schedule", 17: "probes", 18: "initial states", 19: "modulators", 20: "sources",
}  # fmt: skip


def describe(path: str | Path, program: Program | None = None) -> dict[str, Any]:
    """The contents of a file as plain data, ready for JSON.

    Parameters
    ----------
    path : str or Path
        A .nmi, .nms or .npz file; told by its first bytes.
    program : Program, optional
        Of a state: gives its items names and ranges, which the file does not hold.

    Raises
    ------
    ValidationError
        The file cannot be read, or is of another kind.
    ImageError
        It is broken.
    """
    raw = read_file(path, "file")
    if raw[:4] == b"NMI\x1a":
        return {"file": str(path), "kind": "image", "bytes": len(raw)} | load_file(path, "image", _image)
    if raw[:4] == b"NMS\x1a":
        return {"file": str(path), "kind": "state", "bytes": len(raw)} | _state(State.load(path), program)
    if raw[:2] == b"PK":
        return {"file": str(path), "kind": "trace", "bytes": len(raw)} | describe_trace(Trace.load(path))
    raise ValidationError(f"{path} is neither an image (.nmi), a state (.nms) nor a trace (.npz) of neuromorph")


def _image(raw: bytes) -> dict[str, Any]:
    from neuromorph.image import decode, features, sections

    program = decode(raw)
    table = [
        {"type": s.kind, "section": SECTIONS.get(s.kind, "?"), "offset": s.offset, "count": s.count, "stride": s.stride}
        for s in sections(raw).values()
    ]
    return {
        "format": "{}.{}".format(*struct.unpack_from("<BB", raw, 6)),
        "semantics": struct.unpack_from("<H", raw, 28)[0],
        "digest": program.digest,
        "name": program.name,
        "profile": program.profile,
        "rounding": program.rounding,
        "dt": program.dt,
        "seed": program.seed,
        "deadline_us": program.deadline_us,
        "counter": program.counter,
        "features": list(features(program)),
        "populations": [_population(p) for p in program.populations.values()],
        "projections": [_projection(p) for p in program.projections.values()],
        "modulators": [_modulator(m) for m in program.modulators.values()],
        "probes": [
            {"name": p.name, "object": p.object, "variable": p.variable, "every": p.every, "phase": p.phase}
            for p in program.probes
        ],
        "schedule": [
            {"step": e.step, "operation": e.operation, "object": e.object}
            | ({"value": e.value} if e.operation == "modulator" else {"on": e.on})
            for e in program.schedule
        ],
        "sections": table,
    }


def _span(value: object) -> object:
    """A scalar, or least and greatest of an array."""
    array = np.asarray(value)
    if array.size == 0:
        return None
    if array.min() == array.max():
        return int(array.flat[0])
    return {"min": int(array.min()), "max": int(array.max())}


def _population(pop: Population) -> dict[str, Any]:
    found: dict[str, Any] = {"name": pop.name, "kind": pop.kind, "n": pop.n}
    if pop.kind == "input":
        return found | {"graded": pop.graded}
    found |= {key: _span(getattr(pop, key)) for key in ("du", "dv", "vth", "bias")}
    if pop.is_refractory:
        found["refractory"] = _span(pop.refractory)
    if pop.kind == "ternary":
        found["vth_lo"] = _span(pop.vth_lo)
    if pop.has_reset:
        found |= {"reset_interval": pop.reset_interval, "reset_offset": pop.reset_offset}
    if pop.adaptive:
        found["theta_inc"] = _span(pop.theta_inc)
        drift = ("theta_drift", "theta_min") if pop.drifts else ()
        found |= {key: getattr(pop, key) for key in ("theta_decay", "theta_period", "theta_frac", *drift)}
    return found


def _modulator(modulator: Modulator) -> dict[str, Any]:
    return {
        "name": modulator.name, "of": modulator.of or "all", "mode": modulator.mode, "decay": modulator.decay,
        "period": modulator.period, "frac": modulator.frac, "init": _span(modulator.init),
        "sources": [f"{gain} * {source}" for source, gain in modulator.sources],
    }  # fmt: skip


def _projection(proj: Projection) -> dict[str, Any]:
    found: dict[str, Any] = {
        "name": proj.name, "pre": proj.pre, "post": proj.post, "layout": proj.layout, "synapses": proj.synapses,
        "sign_mode": proj.sign_mode, "weight_exp": proj.weight_exp, "graded": proj.graded,
        "weights": _span(proj.weights), "delays": _span(proj.delays),
    }  # fmt: skip
    if proj.short_term is not None:
        found["short_term"] = {
            "use": _span(proj.short_term.use), "recovery": list(proj.short_term.recovery),
            "facilitation": list(proj.short_term.facilitation), "learned_use": proj.short_term.learned_use,
        }  # fmt: skip
    if proj.rule is not None:
        from neuromorph.language import format_products

        rule = proj.rule
        sums = {"dw": rule.dw, "dd": rule.dd, "dt": rule.dt}
        found["rule"] = {
            **{key: format_products(products) for key, products in sums.items() if products},
            "t_epoch": rule.t_epoch,
            "traces": {k: {"impulse": t.ii + t.fi / 256, "tau": t.tau} for k, t in rule.traces.items()},
            "plastic": proj.plastic,
        }
        if rule.modulators:
            found["rule"]["modulators"] = dict(zip(MODULATORS, rule.modulators, strict=False))
        if "q" in rule.variables:
            found["rule"]["sum_shift"] = rule.sum_shift
    return found


def _state(state: State, program: Program | None) -> dict[str, Any]:
    found: dict[str, Any] = {
        "semantics": SEMANTICS, "digest": state.digest, "step": state.step, "position": state.position,
        "items": state.count,
    }  # fmt: skip
    if program is not None:
        arrays = state.arrays(program)
        found["values"] = [
            {
                "item": item.name, "type": item.dtype.name, "shape": list(item.shape),
                "min": int(arrays[item.name].min(initial=0)), "max": int(arrays[item.name].max(initial=0)),
            }
            for item, _ in state.split(program)
        ]  # fmt: skip
    return found


def describe_trace(trace: Trace) -> dict[str, Any]:
    """A trace in short: where it comes from, and of each probe its size and its mean rate or range."""
    return {
        "name": trace.name, "target": trace.target, "digest": trace.digest, "semantics": trace.semantics,
        "dt": trace.dt, "start": trace.start, "stop": trace.stop, "complete": trace.complete, "dropped": trace.dropped,
        "numbers": trace.numbers,
        "probes": {name: _column(trace, name) for name in trace}, "counters": trace.counters,
    }  # fmt: skip


def _column(trace: Trace, name: str) -> dict[str, Any]:
    column = trace[name]
    if isinstance(column, Spikes):
        rate = float(trace.rates(name).mean())
        return {"variable": "spikes", "n": column.n, "spikes": len(column), "mean_rate": round(rate, 4)}
    values = column.values
    return {
        "variable": column.variable, "shape": list(column.shape), "samples": len(column), "scale": column.scale,
        "min": values.min().item() if values.size else None, "max": values.max().item() if values.size else None,
    }  # fmt: skip


def text(data: dict[str, Any]) -> str:
    """`describe` as text: scalars first, then one table per list."""
    lines = []
    tables = {}
    for key, value in data.items():
        if isinstance(value, dict) and value and all(isinstance(v, dict) for v in value.values()):
            tables[key] = [{"name": name} | row for name, row in value.items()]
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            tables[key] = value
        elif value not in ([], {}):
            lines.append(f"{key:<10} {_cell(value)}")
    for key, rows in tables.items():
        lines.extend(["", key, *_table(rows)])
    return "\n".join(lines)


def _table(rows: list[dict[str, Any]]) -> list[str]:
    keys = list(
        dict.fromkeys(key for row in rows for key in row if not isinstance(row[key], dict) or "min" in row[key])
    )
    cells = [[_cell(row.get(key, "")) for key in keys] for row in rows]
    widths = [max(map(len, column)) for column in zip(keys, *cells, strict=True)]
    lines = ["  " + "  ".join(k.ljust(w) for k, w in zip(keys, widths, strict=True)).rstrip()]
    for row, shown in zip(rows, cells, strict=True):
        lines.append("  " + "  ".join(c.ljust(w) for c, w in zip(shown, widths, strict=True)).rstrip())
        for key, value in row.items():
            if key not in keys:
                lines.append(f"      {key}: " + ", ".join(f"{k} = {_cell(v)}" for k, v in value.items()))
    return lines


def _cell(value: object) -> str:
    if isinstance(value, dict):
        if set(value) == {"min", "max"}:
            return f"{value['min']}..{value['max']}"
        return ", ".join(f"{k} {_cell(v)}" for k, v in value.items())
    if isinstance(value, list):
        return ", ".join(map(str, value))
    return f"{value:g}" if isinstance(value, float) else str(value)
