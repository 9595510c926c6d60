"""Measure, and write tables into the pages: ``python docs/figures.py [accuracy] [speed] [rules]`` (default: all)."""

from __future__ import annotations

import json
import platform
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

DOCS = Path(__file__).resolve().parent
README = DOCS.parent / "README.md"
SPLITS = "0-4"
NETWORKS = ("N1", "N2", "N3", "N4")
BOARDS = ("mcu:m4", "mcu:m3", "mcu:m0")


def main(wanted: list[str]) -> None:
    """Measure what is wanted and write it between its marks."""
    tables = {"accuracy": (accuracy, README), "speed": (speed, README), "rules": (rules, DOCS / "howto" / "bench.md")}
    for name in wanted or tables:
        measure, page = tables[name]
        table = measure()
        text = page.read_text(encoding="utf-8")
        begin, end = f"<!-- {name}:begin -->", f"<!-- {name}:end -->"
        text = re.sub(f"{begin}.*?{end}", lambda _: f"{begin}\n{table}\n{end}", text, flags=re.DOTALL)  # noqa: B023
        page.write_text(text, encoding="utf-8")


def neuromorph(*words: str) -> Any:
    """What a command says in JSON; None if it could not run."""
    done = subprocess.run(
        [sys.executable, "-m", "neuromorph", *words, "--json"], capture_output=True, text=True, check=False
    )
    return json.loads(done.stdout) if done.returncode == 0 else None


def accuracy() -> str:
    """Share of held-out digits read, by target, showings of the images, cells and preparation."""
    rows = [
        "| target | cells | images, thresholds | shown | mean of 5 splits | lowest | highest |",
        "|---|---|---|---|---|---|---|",
    ]
    normal, raw, off = "at one contrast, adapting", "raw, adapting", "raw, fixed"
    for target, passes, cells, prepared in (
        ("cpu:float", 1, 100, normal), ("mcu", 1, 100, normal), ("cpu", 3, 100, normal), ("cpu", 3, 200, normal),
        ("cpu", 3, 100, raw), ("cpu", 3, 100, off),
    ):  # fmt: skip
        words = ["demo", "--score", "--all", "--split", SPLITS, "--targets", target, "--passes", str(passes)]
        words += ["--cells", str(cells), *(["--raw"] if prepared != normal else [])]
        words += ["--homeostasis", "off"] if prepared == off else []
        data = neuromorph(*words)["targets"][target]
        shown = "once" if passes == 1 else "three times"
        low, high = data["min"], max(data["splits"])
        figures = f"**{data['mean']:.1%}** | {low:.1%} | {high:.1%}".replace("%", " %")
        rows.append(f"| `{target}` | {cells} | {prepared} | {shown} | {figures} |")
    return "\n".join(rows)


def speed() -> str:
    """Time of the engines on this computer, and exact instructions on the emulated boards."""
    head = ["", *NETWORKS]
    rows = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for target, repeats in (("cpu", 5), ("cpu:ref", 1)):
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
    python = f"Python {platform.python_version()}, {_processor()}; the fastest of 5 runs, of `cpu:ref` one of 200 steps"
    return "\n".join([*rows, "", f"({python}; on boards 200 steps.)", "", kernels()])


def _instructions(network: str, board: str) -> str:
    found = neuromorph("bench", network, "--target", board)
    return "too large" if found is None else f"{found['instructions_per_step']:,.0f}"


def kernels() -> str:
    """Exact instructions per element of work."""
    costs = {board: neuromorph("bench", "--kernels", "--target", board)["instructions"] for board in BOARDS}
    rows = [f"| instructions per | {' | '.join(f'`{b}`' for b in BOARDS)} |", "|---" * (len(BOARDS) + 1) + "|"]
    for work in costs[BOARDS[0]]:
        rows.append(f"| {work} | {' | '.join(f'{costs[b][work]:.1f}' for b in BOARDS)} |")
    return "\n".join(rows)


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
