"""Measure, and write tables into the pages: ``python docs/figures.py [accuracy] [NAME of TABLES ...]`` (default: all).

``accuracy:cells`` measures one row of `ACCURACY`; the others stay as they are in the page.
"""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from collections.abc import Callable, Collection
from functools import cache
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
SPLITS = "0-4"
NETWORKS = ("N1", "N2", "N3", "N4")
BOARDS = ("mcu:m4", "mcu:m3", "mcu:m0")
KINDS = {
    "neuron update, LIF": "neuron update, lif",
    "synaptic event, dense": "synaptic event, static dense",
    "synaptic event, sparse": "synaptic event, static sparse",
    "synaptic event, short-term plasticity": "synaptic event, short-term",
    "plastic update, pair STDP": "plastic update, pair STDP",
    "product of any other rule, first of its sum": "interpreted product, the first",
    "product of any other rule, each further": "interpreted product, each further",
    "the first, of a row or column that is alone": "interpreted product in a ",
    "product in profile wide": "profile wide",
}
"""Titles of rows of the README, and how the names of what they hold begin."""


NORMAL, RAW, FIXED = "at one contrast, adapting", "raw, adapting", "raw, fixed"
ACCURACY = {
    "ideal": ("cpu:float", 1, 100, NORMAL), "board": ("mcu", 1, 100, NORMAL),
    "thrice": ("mcu", 3, 100, NORMAL), "cells": ("mcu", 3, 200, NORMAL), "raw": ("mcu", 3, 100, RAW),
    "fixed": ("mcu", 3, 100, FIXED),
}  # fmt: skip
"""Rows of the table of digits: target, showings of the images, cells, preparation and thresholds."""


def main(wanted: list[str]) -> None:
    """Measure what is wanted and write it between its marks."""
    rows = {name.partition(":")[2] for name in wanted if name.startswith("accuracy:")}
    for name in dict.fromkeys(name.partition(":")[0] for name in wanted or ("accuracy", *TABLES)):
        measure, page = TABLES[name] if name != "accuracy" else (None, README)
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        if measure is None:
            now = page.read_text(encoding="utf-8").partition(begin)[2].partition(end)[0]
            table = accuracy(now, rows if rows and name not in wanted else ACCURACY)
        else:
            table = measure()
        text = page.read_text(encoding="utf-8")
        text = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table}\n{end}", text, flags=re.DOTALL)  # noqa: B023
        page.write_text(text, encoding="utf-8")


