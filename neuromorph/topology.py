"""Topologies: which source neuron connects to which target neuron. Pairs are drawn from a counter-based stream."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from neuromorph.errors import ValidationError
from neuromorph.parameters import Limit, described, integer, real
from neuromorph.random import Stream

__all__ = ["AllToAll", "Explicit", "FixedInDegree", "FixedProbability", "OneToOne", "Pairs", "Topology"]

Ints = NDArray[np.int64]
BLOCK = 1 << 20  # pairs that are drawn at once


@dataclass(frozen=True, slots=True)
class Pairs:
    """Connected pairs, sorted by source, then target.

    Attributes
    ----------
    pre, post : array (nnz,)
        Source and target neurons.
    order : array (nnz,), optional
        Position of each pair in what the modeller gave; None where pairs are drawn, so that no values per pair can be
        given.
    """

    pre: Ints
    post: Ints
    order: Ints | None = None

    def indptr(self, n_pre: int) -> Ints:
        """Start of each source's pairs, shape (n_pre + 1,)."""
        return np.concatenate(([0], np.cumsum(np.bincount(self.pre, minlength=n_pre)))).astype(np.int64)


@dataclass(frozen=True)
class Topology(ABC):
    """Base of all topologies."""

    @property
    def loops(self) -> bool:
        """Whether a neuron may connect to itself."""
        return bool(getattr(self, "self_loops", True))

    @property
    def all_pairs(self) -> bool:
        """Whether every pair is connected."""
        return False

    @abstractmethod
    def size(self, n_pre: int, n_post: int) -> tuple[float, int]:
        """Synapses to expect, and random numbers that it takes to find them."""

    @abstractmethod
    def pairs(self, where: str, n_pre: int, n_post: int, stream: Stream) -> Pairs:
        """The connected pairs; `where` names the projection in errors."""


@described
@dataclass(frozen=True)
class AllToAll(Topology):
    """Every source to every target.

    Parameters
    ----------
    self_loops : bool
        Whether a neuron of a population that connects to itself reaches itself.
    """

    self_loops: bool = True

    def __post_init__(self) -> None:
        _check_flag(self)

    @property
    def all_pairs(self) -> bool:
        """Whether every pair is connected."""
        return self.self_loops

    def size(self, n_pre: int, n_post: int) -> tuple[float, int]:
        """All pairs."""
        return n_pre * n_post, 0

    def pairs(self, where: str, n_pre: int, n_post: int, stream: Stream) -> Pairs:  # noqa: ARG002
        """All pairs, without the diagonal if there are no self loops."""
        pre, post = np.repeat(np.arange(n_pre), n_post), np.tile(np.arange(n_post), n_pre)
        kept = np.ones(pre.size, bool) if self.self_loops else pre != post
        return Pairs(pre[kept], post[kept])


@described
@dataclass(frozen=True)
class OneToOne(Topology):
    """Neuron i to neuron i, of two populations of the same size."""

    def size(self, n_pre: int, n_post: int) -> tuple[float, int]:  # noqa: ARG002
        """One per neuron."""
        return n_pre, 0

    def pairs(self, where: str, n_pre: int, n_post: int, stream: Stream) -> Pairs:  # noqa: ARG002
        """Equal indices."""
        if n_pre != n_post:
            raise ValidationError(f"{where}: OneToOne needs populations of the same size, not {n_pre} and {n_post}")
        index = np.arange(n_pre)
        return Pairs(index, index, index)


@described
@dataclass(frozen=True)
class FixedProbability(Topology):
    """Each pair is connected with probability `p`, independently.

    Parameters
    ----------
    p : float
        0..1.
    self_loops : bool
        Whether a neuron of a population that connects to itself may reach itself.
    """

    p: float
    self_loops: bool = True

    def __post_init__(self) -> None:
        real("FixedProbability.p", self.p, Limit(0.0, 1.0, hint="a probability"))
        _check_flag(self)

    def size(self, n_pre: int, n_post: int) -> tuple[float, int]:
        """A share p of the pairs, each of which takes a number."""
        return self.p * n_pre * n_post, n_pre * n_post

    def pairs(self, where: str, n_pre: int, n_post: int, stream: Stream) -> Pairs:  # noqa: ARG002
        """Pair (i, j) is there if number ``i n_post + j`` of the stream is below p."""
        found = []
        for first, rows in _blocks(n_pre, n_post):
            chosen = stream.uniform(first * n_post, rows * n_post).reshape(rows, n_post) < self.p
            if not self.self_loops:
                np.fill_diagonal(chosen[:, first:], False)
            found.append(np.argwhere(chosen) + np.array([first, 0]))
        pre, post = np.concatenate(found).astype(np.int64).T
        return Pairs(pre, post)


