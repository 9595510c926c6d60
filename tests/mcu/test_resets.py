"""Uploads that are cut; ``python -m tests.mcu.resets`` does it at every byte."""

from __future__ import annotations

import ctypes
import random
from pathlib import Path

import pytest

from tests.mcu.conftest import compile_board
from tests.mcu.resets import NEW, READY, ROOMY, cut_upload, upload_bytes


@pytest.mark.parametrize("reset", [True, False], ids=["board reset", "host died"])
def test_a_cut_anywhere_leaves_the_old_or_the_new_image(tmp_path: Path, reset: bool) -> None:
    board = ctypes.CDLL(str(compile_board(tmp_path, ROOMY)))
    total = upload_bytes(board)
    assert total > len(NEW)
    rng = random.Random(total)
    for after in [0, 1, total - 2, total - 1, *rng.sample(range(total), 60)]:
        taken, ready = cut_upload(board, after, reset=reset, again=True)
        assert taken == after
        assert 0 < ready < READY
