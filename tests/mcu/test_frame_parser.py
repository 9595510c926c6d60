"""The parsers of frames in C and in Python find the same in the same bytes."""

from __future__ import annotations

from tests.mcu.frame_parser import compare


def test_c_and_python_agree_on_frames_and_on_what_is_dropped() -> None:
    """Three megabytes; a thousand: ``python -m tests.mcu.frame_parser``."""
    parsed = compare(3_000_000, seed=2)
    assert parsed.frames > 1000
    assert min(parsed.crc_err, parsed.cobs_err, parsed.overlong, parsed.mislabelled) > 50