def neuromorph(*words: str) -> Any:
    """What a command says in JSON; None if it could not run."""
    done = subprocess.run(
        [sys.executable, "-m", "neuromorph", *words, "--json"], capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def accuracy(now: str, wanted: Collection[str]) -> str:
    """Share of held-out digits read, by target, showings of the images, cells and preparation.

    Rows that are not wanted are those of the table `now`; what it lacks is left out.
    """
    rows = [
        "| target | cells | images, thresholds | shown | mean of 5 splits | lowest | highest |",
        "|---|---|---|---|---|---|---|",
    ]
    unknown = set(wanted) - set(ACCURACY)
    if unknown:
        sys.exit(f"no row {min(unknown)!r} of the accuracy; known: {', '.join(ACCURACY)}")
    for name, (target, passes, cells, prepared) in ACCURACY.items():
        shown = "once" if passes == 1 else "three times"
        head = f"| `{target}` | {cells} | {prepared} | {shown} |"
        if name not in wanted:
            rows += [line for line in now.splitlines() if line.startswith(head)]
            continue
        words = ["demo", "--score", "--all", "--split", SPLITS, "--targets", target, "--passes", str(passes)]
        words += ["--cells", str(cells), *(["--raw"] if prepared != NORMAL else [])]
        words += ["--homeostasis", "off"] if prepared == FIXED else []
        data = neuromorph(*words)["targets"][target]
        low, high = data["min"], max(data["splits"])
        figures = f"**{data['mean']:.1%}** | {low:.1%} | {high:.1%}".replace("%", " %")
        rows.append(f"{head} {figures} |")
    return "\n".join(rows)


def speed() -> str:
    """Time of the engines on this computer, and exact instructions on the emulated boards."""
    head = ["", *NETWORKS]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for target, repeats in (("cpu", 5), ("cpu:ref", 1), ("cpu:float", 1)):
        found = [neuromorph("bench", n, "--target", target, "--repeats", str(repeats)) for n in NETWORKS]
        cells = [_number(row["cpu_us_per_step"]) for row in found]
        rows.append(f"| `{target}`, CPU µs per step | {' | '.join(cells)} |")
        if target == "cpu":
            events = [f"{row['synaptic_events'] / row['steps']:,.0f}" for row in found]
            updates = [f"{row['plastic_updates'] / row['steps']:,.0f}" for row in found]
    rows.append(f"| synaptic events per step | {' | '.join(events)} |")
    rows.append(f"| plastic updates per step | {' | '.join(updates)} |")
    for board in BOARDS:
        cells = [_instructions(name, board) for name in NETWORKS]
        rows.append(f"| `{board}`, instructions per step | {' | '.join(cells)} |")
    python = f"Python {platform.python_version()}, {_processor()}"
    runs = "the fastest of 5 runs, of `cpu:ref` and `cpu:float` one of 200 steps; on boards 200 steps."
    return "\n".join([*rows, "", f"({python}; {runs})"])


def _instructions(network: str, board: str) -> str:
    found = neuromorph("bench", network, "--target", board)
    return "too large" if found is None else f"{found['instructions_per_step']:,.0f}"


@cache
def _costs(board: str) -> dict[str, float]:
    costs: dict[str, float] = neuromorph("bench", "--kernels", "--target", board)["instructions"]
    return costs


def _of_boards(rows: dict[str, dict[str, str]]) -> str:
    lines = [f"| instructions per | {' | '.join(f'`{b}`' for b in BOARDS)} |", "|---" * (len(BOARDS) + 1) + "|"]
    lines += [f"| {work} | {' | '.join(cells[b] for b in BOARDS)} |" for work, cells in rows.items()]
    return "\n".join(lines)


def kernels() -> str:
    """Exact instructions per element of work."""
    return _of_boards({work: {b: f"{_costs(b)[work]:.1f}" for b in BOARDS} for work in _costs(BOARDS[0])})


def kinds() -> str:
    """The same by kind of work, from the cheapest to the dearest."""

    def cell(board: str, beginning: str) -> str:
        costs = [f"{cost:.1f}" for work, cost in _costs(board).items() if work.startswith(beginning)]
        low, high = min(costs, key=float), max(costs, key=float)
        return low if low == high else f"{low} to {high}"

    return _of_boards({title: {b: cell(b, beginning) for b in BOARDS} for title, beginning in KINDS.items()})


def rules() -> str:
    """Exact instructions that each named rule costs on an emulated board."""
    found = {board: neuromorph("bench", "--rules", "--target", board) for board in ("mcu:m4", "mcu:m0")}
    costs = {board: data["rules"] for board, data in found.items()}
    head = [f"{what}, `{board}`" for board in costs for what in ("per update", "per neuron and step")]
    rows = [f"| rule | {' | '.join(head)} |", "|---" * (len(head) + 1) + "|"]
    for name in costs["mcu:m4"]:
        cells = (costs[board][name][key] for board in costs for key in ("update", "neuron_step"))
        rows.append(f"| `{name}` | {' | '.join('' if c is None else f'{c:.1f}' for c in cells)} |")
    rows += ["", "| N3, instructions per step | plain | with both | adds |", "|---|---|---|---|"]
    for board, data in found.items():
        homeostasis = data["homeostasis"]
        per_step = (f"{homeostasis[key]['instructions_per_step']:,.0f}" for key in ("plain", "both"))
        rows.append(f"| `{board}` | {' | '.join(per_step)} | {homeostasis['share']:.1%} |")
    return "\n".join(rows)


TABLES: dict[str, tuple[Callable[[], str], Path]] = {
    "speed": (speed, README),
    "kinds": (kinds, README),
    "kernels": (kernels, DOCS / "howto" / "bench.md"),
    "rules": (rules, DOCS / "howto" / "bench.md"),
}


def _number(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:,.0f}" if value >= 100 else f"{value:.1f}"


def _processor() -> str:
    try:
        model = re.search(r"^model name\s*:\s*(.*)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        model = None
    return model[1] if model else platform.machine()


if __name__ == "__main__":
    main(sys.argv[1:])
