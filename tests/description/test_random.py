"""Counter-based numbers: position and names decide, nothing else."""

import statistics

import numpy as np
import pytest

from neuromorph.random import Stream, normal_quantile


@pytest.mark.parametrize("first", [0, 1, 3, 4, 5, 1000, 10**12 + 3])
def test_a_number_depends_on_its_position_alone(first: int) -> None:
    stream = Stream(7, "cells", "v_init")
    whole = stream.raw(first, 50)
    assert np.array_equal(stream.raw(first + 13, 37), whole[13:])
    assert np.array_equal(stream.raw(first, 1), whole[:1])


def test_seed_and_names_tell_streams_apart() -> None:
    streams = [
        Stream(1, "a", "bc"),
        Stream(1, "ab", "c"),
        Stream(2, "a", "bc"),
        Stream(1, "a", "bc", ""),
        Stream(11, "a"),
    ]
    firsts = {int(stream.raw(0, 1)[0]) for stream in streams}
    assert len(firsts) == len(streams)


def test_numbers_are_those_of_philox_with_a_hashed_key() -> None:
    # Written out from the definition: key = BLAKE2b-128 of the length-prefixed parts, Philox4x64 from counter 1 on.
    from hashlib import blake2b

    key = int.from_bytes(blake2b(b"1:3,1:x,", digest_size=16).digest(), "little")
    expected = np.random.Philox(key=key).random_raw(5)
    assert np.array_equal(Stream(3, "x").raw(0, 5), expected)


def test_uniform_numbers_fill_the_open_unit_interval() -> None:
    u = Stream(1, "u").uniform(0, 100_000)
    assert u.min() > 0.0
    assert u.max() < 1.0
    # 5 standard errors of mean and of each decile's share.
    assert abs(u.mean() - 0.5) < 5 * np.sqrt(1 / 12 / u.size)
    assert np.all(np.abs(np.histogram(u, 10, (0, 1))[0] / u.size - 0.1) < 5 * np.sqrt(0.09 / u.size))


def test_normal_quantile_agrees_with_the_standard_library() -> None:
    p = np.concatenate((np.linspace(1e-6, 1 - 1e-6, 999), [2.0**-53, 1e-12, 1e-300, 1 - 1e-12, 0.075, 0.925]))
    expected = [statistics.NormalDist().inv_cdf(x) for x in p.tolist()]
    np.testing.assert_allclose(normal_quantile(p), expected, rtol=1e-13, atol=1e-15)
