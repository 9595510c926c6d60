"""What the synapses of a projection take on a core: axons, memory, formats (as nengo-loihi counts them)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from neuromorph.program import Projection

__all__ = ["Fan", "Inbound", "axon_bits", "index_bits"]

Ints = NDArray[np.int64]
WORD = 64  # bits; a block of synapses takes whole words
BLOCK = 64  # synapses that share a head
HEAD = 4 + 6  # bits: number of the format, number of synapses
WEIGHT, SIGN, TAG_1, TAG_2 = 8, 1, 9, 8  # bits of a synapse


def axon_bits(synapses: Ints, each: int) -> Ints:
    """Memory of axons with so many synapses of `each` bits: blocks of up to 64 with a head, in words of 64 bits."""
    full, rest = np.divmod(synapses, BLOCK)

    def words(count: Ints | int) -> Ints:
        return -(-(np.asarray(count) * each + HEAD) // WORD) * WORD

    return full * words(BLOCK) + np.where(rest > 0, words(rest), 0)


def index_bits(compartments: int) -> int:
    """Bits of a target's number on a core of so many: 0 for one, else at least 6."""
    return max(6, (compartments - 1).bit_length()) if compartments > 1 else 0


@dataclass(frozen=True, slots=True)
class Fan:
    """Axons that reach a range of targets: `numbers[k]` axons have `sizes[k]` synapses each."""

    sizes: Ints
    numbers: Ints

    @property
    def axons(self) -> int:
        """Axons in all."""
        return int(self.numbers.sum())

    @property
    def synapses(self) -> int:
        """Synapses in all."""
        return int(self.numbers @ self.sizes)

    def bits(self, each: int) -> int:
        """Memory of synapses of `each` bits."""
        return int(self.numbers @ axon_bits(self.sizes, each))


class Inbound:
    """A projection seen from its targets.

    Attributes
    ----------
    projection : Projection
        It.
    each : int
        Bits of a synapse without the target's number.
    format : tuple
        Equal for projections that can share a synapse format.
    traces : frozenset
        Configurations of presynaptic traces that its rule needs.
    """

    def __init__(self, projection: Projection, n_pre: int, n_post: int) -> None:
        self.projection, self.n_pre = projection, n_pre
        rule = projection.rule
        delay = projection.max_delay.bit_length()
        weight = WEIGHT + (SIGN if rule is not None and projection.sign_mode == "mixed" else 0)
        tags = 0 if rule is None else TAG_1 * rule.has_tag_1 + TAG_2 * rule.has_tag_2
        self.each = weight + delay + tags
        self.format = (
            projection.layout, projection.sign_mode, projection.weight_exp, weight, delay, tags, projection.graded,
            repr(rule),
        )  # fmt: skip
        self.traces = frozenset() if rule is None else frozenset(t for k, t in rule.traces.items() if k[0] == "x")
        self._sources: Ints | NDArray[np.uint32] = np.zeros(0, np.int64)
        if projection.indices is not None:
            # Small integers are sorted in linear time.
            by_target = projection.indices.astype(np.uint16 if n_post <= 1 << 16 else np.uint32)
            order = np.argsort(by_target, kind="stable")
            self._sources = projection.pre_of[order].astype(np.uint32)
            self._first = np.concatenate([[0], np.cumsum(np.bincount(projection.indices, minlength=n_post))])

    @property
    def dense(self) -> bool:
        """Whether targets follow each other, so that their numbers need no memory."""
        return self.projection.indices is None

    def per_source(self, start: int, stop: int) -> Ints:
        """Synapses of each source onto targets ``start .. stop - 1``, shape (n_pre,)."""
        if self.dense:
            return np.full(self.n_pre, stop - start, np.int64)
        return np.bincount(self._sources[self._first[start] : self._first[stop]], minlength=self.n_pre)

    def fan(self, start: int, stop: int) -> Fan:
        """The axons that reach targets ``start .. stop - 1``."""
        if self.dense:
            return Fan(np.array([stop - start]), np.array([self.n_pre]))
        numbers = np.bincount(self.per_source(start, stop))
        sizes = np.flatnonzero(numbers[1:]) + 1
        return Fan(sizes, numbers[sizes])
