"""Recorded vectors: random programs and what a peer made of them, so that equality outlives the peer's packages.

    python -m neuromorph.testing.vectors loihi:lava-fast tests/vectors 40

A vector is an .npz file: `image`, the inputs, `columns` (spikes of each population, then each state item), `crc` (step,
column): CRC-32 of each column's values as bytes after each step, `final`: the peer's state (.nms) at the end, and
`versions`.
"""

from __future__ import annotations

import io
import json
import sys
import zlib
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import UnsupportedError, ValidationError
from neuromorph.image import decode
from neuromorph.inputs import SpikeTrain
from neuromorph.session import Session
from neuromorph.state import State, items
from neuromorph.testing.peers import all_probes, fit_lava, fit_nengo, peer_case
from neuromorph.testing.programs import Draw
from neuromorph.worker.engine import WorkerEngine

if TYPE_CHECKING:
    from collections.abc import Callable

    from neuromorph.engine import Engine
    from neuromorph.trace import Trace

__all__ = ["check", "record"]

FITS: dict[str, Callable[[Draw], Draw]] = {
    "loihi:lava": fit_lava, "loihi:lava-fast": fit_lava, "loihi:nengo": fit_nengo,
}  # fmt: skip
SIZE_MAX = 48 << 10
"""Bytes of a vector; larger programs are left out."""


def record(drawn: Draw, engine: WorkerEngine) -> bytes:
    """A vector of what a peer makes of a program, from step 0 on, with probes on everything in every step."""
    drawn = replace(drawn, program=replace(drawn.program, probes=all_probes(drawn.program)))
    engine.load(drawn.program.image)
    session = Session(drawn.program, engine)
    trace = session.run(steps=drawn.steps, inputs=_trains(drawn))
    columns = [probe.name for probe in drawn.program.probes]
    arrays: dict[str, Any] = {
        "image": np.frombuffer(drawn.program.image, np.uint8), "columns": np.array(columns), "steps": drawn.steps,
        "crc": _crc(drawn, trace), "final": np.frombuffer(session.snapshot().to_bytes(), np.uint8),
        "versions": json.dumps(engine.versions()),
    }  # fmt: skip
    for name, events in drawn.events.items():
        for part, values in zip(("step", "index", "payload"), events, strict=True):
            arrays[f"{part} {name}"] = values.astype(np.int32)
    out = io.BytesIO()
    np.savez_compressed(out, **arrays)
    return out.getvalue()


def check(path: Path, engine: Engine) -> str:
    """How an engine differs from a vector: the first step and what differs there; empty if it does not."""
    with np.load(path, allow_pickle=False) as held:
        program = decode(held["image"].tobytes())
        names = [name.partition(" ")[2] for name in held.files if name.startswith("step ")]
        events: Any = {n: tuple(held[f"{p} {n}"].astype(np.int64) for p in ("step", "index", "payload")) for n in names}
        drawn = Draw(program, events, int(held["steps"]))
        columns, crc, final = held["columns"].tolist(), held["crc"], held["final"].tobytes()
    engine.load(program.image)
    session = Session(program, engine)
    trace = session.run(steps=drawn.steps, inputs=_trains(drawn))
    wrong = np.argwhere(_crc(drawn, trace) != crc)
    if wrong.size:
        step = int(wrong[0][0])
        which = ", ".join(columns[k] for t, k in wrong if t == step)
        return f"{path.name}: step {step + 1}: {which} on {engine.target}"
    ours, theirs = (list(state.split(program)) for state in (session.snapshot(), State.from_bytes(final)))
    differ = [item.name for (item, a), (_, b) in zip(ours, theirs, strict=True) if a != b]
    return f"{path.name}: at the end: {', '.join(differ)} on {engine.target}" if differ else ""


def _trains(drawn: Draw) -> dict[str, SpikeTrain]:
    pops = drawn.program.populations
    return {
        name: SpikeTrain(steps, indices, payloads if pops[name].graded else None)
        for name, (steps, indices, payloads) in drawn.events.items()
    }


def _crc(drawn: Draw, trace: Trace) -> NDArray[np.uint32]:
    """Checksums, shape (steps, columns)."""
    dtypes = {item.name: item.dtype for item in items(drawn.program)}
    found = np.zeros((drawn.steps, len(drawn.program.probes)), np.uint32)
    for k, probe in enumerate(drawn.program.probes):
        if probe.variable == "spikes":
            spikes = trace.spikes(probe.name)
            payloads = np.ones(spikes.steps.size) if spikes.payloads is None else spikes.payloads
            values = np.zeros((drawn.steps, drawn.program.populations[probe.object].n), "<i4")
            values[spikes.steps - 1, spikes.indices] = payloads
        else:
            values = trace.states(probe.name).values.astype(dtypes[f"{probe.object}.{probe.variable}"])
        found[:, k] = [zlib.crc32(row.tobytes()) for row in values]
    return found


def main(target: str, folder: str, count: str) -> None:
    """Record vectors of a peer anew."""
    from neuromorph.targets import find

    backend, found = find(target)
    engine = backend.open(found)
    if target not in FITS or not isinstance(engine, WorkerEngine):
        raise ValidationError(f"{target!r} is no peer; one of {', '.join(FITS)}")
    out, name = Path(folder), target.replace(":", "-")
    out.mkdir(parents=True, exist_ok=True)
    for old in out.glob(f"{name}-*.npz"):
        old.unlink()
    seed = made = total = 0
    while made < int(count):
        drawn = peer_case(seed, FITS[target]).draw
        seed += 1
        try:
            data = record(drawn, engine)
        except UnsupportedError:
            continue
        if len(data) > SIZE_MAX:
            continue
        (out / f"{name}-{seed - 1:03}.npz").write_bytes(data)
        made, total = made + 1, total + len(data)
    print(f"{made} vectors of {target} ({engine.versions()}), {total} bytes, in {out}")
    engine.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
