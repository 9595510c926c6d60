"""Share of the line's rate that an upload and a trace reach: ``python -m tests.mcu.line_rate [BAUD]``.

The board is the firmware as a program whose pseudo-terminal is limited to BAUD (921600 by default; ten bits to a byte).
The exit status is 1 if one of them stays under 80%.
"""

from __future__ import annotations

import sys
import time

import numpy as np

from neuromorph.program import Population, Probe, Program, Projection, build
from neuromorph.session import Session
from neuromorph_mcu.engine import McuEngine

LEAST = 0.8


def program() -> Program:
    """Some 200 KiB of weights, and some 500 bytes of trace in each step."""
    rng = np.random.default_rng(1)
    weights = rng.integers(-60, 60, (400, 500)) * 2
    pops = [Population("in", 400, "input"), Population("cells", 500, du=1000, dv=300, vth=1000, bias=100)]
    probes = (Probe("u", "cells", "u"),)
    return build(pops, [Projection("syn", "in", "cells", weights)], probes=probes)


def main() -> int:
    """Measure and print both."""
    baud = int(sys.argv[1]) if len(sys.argv) > 1 else 921_600
    run = program()
    engine = McuEngine("mcu:posix", f"nmposix://?rate={baud}")
    with Session(run, engine) as board:
        began = time.monotonic()
        engine.load(run.image)
        upload = len(run.image) / (time.monotonic() - began)
        began = time.monotonic()
        steps = 200
        board.run(steps=steps)
        trace = steps * 4 * 500 / (time.monotonic() - began)
    line = baud / 10
    for what, speed in (("upload", upload), ("trace", trace)):
        print(f"{what}: {speed:.0f} bytes/s, {speed / line:.1%} of the line")
    return 0 if min(upload, trace) >= LEAST * line else 1


if __name__ == "__main__":
    sys.exit(main())
