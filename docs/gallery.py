"""Run the experiments of the lab, draw their pictures and write docs/gallery.md: ``python docs/gallery.py [NAME ...]``.

Pictures and figures are of the target ``cpu`` in full size. With names, only those are run again; the page keeps the
rest, whose measures are in ``docs/gallery.json``.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

from neuromorph import lab

FOLDER = Path(__file__).resolve().parent
TABLES = {"A": "Synapses", "B": "Stability", "C": "Memory"}
HEAD = """<!-- Written by docs/gallery.py: change the experiment, then run `python docs/gallery.py NAME`. -->

# Gallery

Phenomena of neural plasticity, each one a short script in `neuromorph/lab/` that runs by name on the own machines:
`neuromorph lab run NAME --target T`. Each has bars that it must reach, and controls without the mechanism that must
miss them. Measures below are of the target `cpu`. Nine of them run on `loihi` and on Lava's models, too
([table](reference/targets.md#experiments-of-the-lab)).
"""


def main(names: list[str]) -> None:
    """Run what is named (all if nothing is) and write the page."""
    kept = FOLDER / "gallery.json"
    known: dict[str, Any] = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for name in names or lab.experiments():
        outcome = lab.run(name, lab.Machine("cpu"))
        outcome.picture(str(FOLDER / "images" / "lab" / f"{name}.png"))
        known[name] = outcome.to_dict()
        print(f"{name}: {'passed' if outcome.passed else 'FAILED'}")
    known = {name: known[name] for name in lab.experiments() if name in known}
    kept.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    (FOLDER / "gallery.md").write_text(page(known), encoding="utf-8")


def page(known: dict[str, Any]) -> str:
    """The page, from what the experiments gave."""
    parts = [HEAD]
    for table, title in TABLES.items():
        parts.append(f"## {title}\n")
        parts += [entry(name, row) for name, row in known.items() if lab.find(name).table == table]
    return "\n".join(parts)


def entry(name: str, row: dict[str, Any]) -> str:
    """One experiment: picture, where it comes from, bars and measures, controls."""
    experiment = lab.find(name)
    picture = f"![{name}](images/lab/{name}.png)"
    lines = [f"### {name}: {experiment.title}", "", picture, "", f"Source: {experiment.source}."]
    if experiment.compression != 1:
        lines[-1] += f" Times are compressed by a factor of {experiment.compression:g}."
    controls = list(row["control"])
    lines += ["", f"| bar | limit | measured | {' | '.join(controls)} |", "|---|---|---|" + "---|" * len(controls)]
    for bar in row["bar"]:
        measure = bar["measure"]
        without = (
            number(row["control"][c][measure]) if measure in experiment.controls[c] else "" for c in controls
        )
        limit = f"{bar['relation']} {bar['limit']:g}"
        lines.append(f"| {bar['text']} | {limit} | {number(row['measures'][measure])} | {' | '.join(without)} |")
    return "\n".join(lines) + "\n"


def number(value: float) -> str:
    """Four digits; a dash for what could not be computed."""
    return "-" if value != value else f"{value:.4g}"


if __name__ == "__main__":
    main(sys.argv[1:])
