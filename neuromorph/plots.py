"""Plots of traces, weights and comparisons, as matplotlib figures (the extra ``plot``), written as PNG or SVG."""

from __future__ import annotations

import io
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import NeuromorphError, ValidationError
from neuromorph.files import check_directory, write_atomic
from neuromorph.trace import Spikes, States, Trace

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from neuromorph.compare import Difference

__all__ = ["new_figure", "plot_difference", "plot_fields", "plot_trace", "plot_weights", "save_figure"]

INK, MUTED, BLUE, ORANGE = "#1b2733", "#66737f", "#2166ac", "#d6604d"
LINES = ("#2166ac", "#d6604d", "#4d9221", "#8073ac", "#b8860b", "#01847f", "#c51b7d", "#666666")
MAX_LINES = 8
FORMATS = ("png", "svg", "pdf")


def check_plot(path: str | Path) -> None:
    """Before long work: whether a plot can be made and written to `path`.

    Raises
    ------
    ValidationError
        The suffix is none of .png, .svg, .pdf.
    NeuromorphError
        matplotlib or the directory is missing.
    """
    _format(path)
    check_directory(path)
    new_figure(1, 1)


def _format(path: str | Path) -> str:
    suffix = Path(path).suffix.lower().lstrip(".")
    if suffix not in FORMATS:
        raise ValidationError(f"cannot plot to {path}: the name must end in .{', .'.join(FORMATS)}")
    return suffix


def new_figure(width: float, height: float) -> Figure:
    """An empty figure of that size in inches; NeuromorphError if matplotlib is missing."""
    try:
        from matplotlib.figure import Figure as MplFigure
    except ImportError as error:
        raise NeuromorphError("plots need matplotlib: pip install 'neuromorph[plot]'") from error
    return MplFigure(figsize=(width, height), layout="constrained", facecolor="white")


def _dress(axes: Axes, title: str, ylabel: str, xlabel: str = "") -> None:
    axes.set_title(title, loc="left", fontsize=10, color=INK, fontweight="bold")
    axes.set_ylabel(ylabel, fontsize=9, color=INK)
    axes.set_xlabel(xlabel, fontsize=9, color=INK)
    axes.tick_params(labelsize=8, colors=MUTED)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    for side in ("left", "bottom"):
        axes.spines[side].set_color("#b8c1c9")


def save_figure(figure: Figure, path: str | Path | None) -> Figure:
    """Write a figure whole or not at all; the suffix chooses the format.

    Raises
    ------
    ValidationError
        The suffix is none of .png, .svg, .pdf.
    """
    if path is None:
        return figure
    suffix = _format(path)
    buffer = io.BytesIO()
    figure.savefig(buffer, format=suffix, dpi=150)
    write_atomic(path, buffer.getvalue())
    return figure


def _ruler(steps: int, dt: float) -> tuple[float, str]:
    """Factor from steps to the unit of the time axis, and its name."""
    return (dt, "s") if steps * dt >= 1.0 else (dt * 1e3, "ms")


def plot_trace(trace: Trace, path: str | Path | None = None, *, names: list[str] | None = None) -> Figure:
    """One panel per probe over a common time axis: rasters, state traces, distributions of weights.

    Parameters
    ----------
    trace : Trace
        What to show.
    path : str or Path, optional
        .png, .svg or .pdf file to write.
    names : list of str, optional
        Which probes; all if not given.
    """
    columns = [trace[name] for name in (names or list(trace))]
    if not columns:
        raise ValidationError("the trace has no probes to plot: add net.probe(...)")
    heights = [2.4 if isinstance(c, Spikes) else 1.8 for c in columns]
    figure = new_figure(9.0, 0.9 + sum(heights))
    panels = figure.subplots(len(columns), 1, sharex=True, squeeze=False, gridspec_kw={"height_ratios": heights})[:, 0]
    factor, unit = _ruler(trace.steps, trace.dt)
    for axes, column in zip(panels, columns, strict=True):
        if isinstance(column, Spikes):
            _raster(axes, column, factor, trace)
        else:
            _states(axes, column, factor)
    panels[-1].set_xlabel(f"time ({unit})", fontsize=9, color=INK)
    panels[-1].set_xlim(trace.start * factor, max(trace.stop, trace.start + 1) * factor)
    part = "" if trace.complete else ", partial"
    figure.suptitle(
        f"{trace.name} on {trace.target}, {trace.steps} steps{part}", fontsize=11, color=INK, x=0.01, ha="left"
    )
    return save_figure(figure, path)


