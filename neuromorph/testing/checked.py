"""Random programs on a C engine that checks itself: ``python -m neuromorph.testing.checked LIBRARY BATCH``.

A process of its own, as the run-time library of such a build must be there before Python is. A broken rule (an address
outside of an array, undefined behaviour) ends it; what differs from the plain build is printed.
"""

from __future__ import annotations

import sys
from pathlib import Path

from neuromorph.compare import compare
from neuromorph.testing.equality import CHECKED, active, engine_for, trace_of

__all__ = ["difference"]


def difference(library: Path, seed: int) -> str:
    """Run the program of `random_case` on the plain library and on the checked one; empty if they agree."""
    from neuromorph_cpu.native import NativeEngine

    drawn, plain = active(seed, NativeEngine)
    found = compare(plain, trace_of(drawn, engine_for(seed, library)))
    return "" if found.equal else f"program {seed}: {found.explain()}"


if __name__ == "__main__":
    for seed in CHECKED[int(sys.argv[2])]:
        print(difference(Path(sys.argv[1]), seed), end="", flush=True)
