"""A reset of a board in QEMU after a frame of an update: the old program or none, and the next update is taken."""

from __future__ import annotations

import pytest

from neuromorph_mcu.boards import QEMU
from tests.mcu.frame_resets import resets_of
from tests.mcu.test_qemu import lacks

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")


@pytest.mark.skipif(bool(lacks(QEMU["mps2-an385"])), reason=f"mcu:qemu-mps2-an385 {lacks(QEMU['mps2-an385'])}")
def test_a_reset_in_mid_update_leaves_no_part_of_a_program() -> None:
    """Of a board without a store. After every frame, and of one with a store: ``python -m tests.mcu.frame_resets``."""
    with resets_of("mps2-an385", 4) as resets:
        assert resets.reset(resets.frames // 2, limit=60.0, late=True) == "none"
