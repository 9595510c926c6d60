"""The report of a comparison: one self-contained HTML page, with its pictures as inline SVG."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import numpy as np

from neuromorph.trace import Spikes

if TYPE_CHECKING:
    from neuromorph.compare import Difference
    from neuromorph.lockstep import Outcome
    from neuromorph.program import Program

__all__ = ["comparison"]

WIDTH, HEIGHT, MARGIN = 900, 220, 44
MAX_MARKS = 6000
_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; color: #1b2733; max-width: 60rem; margin: 2rem auto; padding: 0 1rem }
h1 { font-size: 1.4rem } h2 { font-size: 1.05rem; margin-top: 2rem }
.verdict { display: inline-block; padding: .2rem .8rem; border-radius: .3rem; color: #fff; font-weight: 600 }
.equal { background: #2e7d32 } .different { background: #b3261e }
table { border-collapse: collapse; width: 100% } th, td { text-align: left; padding: .3rem .8rem .3rem 0 }
th { border-bottom: 2px solid #b8c1c9 } td { border-bottom: 1px solid #e4e8ec; font-variant-numeric: tabular-nums }
code, pre { background: #f3f5f7; border-radius: .3rem; padding: .1rem .3rem } pre { padding: .8rem; overflow-x: auto }
svg { width: 100%; height: auto } .muted { color: #66737f }
"""


def comparison(outcome: Outcome, program: Program, replay: str) -> str:
    """The page.

    Parameters
    ----------
    outcome : Outcome
        What was compared.
    program : Program
        Of the first run.
    replay : str
        The command that repeats the comparison.
    """
    verdict = "equal" if outcome.equal else "different"
    parts = [
        f"<h1>{escape(program.name)} <span class='verdict {verdict}'>{verdict}</span></h1>",
        f"<p>{escape(', '.join(outcome.labels))}: {outcome.steps} steps of {program.dt * 1e3:g} ms, "
        f"{outcome.values_compared} values compared.</p>",
        _first(outcome),
        "<h2>Machines</h2>",
        _machines(outcome),
        *(_raster(difference, outcome) for difference in outcome.differences[:4]),
        "<h2>Repeat it</h2>",
        f"<pre>{escape(replay)}</pre>",
        f"<p class='muted'>Program digest <code>{program.digest}</code></p>",
    ]
    return (
        "<!doctype html><html lang='en'><head><meta charset='utf-8'>"
        f"<title>{escape(program.name)}: {verdict}</title><style>{_STYLE}</style></head>"
        f"<body>{''.join(parts)}</body></html>\n"
    )


def _table(heads: list[str], rows: list[list[str]]) -> str:
    head = "".join(f"<th>{escape(h)}</th>" for h in heads)
    body = "".join("<tr>" + "".join(f"<td>{escape(c)}</td>" for c in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>"


def _first(outcome: Outcome) -> str:
    first = outcome.first
    if first is None:
        return ""
    element = ", ".join(map(str, first.element)) if isinstance(first.element, tuple) else str(first.element)
    rows = [[str(first.step), f"{first.object}[{element}]", first.variable, str(first.value_a), str(first.value_b)]]
    heads = ["step", "where", "variable", outcome.labels[0], outcome.labels[outcome.astray]]
    cause = f"<p>The programs differ: {escape(outcome.changes)}</p>" if outcome.changes else ""
    return f"<h2>First difference</h2>{_table(heads, rows)}{cause}"


def _machines(outcome: Outcome) -> str:
    rows = [[outcome.labels[0], "reference", "", ""]]
    for label, difference in zip(outcome.labels[1:], outcome.differences, strict=True):
        wrong = ", ".join(f"{name}: {count}" for name, count in difference.count.items())
        if label in outcome.allowed:
            wrong += f" compared up to step {difference.b.stop}; known and allowed: {outcome.allowed[label]}"
        rows.append([label, "equal" if difference.equal else "different", str(difference.values_compared), wrong])
    return _table(["machine", "verdict", "values compared", "values that differ"], rows)


def _raster(difference: Difference, outcome: Outcome) -> str:
    """Spikes of both traces: grey where both have them."""
    parts = []
    for name, one in difference.a.items():
        two = difference.b[name]
        if isinstance(one, Spikes) and isinstance(two, Spikes) and (len(one) or len(two)):
            parts.append(_overlay(one, two, difference, outcome))
    return "".join(parts)


def _overlay(one: Spikes, two: Spikes, difference: Difference, outcome: Outcome) -> str:
    a, b = difference.a, difference.b
    keys = [c.steps * c.n + c.indices for c in (one, two)]
    groups = (
        ("both", "#9aa7b3", keys[0][np.isin(keys[0], keys[1])]),
        (f"{a.target} only", "#2166ac", keys[0][~np.isin(keys[0], keys[1])]),
        (f"{b.target} only", "#d6604d", keys[1][~np.isin(keys[1], keys[0])]),
    )
    span, tall = max(a.steps, 1), (HEIGHT - 2 * MARGIN) / one.n
    marks, legend = [], []
    for k, (label, color, found) in enumerate(groups):
        shown = found[:: max(1, -(-found.size // MAX_MARKS))]
        x = MARGIN + (shown // one.n - a.start) / span * (WIDTH - 2 * MARGIN)
        y = HEIGHT - MARGIN - (shown % one.n + 1) * tall
        path = "".join(f"M{p:.1f} {q:.1f}v{max(tall, 1.5):.1f}" for p, q in zip(x, y, strict=True))
        marks.append(f"<path d='{path}' stroke='{color}' stroke-width='{1.2 if k else 0.8}' fill='none'/>")
        legend.append(
            f"<text x='{MARGIN + 230 * k}' y='{MARGIN - 12}' fill='{color}' font-size='13'>"
            f"{escape(label)} ({found.size})</text>"
        )
    if outcome.first is not None:
        at = MARGIN + (outcome.first.step - a.start) / span * (WIDTH - 2 * MARGIN)
        marks.append(f"<path d='M{at:.1f} {MARGIN}V{HEIGHT - MARGIN}' stroke='#1b2733' stroke-dasharray='3 3'/>")
    bottom = HEIGHT - MARGIN
    axes = (
        f"<path d='M{MARGIN} {MARGIN}V{bottom}H{WIDTH - MARGIN}' stroke='#b8c1c9' fill='none'/>"
        f"<text x='{MARGIN}' y='{bottom + 18}' font-size='12'>{a.start * a.dt:g} s</text>"
        f"<text x='{WIDTH - MARGIN}' y='{bottom + 18}' font-size='12' text-anchor='end'>{a.stop * a.dt:g} s</text>"
        f"<text x='{MARGIN - 6}' y='{bottom}' font-size='12' text-anchor='end'>0</text>"
        f"<text x='{MARGIN - 6}' y='{MARGIN + 10}' font-size='12' text-anchor='end'>{one.n - 1}</text>"
    )
    picture = f"<svg viewBox='0 0 {WIDTH} {HEIGHT}' role='img'>{axes}{''.join(marks)}{''.join(legend)}</svg>"
    return f"<h2>{escape(one.name)}: {escape(a.target)} and {escape(b.target)}</h2>{picture}"
