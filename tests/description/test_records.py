"""Records: bytes written out by hand, and round trips."""

import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from neuromorph.errors import ValidationError
from neuromorph.records import Events, decode_records, encode_records


def events(spikes: list[tuple[int, int]], payloads: list[int] | None = None) -> Events:
    steps, indices = np.array(spikes, dtype=np.int64).reshape(-1, 2).T
    return Events(steps, indices, None if payloads is None else np.array(payloads, dtype=np.int64))


def record(step: int, number: int, form: int, first: int, values: bytes, count: int) -> bytes:
    return struct.pack("<IHBBIHH", step, number, form, 0, first, count, 0) + values + bytes(-len(values) % 4)


def test_binary_spikes() -> None:
    expected = record(3, 2, 0, 0, struct.pack("<HHH", 1, 4, 9), 3) + record(5, 2, 0, 0, struct.pack("<H", 0), 1)
    assert encode_records({2: events([(3, 1), (3, 4), (3, 9), (5, 0)])}) == expected


def test_payloads_follow_the_padded_indices() -> None:
    values = struct.pack("<HHHxxiii", 0, 1, 2, -5, 7, (1 << 23) - 1)
    expected = record(1, 0, 1, 0, values, 3)
    assert encode_records({0: events([(1, 0), (1, 1), (1, 2)], [-5, 7, (1 << 23) - 1])}) == expected


def test_objects_are_merged_by_step_then_number() -> None:
    data = encode_records({4: events([(1, 7), (2, 7)], [3, 4]), 1: events([(2, 5)]), 0: events([])})
    expected = record(1, 4, 1, 0, struct.pack("<Hxxi", 7, 3), 1)
    expected += record(2, 1, 0, 0, struct.pack("<H", 5), 1)
    expected += record(2, 4, 1, 0, struct.pack("<Hxxi", 7, 4), 1)
    assert data == expected


def test_large_populations_use_a_record_per_block_of_65536() -> None:
    data = encode_records({0: events([(1, 65535), (1, 65536), (1, 131073)])})
    expected = record(1, 0, 0, 0, struct.pack("<H", 65535), 1)
    expected += record(1, 0, 0, 65536, struct.pack("<H", 0), 1)
    expected += record(1, 0, 0, 131072, struct.pack("<H", 1), 1)
    assert data == expected


def test_a_full_block_does_not_fit_one_count() -> None:
    everyone = Events(np.ones(65536, dtype=np.int64), np.arange(65536))
    found = decode_records(encode_records({0: everyone}))
    assert found.count.tolist() == [65535, 1]
    assert np.array_equal(found.events(0).indices, everyone.indices)


def test_no_spikes_make_no_bytes() -> None:
    assert encode_records({}) == encode_records({0: events([])}) == b""
    assert len(decode_records(b"")) == 0


def test_values_of_all_formats() -> None:
    data = record(10, 3, 2, 0, bytes([1, 2, 255]), 3) + record(20, 3, 2, 3, bytes([9]), 1)
    data += record(20, 4, 3, 0, struct.pack("<hh", -1, 2), 2) + record(20, 5, 4, 5, struct.pack("<i", -(2**31)), 1)
    data += record(20, 6, 5, 0, struct.pack("<H", 65535), 1) + record(21, 7, 0, 0, struct.pack("<H", 3), 1)
    found = decode_records(data)
    steps, elements, values = found.values(3)
    assert (steps.tolist(), elements.tolist(), values.tolist()) == ([10, 10, 10, 20], [0, 1, 2, 3], [1, 2, 255, 9])
    assert [found.values(k)[2].tolist() for k in (4, 5, 6)] == [[-1, 2], [-(2**31)], [65535]]
    assert found.events(7).indices.tolist() == [3]
    assert found.values(99)[2].size == 0


@pytest.mark.parametrize(
    "damage", [lambda d: d[:-4], lambda d: d[:17], lambda d: d + b"\1", lambda d: d[:6] + b"\x09" + d[7:]]
)
def test_what_is_no_whole_record_is_refused(damage: Callable[[bytes], bytes]) -> None:
    data = record(1, 0, 1, 0, struct.pack("<HHii", 0, 1, 5, 6), 2)
    with pytest.raises(ValidationError, match="record at byte"):
        decode_records(damage(data))


@settings(max_examples=60)
@given(
    st.dictionaries(
        st.integers(0, 5),
        st.tuples(st.sets(st.tuples(st.integers(1, 6), st.integers(0, 140_000)), max_size=40), st.booleans()),
        max_size=3,
    )
)
def test_round_trip(case: dict[int, tuple[set[tuple[int, int]], bool]]) -> None:
    given_events = {
        k: events(sorted(spikes), [s * 1000 - i for s, i in sorted(spikes)] if graded else None)
        for k, (spikes, graded) in case.items()
    }
    found = decode_records(encode_records(given_events))
    assert np.all(np.diff(found.step) >= 0)
    for number, asked in given_events.items():
        held = found.events(number)
        assert np.array_equal(held.steps, asked.steps)
        assert np.array_equal(held.indices, asked.indices)
        if asked.payloads is not None and asked.steps.size:
            assert held.payloads is not None
            assert np.array_equal(held.payloads, asked.payloads)
