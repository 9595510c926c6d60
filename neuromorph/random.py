"""Counter-based random numbers: each is a function of (seed, names, position) and of nothing else.

So an object that is added, removed or drawn earlier changes no number of another one, and a run that is split in two
draws what the undivided run draws. Numbers come from the raw output of Philox4x64, which NumPy keeps the same in all
versions; its key is a BLAKE2b hash of the seed and the names.
"""

from __future__ import annotations

from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray

__all__ = ["Stream", "normal_quantile"]

BLOCK = 4  # 64-bit outputs per Philox counter value


class Stream:
    """The random numbers of one purpose, by position.

    Parameters
    ----------
    seed : int
        Seed of the network or program.
    *names : str
        What they are for, e.g. the object's name and the parameter's.
    """

    def __init__(self, seed: int, *names: str) -> None:
        parts = [str(seed), *names]
        # Lengths go in, so that ("a", "bc") and ("ab", "c") differ.
        text = "".join(f"{len(part.encode())}:{part}," for part in parts)
        self._key = int.from_bytes(blake2b(text.encode(), digest_size=16).digest(), "little")

    def raw(self, first: int, count: int) -> NDArray[np.uint64]:
        """64-bit outputs `first` .. `first + count - 1`."""
        from numpy.random import Philox

        generator = Philox(key=self._key)
        generator.advance(first // BLOCK)
        skip = first % BLOCK
        return np.asarray(generator.random_raw(skip + count), dtype=np.uint64)[skip:]

    def uniform(self, first: int, count: int) -> NDArray[np.float64]:
        """Numbers in the open interval (0, 1): ``((raw >> 12) + 1/2) / 2^52``."""
        return ((self.raw(first, count) >> np.uint64(12)).astype(np.float64) + 0.5) * 2.0**-52


def _ratio(numerator: tuple[float, ...], denominator: tuple[float, ...], r: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.asarray(np.polyval(numerator, r) / np.polyval(denominator, r))


# Coefficients of AS 241, highest power first.
_CENTRE = (
    (2509.0809287301227, 33430.57558358813, 67265.7709270087, 45921.95393154987,
     13731.69376550946, 1971.5909503065513, 133.14166789178438, 3.3871328727963665),
    (5226.495278852854, 28729.085735721943, 39307.89580009271, 21213.794301586597,
     5394.196021424751, 687.1870074920579, 42.31333070160091, 1.0),
)  # fmt: skip
_TAIL = (
    (0.0007745450142783414, 0.022723844989269184, 0.2417807251774506, 1.2704582524523684,
     3.6478483247632045, 5.769497221460691, 4.630337846156546, 1.4234371107496835),
    (1.0507500716444169e-09, 0.0005475938084995345, 0.015198666563616457, 0.14810397642748008,
     0.6897673349851, 1.6763848301838038, 2.053191626637759, 1.0),
)  # fmt: skip
_FAR_TAIL = (
    (2.0103343992922881e-07, 2.7115555687434876e-05, 0.0012426609473880784, 0.026532189526576124,
     0.29656057182850487, 1.7848265399172913, 5.463784911164114, 6.657904643501103),
    (2.0442631033899397e-15, 1.421511758316446e-07, 1.8463183175100548e-05, 0.0007868691311456133,
     0.014875361290850615, 0.1369298809227358, 0.599832206555888, 1.0),
)  # fmt: skip


def normal_quantile(p: NDArray[np.float64]) -> NDArray[np.float64]:
    """Inverse of the standard normal distribution, about 16 digits, for 0 < p < 1.

    Source: Wichura (1988), algorithm AS 241, Applied Statistics 37:477. One number per p, so that element i of a draw
    depends on number i of its stream alone (rejection methods do not have that).
    """
    q = p - 0.5
    centre = np.abs(q) <= 0.425
    z = q * _ratio(*_CENTRE, 0.180625 - q * q)
    r = np.sqrt(-np.log(np.minimum(p, 1.0 - p)[~centre]))
    tail = np.where(r <= 5.0, _ratio(*_TAIL, r - 1.6), _ratio(*_FAR_TAIL, r - 5.0))
    z[~centre] = np.where(q[~centre] < 0, -tail, tail)
    return np.asarray(z)
