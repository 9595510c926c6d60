"""Numbers of the image format (``docs/image.md``, 1): codes, record layouts, section types."""

from __future__ import annotations

import struct
from typing import cast

import numpy as np

MAGIC = b"NMI\x1a"
MAJOR, MINOR, SEMANTICS = 1, 0, 1
HEADER = 160
FEATURES = (
    "plastic", "shared_rounding", "synapse_rounding", "graded", "delays", "sparse", "adaptive_threshold",
    "refractory", "ternary", "scheduled_reset", "tags", "schedule", "modulators", "extended_factors", "resource_sums",
    "short_term", "threshold_drift",
)  # fmt: skip
KINDS = ("input", "lif", "ternary")
SIGNS = ("mixed", "exc", "inh")
OPERATIONS = ("plasticity", "adaptation", "modulator")
MODES = ("add", "hold")
PROBE_CODES = {
    "spikes": 0, "u": 1, "v": 2, "refr": 3, "theta": 4, "adapt": 5, "ring": 16, "w": 17, "tag_1": 18, "tag_2": 19,
    "x1": 20, "x2": 21, "y1": 22, "y2": 23, "y3": 24, "tx": 25, "ty": 26, "plastic": 27,
    "stp_u": 28, "stp_x": 29, "since": 30, "m": 32,
}  # fmt: skip
"""Codes of what a probe can sample and of state items (docs/image.md, 1 and 2)."""
VARIABLE_OF = {code: name for name, code in PROBE_CODES.items()}
ARRAY_FIELDS = ("du", "dv", "vth", "bias", "refractory", "vth_lo", "theta_inc")

DEMANDS = struct.Struct("<II")
"""Deadline in microseconds and security counter, at byte 32 of the header."""
ENTRY = struct.Struct("<HHIIIII")
MACHINE = struct.Struct("<QIBB2xHHH10x")
POPULATION = struct.Struct("<BBBxI7iIIHBBIII4x")
DRIFT = struct.Struct("<Ii")  # behind it, in records of 72 bytes
PROJECTION = struct.Struct("<HHBBBbBBBBHHIIIII28x")
RULE = struct.Struct("<BBBBI3H3H5Hxx5I4HBxH")
PRODUCT = struct.Struct("<BBbbHBx")
FACTOR = struct.Struct("<BBh")
TRACE = struct.Struct("<BBHId")
SCHEDULE = struct.Struct("<IBBHi")
PROBE = struct.Struct("<BBHIIxxxx")
MODULATOR = struct.Struct("<BBHHBBIHxxi12x")
SOURCE = struct.Struct("<Hxxi")
SHORT_TERM = struct.Struct("<BxHI16H16H")
SECTIONS = {
    1: (32, True), 2: (1, False), 3: (64, True), 4: (64, True), 5: (4, True), 6: (12, True), 7: (4, True), 8: (1, True),
    9: (1, True), 10: (64, True), 11: (8, True), 12: (4, True), 13: (16, True), 14: (1032, True), 15: (32, True),
    16: (12, True), 17: (16, False), 18: (4, True), 19: (32, True), 20: (8, True),
    21: (72, True), 22: (2, True),
}  # fmt: skip
"""Stride of each type of section, and whether it is logical: part of the digest."""
GROWING = frozenset((1, 3, 4, 10, 11, 12, 13, 16, 17, 19, 20, 21))
"""Sections whose records may have more fields in a later version."""
STRIDE_MAX = (1 << 16) - 1


def stream_bytes(seed: int) -> bytes:
    """A record of section 15: the random stream of a seed before its first output."""
    state = cast("dict[str, dict[str, int]]", np.random.PCG64(seed).state)["state"]
    return state["state"].to_bytes(16, "little") + state["inc"].to_bytes(16, "little")
