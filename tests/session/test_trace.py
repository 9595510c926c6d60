"""Traces: columns by name, files, parts."""

from __future__ import annotations

import io
import zipfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from neuromorph.errors import ImageError, NeuromorphError, ValidationError
from neuromorph.plots import check_plot
from neuromorph.session import Session
from neuromorph.trace import Spikes, States, Trace


@pytest.fixture
def trace(session: Session) -> Trace:
    return session.run(steps=80)


def test_a_saved_trace_comes_back_equal(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "run.npz")
    again = Trace.load(tmp_path / "run.npz")
    assert (again.digest, again.target, again.dt, again.start, again.stop, again.counters) == (
        trace.digest, trace.target, trace.dt, 0, 80, trace.counters,
    )  # fmt: skip
    assert list(again) == ["in.spikes", "cells.spikes", "cells.v", "syn.w", "loop.ring"]
    for name, column in trace.items():
        other = again[name]
        assert type(other) is type(column)
        assert np.array_equal(other.steps, column.steps)
        values = ("indices",) if isinstance(column, Spikes) else ("values",)
        for key in values:
            assert np.array_equal(getattr(other, key), getattr(column, key))
            assert getattr(other, key).dtype == getattr(column, key).dtype


def test_traces_are_equal_by_their_values(trace: Trace, tmp_path: Path) -> None:
    trace.save(tmp_path / "run.npz")
    again = Trace.load(tmp_path / "run.npz")
    assert again == trace
    values = trace.states("cells.v").values.copy()
    values[0, 0] += 1
    other = replace(trace.states("cells.v"), values=values)
    assert other != trace["cells.v"]
    assert replace(trace, columns={**trace.columns, "cells.v": other}) != trace
    assert trace["cells.spikes"] != trace["cells.v"]


def test_a_trace_without_probes_says_how_to_get_one(trace: Trace) -> None:
    with pytest.raises(ValidationError, match=r"it has none: add net\.probe"):
        replace(trace, columns={})["cells.spikes"]


def test_columns_are_found_by_name(trace: Trace) -> None:
    assert trace.spikes("cells") is trace["cells.spikes"]
    assert len(trace.spikes("in.spikes")) == 0
    assert trace.spikes("in") is trace.spikes("in.spikes")
    with pytest.raises(ValidationError, match=r"no probe 'cells.spike'; did you mean 'cells.spikes'"):
        trace["cells.spike"]
    with pytest.raises(KeyError):
        trace["cells.spike"]
    with pytest.raises(ValidationError, match="recorded v, not spikes"):
        trace.spikes("cells.v")
    with pytest.raises(ValidationError, match="recorded spikes"):
        trace.states("cells.spikes")


def test_rates_are_spikes_per_second(trace: Trace) -> None:
    spikes = trace.spikes("cells")
    assert trace.rates("cells").tolist() == (spikes.counts() / 0.080).tolist()
    assert spikes.counts().sum() == len(spikes) > 0


def test_parts_join_to_the_whole(trace: Trace) -> None:
    joined = trace.part(0, 33).joined(trace.part(33, 80))
    for name in trace:
        assert np.array_equal(joined[name].steps, trace[name].steps)
    with pytest.raises(ValidationError, match="begins after step 50, this one stops at 33"):
        trace.part(0, 33).joined(trace.part(50, 80))


def test_elements_are_named_as_people_do() -> None:
    steps, values = np.array([1]), np.zeros((1, 6))
    assert States("p", "cells", "v", (6,), steps, values).element(4) == 4
    assert States("p", "syn", "w", (2, 3), steps, values).element(4) == (1, 1)
    pre, post = np.array([0, 0, 1, 2, 2, 2]), np.array([1, 3, 0, 0, 1, 5])
    assert States("p", "syn", "w", (6,), steps, values, pre=pre, post=post).element(5) == (2, 5)


@pytest.mark.parametrize("cut", [0, 1, 4, 100, -30, -1])
def test_a_truncated_trace_is_refused(trace: Trace, tmp_path: Path, cut: int) -> None:
    trace.save(tmp_path / "run.npz")
    raw = (tmp_path / "run.npz").read_bytes()
    (tmp_path / "cut.npz").write_bytes(raw[:cut])
    with pytest.raises(ImageError, match="is not a trace or is damaged"):
        Trace.load(tmp_path / "cut.npz")


def test_a_foreign_archive_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "foreign.npz", a=np.zeros(3))
    with pytest.raises(ImageError, match="is not a trace"):
        Trace.load(tmp_path / "foreign.npz")


def test_an_archive_with_pickles_is_refused(tmp_path: Path) -> None:
    np.savez(tmp_path / "evil.npz", trace=np.array([{"a": 1}], dtype=object))
    with pytest.raises(ImageError, match="is not a trace"):
        Trace.load(tmp_path / "evil.npz")


def test_an_archive_that_unpacks_to_too_much_is_refused(
    trace: Trace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trace.save(tmp_path / "run.npz")
    with zipfile.ZipFile(io.BytesIO((tmp_path / "run.npz").read_bytes())) as archive:
        size = sum(entry.file_size for entry in archive.infolist())
    monkeypatch.setattr("neuromorph.trace.SIZE_LIMIT", size - 1)
    with pytest.raises(ImageError, match=f"unpacks to {size} bytes"):
        Trace.load(tmp_path / "run.npz")


def test_files_that_cannot_be_read_or_written_are_named(trace: Trace, tmp_path: Path) -> None:
    with pytest.raises(ValidationError, match=r"cannot read the trace .*none.npz"):
        Trace.load(tmp_path / "none.npz")
    with pytest.raises(NeuromorphError, match="cannot write"):
        trace.save(tmp_path / "no" / "run.npz")
    with pytest.raises(ValidationError, match="must end in"):
        check_plot(tmp_path / "run.doc")
    with pytest.raises(NeuromorphError, match="no directory"):
        check_plot(tmp_path / "no" / "run.png")
    assert list(tmp_path.iterdir()) == []
