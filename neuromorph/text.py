"""Stable text of programs and of what lies between graph and program: for people, golden tests, ``--print-after``.

One line for an object; values that equal their defaults are left out; long arrays are summarised with a checksum.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuromorph.passes.base import State
    from neuromorph.program import Program

__all__ = ["program_text", "state_text"]

SHOWN = 8  # longest array that is written out
DIGITS = 9  # significant, so that another libm's last bit does not show


def _array(values: NDArray[Any]) -> str:
    if values.size <= SHOWN and values.ndim <= 1:
        return "[" + " ".join(_value(v) for v in values.tolist()) + "]"
    shape = "x".join(map(str, values.shape))
    low, high = (_value(v) for v in (values.min().item(), values.max().item()))
    text = " ".join(_value(v) for v in values.ravel().tolist())
    return f"<{shape} {values.dtype.kind} {low}..{high} #{hashlib.blake2s(text.encode()).hexdigest()[:8]}>"


def _value(value: object) -> str:
    if isinstance(value, np.ndarray):
        return _array(value) if value.ndim else _value(value.item())
    if isinstance(value, bool) or value is None:
        return str(value).lower()
    if isinstance(value, (float, np.floating)):
        return f"{float(value):.{DIGITS}g}"
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{k}: {_value(v)}" for k, v in value.items()) + "}"
    if isinstance(value, (tuple, list)):
        return "(" + ", ".join(map(_value, value)) + ")"
    if is_dataclass(value):
        return f"{type(value).__name__}({_fields(value)})"
    return str(value)


def _fields(item: Any, leave_out: tuple[str, ...] = ()) -> str:
    parts = []
    for f in fields(item):
        value = getattr(item, f.name)
        plain = not isinstance(value, np.ndarray) and f.default is not MISSING and value == f.default
        empty = isinstance(value, (tuple, Mapping)) and not value
        if f.name not in leave_out and not plain and not empty:
            parts.append(f"{f.name}={_value(value)}")
    return " ".join(parts)


def _lines(kind: str, items: Any) -> list[str]:
    return [f"{kind} {item.name}: {_fields(item, ('name',))}" for item in items]


def program_text(program: Program) -> str:
    """The text of a program; integers only, besides dt and the scales."""
    lines = [
        f"program {program.name}: dt={_value(program.dt)} seed={program.seed} profile={program.profile} "
        f"rounding={program.rounding}"
    ]
    lines += _lines("population", program.populations.values())
    lines += _lines("projection", program.projections.values())
    lines += _lines("modulator", program.modulators.values())
    lines += _lines("probe", program.probes)
    lines += [
        f"at {p.step}: {p.operation} of {p.object} "
        + (str(p.value) if p.operation == "modulator" else "on" if p.on else "off")
        for p in program.schedule
    ]
    lines += [f"scale {name}: {_value(dict(values))}" for name, values in program.scales.items()]
    return "\n".join(lines) + "\n"


def state_text(state: State) -> str:
    """The text of what the passes have made so far."""
    if state.program is not None:
        lines = [program_text(state.program)]
        lines += [f"memory {m.target}: {_fields(m, ('target',))}\n" for m in state.memory]
        return "".join(lines)
    if state.populations:
        lines = _lines("population", state.populations.values()) + _lines("projection", state.projections.values())
        lines += _lines("modulator", state.modulators.values())
        lines += [f"scale {name}: {_value(dict(values))}" for name, values in state.scales.items()]
        return "\n".join(lines) + "\n"
    lines = [state.graph.text()]
    lines += [f"dynamics {name}: {_fields(d)}\n" for name, d in state.dynamics.items()]
    return "".join(lines)
