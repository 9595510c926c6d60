"""COBS: the `cobs` package is the oracle; C and Python agree."""

from __future__ import annotations

import ctypes
import random
from collections.abc import Callable

import pytest
from cobs import cobs as oracle
from hypothesis import example, given
from hypothesis import strategies as st

from neuromorph_mcu import cobs

FULL_GROUP = bytes(range(1, 255))
# Few distinct values make zeros and full groups frequent.
DATA = st.one_of(st.binary(max_size=700), st.lists(st.sampled_from([0, 1, 255]), max_size=700).map(bytes))


@given(DATA)
@example(b"")
@example(FULL_GROUP)
@example(FULL_GROUP + b"\0")
@example(FULL_GROUP + b"\1")
@example(FULL_GROUP + FULL_GROUP)
def test_encodes_as_the_oracle_and_back(data: bytes) -> None:
    coded = cobs.encode(data)
    assert coded == oracle.encode(data)
    assert 0 not in coded
    assert cobs.decode(coded) == data


@given(DATA)
def test_refuses_what_the_oracle_refuses(data: bytes) -> None:
    try:
        expected = oracle.decode(data) if data else None
    except oracle.DecodeError:
        expected = None
    if expected is None:
        with pytest.raises(cobs.CobsError):
            cobs.decode(data)
    else:
        assert cobs.decode(data) == expected


def test_c_agrees_with_python_on_good_and_bad_bytes(library: Callable[[], ctypes.CDLL]) -> None:
    lib, rng = library(), random.Random(7)
    out = ctypes.create_string_buffer(2000)
    for size in [*range(600), 1000]:
        data = bytes(rng.choices((0, 1, 2, 255), k=size)) if size % 3 else bytes([size % 256]) * size
        n = lib.nm_cobs_encode(data, len(data), out)
        assert out.raw[:n] == cobs.encode(data)
        coded = bytearray(cobs.encode(data))
        for _ in range(3):
            n = lib.nm_cobs_decode(bytes(coded), len(coded), out)
            try:
                assert out.raw[:n] == cobs.decode(bytes(coded))
            except cobs.CobsError:
                assert n == -1
            coded[rng.randrange(len(coded))] = rng.randrange(256)
