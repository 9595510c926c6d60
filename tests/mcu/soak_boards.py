"""Frames over bad lines to whole boards in real time: ``python -m tests.mcu.soak_boards [FRAMES] [--boards NAMES]``.

A program with graded inputs streams in and out over ``fault://`` before each board, with the kinds of faults of
``tests.mcu.soak``; every chunk of its trace must equal that of `cpu`, so that each message arrived exactly once and in
order. The link ends a session that stalls for 5 s. One line is printed for each board and kind: the token that replays
it, bytes of records per second (both ways together) and the longest time without any from the board.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from dataclasses import replace
from urllib.parse import quote

import numpy as np

import neuromorph as nm
from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.session import Session
from neuromorph_mcu.engine import McuEngine
from tests.mcu.soak import shares

BOARDS = {
    "mcu:posix": "nmposix://",
    "mcu:qemu-mps2-an385": "nmqemu://mps2-an385",
    "mcu:qemu-virt": "nmqemu://virt",
}
CHUNK = 50
"""Steps between two comparisons."""


class Watched(McuEngine):
    """An engine that counts bytes of records, the seconds of its runs, and the longest of them without output."""

    moved, seconds, silence = 0, 0.0, 0.0

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
        *,
        period: int = 0,
    ) -> None:
        began = last = time.monotonic()

        def watch(output: bytes) -> None:
            nonlocal last
            now = time.monotonic()
            self.silence, last = max(self.silence, now - last), now
            self.moved += len(output)
            on_output(output)

        super().run(steps, records, watch, on_progress, period=period)
        self.moved += len(records)
        self.seconds += time.monotonic() - began


def program() -> Program:
    """Inputs whose payloads come back as spikes and as currents."""
    rng = np.random.default_rng(1)
    source, cells = Population("in", 40, "input", graded=True), Population("cells", 40, du=1000, dv=300, vth=900)
    weights = rng.integers(-60, 60, (40, 40)) * 2
    probes = (Probe("in", "in", "spikes"), Probe("u", "cells", "u"), Probe("s", "cells", "spikes"))
    return build([source, cells], [Projection("syn", "in", "cells", weights, graded=True)], probes=probes)


def inputs(rng: np.random.Generator) -> nm.SpikeTrain:
    """About ten spikes in each step of a chunk, with payloads."""
    steps, index = np.nonzero(rng.random((CHUNK, 40)) < 0.25)
    return nm.SpikeTrain(steps + 1, index, rng.integers(1, 1000, steps.size))


def soak(name: str, url: str, faults: str, frames: int) -> str:
    """Stream until so many frames went both ways; what came of it. Raises AssertionError with the token."""
    run = program()
    engine = Watched(name, f"fault://?{faults}&url={quote(url)}")
    rng, began, moved, chunks = np.random.default_rng(1), time.monotonic(), 0, 0
    with Session(run, engine) as board, nm.open(run, "cpu") as cpu:
        engine.load(run.image)
        while moved < frames:
            given = {"in": inputs(rng)}
            found = nm.compare(cpu.run(steps=CHUNK, inputs=given), board.run(steps=CHUNK, inputs=given))
            if not found.equal:
                raise AssertionError(f"{name}: {found.explain()}; replay: {faults}")
            counted = board.counters
            moved = counted["board_frames_in"] + counted["board_frames_out"]
            chunks += 1
    seconds = time.monotonic() - began
    return (
        f"{moved} frames, {chunks * CHUNK} steps equal, {seconds:.1f} s, {moved / seconds:.0f} frames/s, "
        f"{engine.moved / engine.seconds / 1000:.1f} kB/s, longest silence {engine.silence:.2f} s"
    )


def main() -> int:
    """Each board, each kind of fault."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("frames", nargs="?", type=int, default=10_000, help="for each board; see tests.mcu.soak")
    parser.add_argument("--boards", default=",".join(BOARDS))
    options = parser.parse_args()
    for name in options.boards.split(","):
        for case, part in shares(options.frames):
            token = replace(case.faults, rate=0).token
            print(f"{name}  {token}: ", end="", flush=True)
            print(soak(name, BOARDS[name], token, part), flush=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
