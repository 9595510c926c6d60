"""Run the experiments of the lab, draw their pictures and write docs/gallery.md: ``python docs/gallery.py [NAME ...]``.

Pictures are of the target ``cpu`` in full size. With names, only those are run again; the page keeps the rest, which is
in ``docs/gallery.json``. ``--record FILE ...`` adds what ``neuromorph lab run NAME --target T --json`` wrote, of any
target of the page, in the size that fits it. ``--page`` only writes the page.
"""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from typing import Any

from neuromorph import lab

FOLDER = Path(__file__).resolve().parent
TABLES = {"A": "Synapses", "B": "Stability", "C": "Memory"}
TARGETS = ("cpu", "cpu:float", "mcu", "loihi")
HEAD = """<!-- Written by docs/gallery.py: change the experiment, then run `python docs/gallery.py NAME`. -->

# Gallery

Phenomena of neural plasticity, each one a short script in `neuromorph/lab/` that runs by name on the own machines:
`neuromorph lab run NAME --target T`. Each has bars that it must reach, and controls without the mechanism that must
miss them. Pictures, and figures of the controls, are of the target `cpu`. Which machine holds which experiment is a
[table](reference/targets.md#experiments-of-the-lab) of its own. `cpu:ref`, `cpu` and `mcu` run each with the same bits:
`neuromorph lab compare NAME --steps 100000` compares every probe, and all state after each run.

## On each target

*passed*: all bars were met, and missed by the controls; *no*: the target does not hold it; a dash: not run. `mcu` is
the emulated board, in the size that boards hold (`--size board`); all others ran in full.
"""

Known = dict[str, dict[str, Any]]  # outcomes by experiment and target


def main(words: list[str] | None = None) -> None:
    """Run what is named (all if nothing is), or take what was recorded, and write the page."""
    parser = argparse.ArgumentParser(description="Write docs/gallery.md.")
    parser.add_argument("names", metavar="NAME", nargs="*", help="experiments to run again")
    parser.add_argument("--record", metavar="FILE", nargs="+", type=Path, help="results of lab run --json to add")
    parser.add_argument("--page", action="store_true", help="only write the page")
    given = parser.parse_args(words)
    kept = FOLDER / "gallery.json"
    known: Known = json.loads(kept.read_text(encoding="utf-8")) if kept.exists() else {}
    for path in given.record or ():
        record(known, json.loads(path.read_text(encoding="utf-8")))
    for name in given.names or (() if given.record or given.page else lab.experiments()):
        outcome = lab.run(name, lab.Machine("cpu"))
        outcome.picture(str(FOLDER / "images" / "lab" / f"{name}.png"))
        record(known, outcome.to_dict())
        print(f"{name}: {'passed' if outcome.passed else 'FAILED'}")
    known = {name: known[name] for name in lab.experiments() if name in known}
    kept.write_text(json.dumps(known, indent=1) + "\n", encoding="utf-8")
    (FOLDER / "gallery.md").write_text(page(known), encoding="utf-8")


def record(known: Known, row: dict[str, Any]) -> None:
    """Take one outcome, if it is of the experiment as it is."""
    name, target = row["name"], row["target"]
    if target not in TARGETS:
        raise SystemExit(f"{name}: target {target} is not on the page, but {', '.join(TARGETS)}")
    if row["passed"] is not None:
        if row["size"] != lab.size_for(target):
            raise SystemExit(f"{name} on {target}: size {row['size']}, but the page has {lab.size_for(target)}")
        if row["bar"] != [bar.to_dict() for bar in lab.find(name).bars]:
            raise SystemExit(f"{name} on {target}: its bars have changed since: run it again")
    known.setdefault(name, {})[target] = row


def page(known: Known) -> str:
    """The page, from what the experiments gave."""
    parts = [HEAD, summary(known)]
    for table, title in TABLES.items():
        parts.append(f"## {title}\n")
        parts += [entry(name, rows) for name, rows in known.items() if lab.find(name).table == table]
    return "\n".join(parts)


def summary(known: Known) -> str:
    """Experiments by targets."""
    lines = [f"| experiment | {' | '.join(f'`{t}`' for t in TARGETS)} |", "|---|" + "---|" * len(TARGETS)]
    words = {True: "passed", False: "FAILED", None: "no"}
    for table in TABLES:
        for name, rows in known.items():
            if lab.find(name).table == table:
                cells = (words[rows[t]["passed"]] if t in rows else "-" for t in TARGETS)
                lines.append(f"| [{name}](#{name}) | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def entry(name: str, rows: dict[str, Any]) -> str:
    """One experiment: picture, where it comes from, bars and measures by target, controls."""
    experiment, shown = lab.find(name), rows["cpu"]
    ran = [target for target in TARGETS if target in rows and rows[target]["passed"] is not None]
    lines = [f"### {name}", "", f"{experiment.title[0].upper()}{experiment.title[1:]}.", ""]
    lines += [f"![{name}](images/lab/{name}.png)", "", f"Source: {experiment.source}."]
    if experiment.compression != 1:
        lines[-1] += f" Times are compressed by a factor of {experiment.compression:g}."
    controls = list(shown["control"])
    head = ["bar", "limit", *(f"`{target}`" for target in ran), *controls]
    lines += ["", f"| {' | '.join(head)} |", "|" + "---|" * len(head)]
    for bar in shown["bar"]:
        measure = bar["measure"]
        cells = [number(rows[target]["measures"][measure]) for target in ran]
        missed = (measure in experiment.controls[c] for c in controls)
        cells += [number(shown["control"][c][measure]) if m else "" for c, m in zip(controls, missed, strict=True)]
        lines.append(f"| {bar['text']} | {bar['relation']} {bar['limit']:g} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def number(value: float | None) -> str:
    """Four digits; a dash for what could not be computed."""
    return "-" if value is None or value != value else f"{value:.4g}"


if __name__ == "__main__":
    main()
