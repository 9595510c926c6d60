"""Our engines give what Lava and nengo-loihi gave when these vectors were recorded; needs neither of them.

Recorded by: python -m neuromorph.testing.vectors loihi:lava-fast tests/vectors 40
and:         python -m neuromorph.testing.vectors loihi:nengo tests/vectors 20
"""

from __future__ import annotations

from pathlib import Path

import pytest

from neuromorph.targets import find
from neuromorph.testing.vectors import check

VECTORS = sorted(Path(__file__).parent.glob("*.npz"))
SIZE_MAX = 3 << 20


@pytest.mark.parametrize("path", VECTORS, ids=lambda path: path.stem)
@pytest.mark.parametrize("target", ["cpu:ref", "cpu"])
def test_recorded_vectors(target: str, path: Path) -> None:
    backend, found = find(target)
    engine = backend.open(found)
    try:
        assert not check(path, engine)
    finally:
        engine.close()


def test_there_are_vectors_of_both_peers_and_they_are_small() -> None:
    peers = {path.stem.rpartition("-")[0] for path in VECTORS}
    assert peers == {"loihi-lava-fast", "loihi-nengo"}
    assert sum(path.stat().st_size for path in VECTORS) <= SIZE_MAX


def test_a_difference_is_found_and_named() -> None:
    from neuromorph_cpu.ref_engine import RefEngine

    class Wrong(RefEngine):
        def load(self, image: bytes) -> None:
            super().load(image)
            key = next(key for key in self.reference.state if key[1] == "v")
            self.reference.state[key][0] += 1 << 16

    assert "step 1: " in check(VECTORS[0], Wrong())