def _raster(axes: Axes, column: Spikes, factor: float, trace: Trace) -> None:
    size = float(np.clip(900.0 / max(column.n, 1), 1.0, 60.0))
    width = float(np.clip(4000.0 / max(len(column), 1), 0.5, 1.2))
    axes.scatter(
        column.steps * factor, column.indices, s=size, marker="|", linewidths=width, color=BLUE,
        rasterized=len(column) > 20000,
    )  # fmt: skip
    axes.set_ylim(-0.5, max(column.n - 0.5, 0.5))
    mean = len(column) / max(column.n * trace.steps * trace.dt, 1e-12)
    _whole_ticks(axes)
    _dress(axes, f"{column.name}: {len(column)} spikes, {mean:.1f} Hz per neuron", "neuron")


def _states(axes: Axes, column: States, factor: float) -> None:
    times, values = column.steps * factor, column.physical.reshape(column.steps.size, -1)
    label = column.variable + ("" if column.scale != 1.0 else " (machine units)")
    count = values.shape[1]
    if count <= MAX_LINES:
        for k in range(count):
            axes.plot(times, values[:, k], lw=0.9, color=LINES[k % len(LINES)], label=str(column.element(k)))
        if count > 1:
            _legend(axes)
    elif times.size > 1 and len(column.shape) == 1 and column.pre is None:
        _heat(axes, times, values, label)
        label = "neuron"
    elif times.size:
        for low, high, alpha in ((0, 100, 0.15), (10, 90, 0.25), (25, 75, 0.35)):
            band = np.percentile(values, (low, high), axis=1)
            axes.fill_between(times, band[0], band[1], color=BLUE, alpha=alpha, lw=0, label=f"{low} to {high} %")
        axes.plot(times, np.median(values, axis=1), color=BLUE, lw=1.2, label="median")
        _legend(axes)
    _dress(axes, f"{column.name}: {count} values", label)


def _heat(axes: Axes, times: NDArray[Any], values: NDArray[Any], label: str) -> None:
    """Neurons over time as colours."""
    mixed = bool(np.any(values < 0))
    limit = float(np.abs(values).max()) or 1.0
    gap = times[1] - times[0]
    image = axes.imshow(
        values.T, aspect="auto", interpolation="nearest", origin="lower", cmap="RdBu_r" if mixed else "viridis",
        extent=(times[0] - gap, times[-1], -0.5, values.shape[1] - 0.5), vmin=-limit if mixed else 0.0, vmax=limit,
    )  # fmt: skip
    bar = axes.figure.colorbar(image, ax=axes, pad=0.01, aspect=12)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    bar.set_label(label, fontsize=9, color=INK)
    _whole_ticks(axes)


def _whole_ticks(axes: Axes) -> None:
    """Neurons are counted: no fractions on their axis."""
    from matplotlib.ticker import MaxNLocator

    axes.yaxis.set_major_locator(MaxNLocator(nbins=6, integer=True))


def _legend(axes: Axes) -> None:
    axes.legend(fontsize=8, ncols=8, frameon=False, loc="lower right", bbox_to_anchor=(1.0, 0.97), handlelength=1.2)


def plot_weights(
    weights: NDArray[Any], path: str | Path | None = None, *, title: str = "weights", unit: str = ""
) -> Figure:
    """A weight matrix (n_pre, n_post) and the distribution of its values; zero is white."""
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.ndim != 2:
        raise ValidationError(f"a weight matrix has two dimensions (pre, post), not shape {matrix.shape}")
    figure = new_figure(9.0, 4.0)
    left, right = figure.subplots(1, 2, gridspec_kw={"width_ratios": (2, 1)})
    limit = float(np.abs(matrix).max()) or 1.0
    mixed = bool(np.any(matrix < 0))
    image = left.imshow(
        matrix, aspect="auto", interpolation="nearest", cmap="RdBu_r" if mixed else "Blues",
        vmin=-limit if mixed else 0.0, vmax=limit,
    )  # fmt: skip
    bar = figure.colorbar(image, ax=left)
    bar.ax.tick_params(labelsize=8, colors=MUTED)
    label = f"weight ({unit})" if unit else "weight"
    bar.set_label(label, fontsize=9, color=INK)
    _dress(left, title, "source neuron", "target neuron")
    right.hist(matrix.ravel(), bins=40, color=BLUE)
    _dress(right, "distribution", "synapses", label)
    return save_figure(figure, path)


