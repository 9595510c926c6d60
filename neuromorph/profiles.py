"""Numeric profiles: how many bits a machine gives to weights, tags and traces (docs/semantics.md, 4 and 6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

__all__ = ["LOIHI2", "PROFILES", "WIDE", "Profile"]


@dataclass(frozen=True, slots=True)
class Profile:
    """The numbers of a machine. All profiles have the same machine units; they differ in fractional bits.

    Attributes
    ----------
    name : str
        As users write it.
    code : int
        Its number in images.
    weight_frac, trace_frac, constant_frac : int
        Fractional bits of weights and tags, of traces, and of constants in rules.
    weights : mapping of str to (int, int)
        Range of weights by sign mode, in steps of ``2^-weight_frac``.
    tag_1, tag_2 : (int, int)
        Range of tags.
    trace_max : int
        Largest value of a trace.
    exp_min : int
        Smallest exponent of a product's scale.
    even : bool
        Whether static weights of both signs are held even.
    shared : bool
        Whether it has shared rounding and the wrapping graded trace, which are the reference implementation's.
    decay_bytes : int
        Bytes that say how a trace decays.
    """

    name: str
    code: int
    weight_frac: int
    trace_frac: int
    constant_frac: int
    weights: Mapping[str, tuple[int, int]]
    tag_1: tuple[int, int]
    tag_2: tuple[int, int]
    trace_max: int
    exp_min: int
    even: bool
    shared: bool
    decay_bytes: int

    @property
    def one(self) -> int:
        """Steps of a weight, or of a tag, in one machine unit."""
        return 1 << self.weight_frac


LOIHI2 = Profile(
    "loihi2", 0, 0, 0, 0, {"mixed": (-256, 255), "exc": (0, 255), "inh": (-255, 0)}, (-257, 255), (0, 255), 127, -7,
    even=True, shared=True, decay_bytes=1032,
)  # fmt: skip
"""8-bit weights and 7-bit traces, as the reference implementation holds them."""

WIDE = Profile(
    "wide", 1, 7, 8, 6, {"mixed": (-32768, 32640), "exc": (0, 32640), "inh": (-32640, 0)}, (-32768, 32640), (0, 32640),
    127 << 8, -22, even=False, shared=False, decay_bytes=4,
)  # fmt: skip
"""16-bit weights, tags and traces: the same units and the same ends, finer."""

PROFILES = {profile.name: profile for profile in (LOIHI2, WIDE)}