@described
@dataclass(frozen=True)
class FixedInDegree(Topology):
    """Each target gets exactly `k` distinct sources, every choice equally likely.

    Parameters
    ----------
    k : int
        0..n_pre (n_pre - 1 without self loops).
    self_loops : bool
        Whether a neuron of a population that connects to itself may reach itself.
    """

    k: int
    self_loops: bool = True

    def __post_init__(self) -> None:
        integer("FixedInDegree.k", self.k, 0, 1 << 24)
        _check_flag(self)

    def size(self, n_pre: int, n_post: int) -> tuple[float, int]:
        """K for each target; every pair takes a number."""
        return self.k * n_post, n_pre * n_post

    def pairs(self, where: str, n_pre: int, n_post: int, stream: Stream) -> Pairs:
        """Target j takes the k sources with the smallest of the numbers ``j n_pre + i`` of the stream."""
        most = n_pre if self.self_loops else n_pre - 1
        if self.k > most:
            raise ValidationError(f"{where}: FixedInDegree.k = {self.k}, but there are {most} sources to choose from")
        found = []
        for first, rows in _blocks(n_post, n_pre):
            draws = stream.uniform(first * n_pre, rows * n_pre).reshape(rows, n_pre)
            if not self.self_loops:
                np.fill_diagonal(draws[:, first:], np.inf)
            found.append(np.argpartition(draws, max(self.k - 1, 0), axis=1)[:, : self.k])
        pre = np.concatenate(found).astype(np.int64).ravel()
        post = np.repeat(np.arange(n_post), self.k)
        order = np.lexsort((post, pre))
        return Pairs(pre[order], post[order])


@described
@dataclass(frozen=True, eq=False)
class Explicit(Topology):
    """Exactly the given pairs; values per synapse are in their order.

    Parameters
    ----------
    pre, post : array of int (nnz,)
        Source and target of each synapse; no pair twice.
    """

    pre: ArrayLike
    post: ArrayLike

    def __post_init__(self) -> None:
        for key in ("pre", "post"):
            array = np.asarray(getattr(self, key))
            if array.ndim != 1 or (array.dtype.kind not in "iu" and array.size):
                raise ValidationError(
                    f"Explicit.{key}: a list of neuron indices is needed, not {array.dtype} {array.shape}"
                )
            held = np.array(array, dtype=np.int64)
            held.flags.writeable = False
            object.__setattr__(self, key, held)
        if np.shape(self.pre) != np.shape(self.post):
            raise ValidationError(
                f"Explicit: pre has {np.size(self.pre)} indices and post {np.size(self.post)}; they pair up"
            )

    def __repr__(self) -> str:
        return f"Explicit({np.size(self.pre)} pairs)"

    def size(self, n_pre: int, n_post: int) -> tuple[float, int]:  # noqa: ARG002
        """The given pairs."""
        return np.size(self.pre), 0

    def pairs(self, where: str, n_pre: int, n_post: int, stream: Stream) -> Pairs:  # noqa: ARG002
        """The pairs, sorted."""
        pre, post = np.asarray(self.pre), np.asarray(self.post)
        for key, index, n in (("pre", pre, n_pre), ("post", post, n_post)):
            bad = np.flatnonzero((index < 0) | (index >= n))
            if bad.size:
                raise ValidationError(f"{where}: Explicit.{key}[{bad[0]}] = {index[bad[0]]} is outside 0..{n - 1}")
        order = np.lexsort((post, pre))
        pre, post = pre[order], post[order]
        twice = np.flatnonzero((np.diff(pre) == 0) & (np.diff(post) == 0))
        if twice.size:
            pair = f"{pre[twice[0]]} -> {post[twice[0]]}"
            raise ValidationError(f"{where}: the pair {pair} is given twice; one synapse per pair: add their weights")
        return Pairs(pre, post, order)


def _check_flag(topology: Any) -> None:
    if not isinstance(topology.self_loops, bool):
        raise ValidationError(
            f"{type(topology).__name__}.self_loops = {topology.self_loops!r}: True or False is needed"
        )


def _blocks(rows: int, columns: int) -> Iterator[tuple[int, int]]:
    """First row and number of rows of blocks that fit the memory."""
    size = max(1, BLOCK // columns)
    return ((first, min(size, rows - first)) for first in range(0, rows, size))
