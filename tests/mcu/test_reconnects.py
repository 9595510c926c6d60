"""A port that goes away in the middle of something and comes back: a session again, and no step or state lost."""

from __future__ import annotations

import sys

import pytest

from neuromorph_mcu.boards import posix_program
from tests.mcu.hosts import board
from tests.mcu.reconnects import READY, WAYS, reconnects

pytest.importorskip("serial", reason="ports need pyserial: pip install 'neuromorph[mcu]'")
pytestmark = [
    pytest.mark.skipif(not posix_program().is_file(), reason="the firmware was not built: run `make build`"),
    pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals"),
]


def test_each_reconnect_finds_step_and_state_as_they_must_be() -> None:
    """A few; a thousand, and those in QEMU: ``python -m tests.mcu.reconnects``."""
    with board("pty") as url:
        seen = reconnects(url, 3 * len(WAYS))
    assert sum(seen.what.values()) == len(seen.seconds) == 3 * len(WAYS)
    assert max(seen.seconds) < READY
    assert seen.steps > 100
