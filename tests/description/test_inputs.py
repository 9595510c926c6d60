"""Sources and encoders: spikes by hand, Poisson statistics, runs in parts, and what reaches the machine."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.graph import Population
from neuromorph.inputs import Events, Source, gather
from neuromorph.units import Hz, kHz, ms

KEY = (1, "pixels")


def spikes(source: Source, steps: int, n: int, start: int = 0, dt: float = 1 * ms) -> list[tuple[int, int]]:
    found = source.events(start, steps, n, dt, KEY)
    assert found.steps.dtype == found.indices.dtype == np.int64
    return list(zip(found.steps.tolist(), found.indices.tolist(), strict=True))


# ------------------------------------------------------------------------------------------------------ trains, arrays


def test_a_spike_train_is_sorted_and_counts_from_the_first_step_of_the_run() -> None:
    train = nm.SpikeTrain([5, 1, 1], [0, 2, 1])
    assert spikes(train, 5, 3) == [(1, 1), (1, 2), (5, 0)]
    assert spikes(train, 5, 3, start=100) == [(101, 1), (101, 2), (105, 0)]


def test_payloads_stay_with_their_spikes() -> None:
    found = nm.SpikeTrain([2, 1], [0, 0], payloads=[-7, 9]).events(0, 2, 1, 1 * ms, KEY)
    assert found.payloads is not None
    assert found.payloads.tolist() == [9, -7]


def test_a_long_train_can_be_given_to_several_runs_in_parts() -> None:
    train = nm.SpikeTrain([1, 3, 4, 6], [0, 1, 0, 1])
    parts = spikes(train.between(0, 3), 3, 2) + spikes(train.between(3, 6), 3, 2, start=3)
    assert parts == spikes(train, 6, 2)


def test_an_array_per_step() -> None:
    array = np.array([[0, 1, 0], [0, 0, 0], [1, 0, 1]], dtype=bool)
    assert spikes(nm.SpikeArray(array), 3, 3) == [(1, 1), (3, 0), (3, 2)]
    assert spikes(nm.SpikeArray(array), 9, 3, start=10) == [(11, 1), (13, 0), (13, 2)]


def test_integers_in_an_array_are_payloads() -> None:
    found = nm.SpikeArray([[0, -3], [8, 0]]).events(0, 2, 2, 1 * ms, KEY)
    assert found.payloads is not None
    assert found.payloads.tolist() == [-3, 8]
    assert nm.SpikeArray([[0, 1], [1, 0]]).events(0, 2, 2, 1 * ms, KEY).payloads is None


# ------------------------------------------------------------------------------------------------------------- Poisson


def test_poisson_rates() -> None:
    rates = np.array([0.0, 20.0, 100.0, 1000.0])
    found = nm.Poisson(rates * Hz).events(0, 20_000, 4, 1 * ms, KEY)
    counts = np.bincount(found.indices, minlength=4)
    expected, p = 20 * rates, rates * 1e-3
    assert np.all(np.abs(counts - expected) <= 5 * np.sqrt(20_000 * p * (1 - p)))
    assert counts[0] == 0
    assert counts[3] == 20_000


def test_poisson_intervals_are_geometric() -> None:
    found = nm.Poisson(100 * Hz).events(0, 100_000, 1, 1 * ms, KEY)
    gaps = np.diff(found.steps)
    assert gaps.mean() == pytest.approx(10, rel=0.05)
    assert gaps.std() == pytest.approx(np.sqrt(0.9) / 0.1, rel=0.05)


@pytest.mark.parametrize("cuts", [[500], [1, 2, 3], [7, 130, 999], []])
def test_poisson_is_the_same_however_a_run_is_split(cuts: list[int]) -> None:
    source = nm.Poisson(80 * Hz)
    edges = [0, *cuts, 1000]
    parts = [spike for a, b in pairwise(edges) for spike in spikes(source, b - a, 13, start=a)]
    assert parts == spikes(source, 1000, 13)


def test_poisson_in_blocks_is_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = spikes(nm.Poisson(80 * Hz), 300, 13)
    monkeypatch.setattr("neuromorph.inputs.BLOCK", 100)
    assert spikes(nm.Poisson(80 * Hz), 300, 13) == whole


def test_poisson_depends_on_seed_and_name_and_rates_can_follow_the_steps() -> None:
    source = nm.Poisson(50 * Hz)
    draws = [source.events(0, 200, 10, 1 * ms, key) for key in ((1, "a"), (2, "a"), (1, "b"))]
    assert len({(tuple(e.steps), tuple(e.indices)) for e in draws}) == 3
    profile = np.zeros((100, 10))
    profile[40:60] = 1 * kHz
    found = nm.Poisson(profile).events(0, 200, 10, 1 * ms, KEY)
    assert np.bincount(found.steps, minlength=201)[1:].tolist() == [0] * 40 + [10] * 20 + [0] * 140


# ------------------------------------------------------------------------------------------------------------ encoders


def test_rate_encoder_by_hand() -> None:
    # r = 1/2, 1/4, 0, 1, 3/8 and o = 0: spikes where floor((k + 1) r) grows.
    encoder = nm.RateEncoder([[0.5, 0.25, 0.0, 1.0, 0.375]], steps_per_sample=8, offset=0.0)
    by_channel: dict[int, list[int]] = {c: [] for c in range(5)}
    for step, channel in spikes(encoder, 8, 5):
        by_channel[channel].append(step)
    assert by_channel == {0: [2, 4, 6, 8], 1: [4, 8], 2: [], 3: [1, 2, 3, 4, 5, 6, 7, 8], 4: [3, 6, 8]}


def test_rate_encoder_offset_decides_the_first_spike() -> None:
    # r = 1/4: o = 0.75 spikes at once, o = 0.5 one step later, o = 0.25 two.
    encoder = nm.RateEncoder([[0.25, 0.25, 0.25]], steps_per_sample=4, offset=[0.75, 0.5, 0.25])
    assert spikes(encoder, 4, 3) == [(1, 0), (2, 1), (3, 2)]


def test_rate_encoder_samples_follow_each_other_and_the_window_ends_early() -> None:
    encoder = nm.RateEncoder([[1.0], [0.5], [1.0]], steps_per_sample=5, window=2, offset=0.0)
    assert encoder.steps == 15
    assert spikes(encoder, 15, 1, start=20) == [(21, 0), (22, 0), (27, 0), (31, 0), (32, 0)]


def test_rate_encoder_counts_are_the_values(monkeypatch: pytest.MonkeyPatch) -> None:
    values = np.arange(16 * 5).reshape(5, 16) % 17 / 16
    encoder = nm.RateEncoder(values, steps_per_sample=20, window=16)
    counts = np.zeros((5, 16), dtype=int)
    for step, channel in spikes(encoder, 100, 16):
        counts[(step - 1) // 20, channel] += 1
    golden = np.arange(16) * (5**0.5 - 1) / 2 % 1
    assert np.array_equal(counts, np.floor(16 * values + golden))
    monkeypatch.setattr("neuromorph.encoders.BLOCK", 300)
    again = nm.RateEncoder(values, steps_per_sample=20, window=16).train
    assert np.array_equal(again.steps, encoder.train.steps)


def test_latency_encoder_by_hand() -> None:
    # k = floor((1 - x) 4 + 1/2): 1 -> 0, 0.75 -> 1, 0.5 -> 2, 0.1 -> floor(4.1) = 4, 0 -> none.
    encoder = nm.LatencyEncoder([[1.0, 0.75, 0.5, 0.1, 0.0]], steps_per_sample=10, window=5)
    assert spikes(encoder, 10, 5) == [(1, 0), (2, 1), (3, 2), (5, 3)]
    late = nm.LatencyEncoder([[0.2, 0.9], [1.0, 0.3]], steps_per_sample=3, threshold=0.25)
    # k = floor((1 - x) 2 + 1/2): 0.9 -> 0; 1 -> 0; 0.3 -> floor(1.9) = 1.
    assert spikes(late, 6, 2) == [(1, 1), (4, 0), (5, 1)]


# ----------------------------------------------------------------------------------------------------------- collecting

POPULATIONS = {
    "pixels": Population("pixels", "input", 3),
    "values": Population("values", "input", 2, graded=True),
    "cells": Population("cells", "lif", 2, tau_m=0.02),
}


def collected(**inputs: object) -> dict[str, Events]:
    return gather(POPULATIONS, inputs, 10, 5, 1 * ms, 1)


def test_gather_takes_handles_names_and_arrays() -> None:
    net = nm.Network()
    pixels = net.input(3, name="pixels")
    by_handle = gather(POPULATIONS, {pixels: nm.SpikeTrain([1], [2])}, 10, 5, 1 * ms, 1)
    by_name = collected(pixels=np.array([[0, 0, 1]]))
    assert by_handle["pixels"].steps.tolist() == by_name["pixels"].steps.tolist() == [11]
    assert by_handle["pixels"].indices.tolist() == by_name["pixels"].indices.tolist() == [2]


def test_spikes_of_a_graded_input_without_payload_count_one() -> None:
    found = collected(values=nm.SpikeTrain([1, 2], [0, 1]))["values"].payloads
    assert found is not None
    assert found.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"pixel": nm.SpikeTrain([1], [0])}, "'pixel' does not exist; did you mean 'pixels'"),
        ({"cells": nm.SpikeTrain([1], [0])}, "'cells' is no input"),
        ({"pixels": nm.SpikeTrain([6], [0])}, r"'pixels': a spike at step 6 of a run of 5 steps.*between\(0, 5\)"),
        ({"pixels": nm.SpikeTrain([1], [3])}, r"'pixels': a spike of channel 3; it has channels 0\.\.2"),
        ({"pixels": nm.SpikeTrain([1], [0], payloads=[2])}, "'pixels' is binary and takes no payloads"),
        ({"pixels": np.ones((2, 4), bool)}, r"'pixels': SpikeArray of shape \(2, 4\); needed \(steps, 3\)"),
        ({"pixels": np.ones((6, 3), bool)}, "'pixels': SpikeArray of 6 steps for a run of 5"),
        ({"pixels": nm.Poisson(2 * kHz)}, "'pixels': a Poisson rate of 2000 Hz; at most .* 1000 Hz"),
        ({"pixels": nm.Poisson([1.0, 2.0])}, r"'pixels': Poisson.rates has shape \(2,\); needed \(3,\)"),
        ({"pixels": nm.RateEncoder([[0.1, 0.2]], 5)}, "'pixels': RateEncoder of 2 values; it has 3 channels"),
        ({"pixels": nm.LatencyEncoder([[0.1, 0.2, 1]] * 2, 3)}, "'pixels': 2 samples take 6 steps .* the run has 5"),
        ({"pixels": [1, 2]}, r"inputs\['pixels'\] = \[1, 2\]; needed nm.SpikeTrain"),
    ],
)
def test_what_does_not_fit_the_input_or_the_run_is_refused(inputs: dict[str, object], message: str) -> None:
    with pytest.raises(nm.ValidationError, match=message):
        collected(**inputs)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: nm.SpikeTrain([0], [1]), r"SpikeTrain.steps\[0\] = 0 .*count from 1"),
        (lambda: nm.SpikeTrain([1], [-1]), r"SpikeTrain.indices\[0\] = -1"),
        (lambda: nm.SpikeTrain([1.5], [1]), r"SpikeTrain.steps: whole numbers.*np.rint\(times / dt\)"),
        (lambda: nm.SpikeTrain([1, 2], [1]), "SpikeTrain.indices has 1 values for 2 steps"),
        (lambda: nm.SpikeTrain([3, 3], [1, 1]), "two spikes of channel 1 in step 3"),
        (lambda: nm.SpikeTrain([1], [1], payloads=[1 << 23]), r"payloads\[0\] = 8388608 .*2\^23"),
        (lambda: nm.SpikeTrain([1], [1], payloads=[0]), "a payload of 0 is no spike"),
        (
            lambda: nm.SpikeTrain(times=[1], indices=[1]),  # type: ignore[call-arg]
            "SpikeTrain has no parameter 'times'",
        ),
        (lambda: nm.SpikeArray([[0.5]]), "SpikeArray.array: booleans or integers"),
        (lambda: nm.Poisson(-1.0), r"Poisson.rates = -1 Hz: it must be .*>= 0"),
        (lambda: nm.Poisson([float("nan")]), "Poisson.rates = nan"),
        (lambda: nm.RateEncoder([[1.5]], 4), r"RateEncoder.values\[0, 0\] = 1.5 is outside 0..1"),
        (lambda: nm.RateEncoder([[0.5]], 4, window=5), "RateEncoder.window = 5 is outside 1..4"),
        (lambda: nm.RateEncoder([[0.5]], 4, offset=[0.1, 0.2]), r"RateEncoder.offset: .*\(1,\)"),
        (lambda: nm.LatencyEncoder([0.5], 4), "LatencyEncoder.values: numbers of shape"),
        (lambda: nm.LatencyEncoder([[0.5]], 0), "LatencyEncoder.steps_per_sample = 0"),
    ],
)
def test_what_no_source_can_be_is_refused_where_it_is_written(make: Callable[[], object], message: str) -> None:
    with pytest.raises(nm.ValidationError, match=message):
        make()