def plot_fields(
    weights: NDArray[Any],
    shape: tuple[int, int],
    path: str | Path | None = None,
    *,
    labels: Mapping[int, object] | None = None,
    title: str = "receptive fields",
) -> Figure:
    """Receptive fields: for each target neuron its weights as an image of the source neurons.

    Parameters
    ----------
    weights : array, shape (n_pre, n_post)
        Of a dense projection.
    shape : tuple of int
        Rows and columns of the source layer; their product is n_pre.
    path : str or Path, optional
        File to write.
    labels : mapping, optional
        What to write over a field, by target neuron.
    title : str
        Over the figure.
    """
    matrix = np.asarray(weights, dtype=np.float64)
    if matrix.ndim != 2 or matrix.shape[0] != shape[0] * shape[1]:
        raise ValidationError(f"weights of shape {matrix.shape} are no fields of {shape[0]} x {shape[1]} sources")
    count = matrix.shape[1]
    columns = math.ceil(math.sqrt(count))
    rows = math.ceil(count / columns)
    figure = new_figure(0.72 * columns + 0.4, 0.72 * rows * (1.2 if labels else 1.0) + 0.6)
    limit = float(np.abs(matrix).max()) or 1.0
    signed = bool(np.any(matrix < 0))
    for k, axes in enumerate(figure.subplots(rows, columns, squeeze=False).ravel()):
        axes.axis("off")
        if k < count:
            axes.imshow(
                matrix[:, k].reshape(shape), cmap="RdBu_r" if signed else "magma",
                vmin=-limit if signed else 0.0, vmax=limit, interpolation="nearest",
            )  # fmt: skip
            if labels is not None and k in labels:
                axes.set_title(str(labels[k]), fontsize=8, color=INK, pad=2)
    figure.suptitle(title, fontsize=11, color=INK, x=0.01, ha="left")
    return save_figure(figure, path)


def plot_difference(difference: Difference, path: str | Path | None = None) -> Figure:
    """The rasters of both traces over each other, with the first difference marked."""
    from neuromorph.compare import common

    a, b = common(difference.a, difference.b)
    names = [name for name in a if isinstance(a[name], Spikes)] or list(a)[:1]
    figure = new_figure(9.0, 0.9 + 2.6 * len(names))
    factor, unit = _ruler(a.steps, a.dt)
    panels = figure.subplots(len(names), 1, sharex=True, squeeze=False)[:, 0]
    for axes, name in zip(panels, names, strict=True):
        one, two = a[name], b[name]
        if isinstance(one, Spikes) and isinstance(two, Spikes):
            _overlay(axes, one, two, factor, (a.target, b.target))
        elif isinstance(one, States) and isinstance(two, States):
            gap = np.abs(one.values.astype(np.float64) - two.values).max(axis=1, initial=0.0)
            axes.plot(one.steps * factor, gap, color=ORANGE, lw=1.0)
            _dress(axes, name, "largest difference")
        if difference.first is not None:
            axes.axvline(difference.first.step * factor, color=INK, lw=0.8, ls=":")
    panels[-1].set_xlabel(f"time ({unit})", fontsize=9, color=INK)
    panels[-1].set_xlim(a.start * factor, max(a.stop, a.start + 1) * factor)
    verdict = "equal" if difference.first is None else f"first difference: {difference.first}"
    figure.suptitle(f"{a.target} and {b.target}: {verdict}", fontsize=11, color=INK, x=0.01, ha="left")
    return save_figure(figure, path)


def _overlay(axes: Axes, one: Spikes, two: Spikes, factor: float, targets: tuple[str, str]) -> None:
    keys = [c.steps * c.n + c.indices for c in (one, two)]
    both = np.isin(keys[0], keys[1])
    alone = ~np.isin(keys[1], keys[0])
    size = float(np.clip(900.0 / max(one.n, 1), 2.0, 60.0))
    for column, mask, color, label in (
        (one, both, "#9aa7b3", "both"), (one, ~both, BLUE, f"{targets[0]} only"),
        (two, alone, ORANGE, f"{targets[1]} only"),
    ):  # fmt: skip
        axes.scatter(
            column.steps[mask] * factor, column.indices[mask], s=size, marker="|", color=color, linewidths=1.2,
            label=f"{label} ({np.count_nonzero(mask)})", rasterized=int(mask.sum()) > 20000,
        )  # fmt: skip
    axes.set_ylim(-0.5, max(one.n - 0.5, 0.5))
    _legend(axes)
    _whole_ticks(axes)
    _dress(axes, one.name, "neuron")
