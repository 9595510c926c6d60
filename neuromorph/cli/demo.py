"""``neuromorph demo``: learn digits on the board, see what it learned, and that every machine did the same."""

from __future__ import annotations

import re
import sys
import time
from typing import TYPE_CHECKING

import click

from neuromorph.cli.common import print_json, progress, refuse, targets_option

if TYPE_CHECKING:
    from neuromorph.examples.digits import Digits

__all__ = ["command"]

PART = {"train": 1000, "test": 540}
SPLIT_MAX = 2**32 - 1  # seeds of scikit-learn


def _read_splits(ctx: click.Context, param: click.Parameter, value: str) -> range:
    """A split, or several as FIRST-LAST."""
    match = re.fullmatch(r"(\d+)(?:-(\d+))?", value)
    found = range(int(match[1]), int(match[2] or match[1]) + 1) if match else range(0)
    if not found or found[-1] > SPLIT_MAX:
        message = f"{value!r} is neither a number in 0..{SPLIT_MAX} nor two as FIRST-LAST, e.g. 0-4"
        raise click.BadParameter(message, ctx=ctx, param=param)
    return found


@click.command("demo", short_help="learn handwritten digits and compare the machines")
@targets_option("cpu:ref,cpu,mcu")
@click.option("--all", "whole", is_flag=True, help="Learn all 1,257 training images (default: a part).")
@click.option("--passes", default=1, show_default=True, type=click.IntRange(1, 10), help="How often images are shown.")
@click.option(
    "--split", "splits", default="0", show_default=True, callback=_read_splits,
    help="Train/test split, or several as 0-4 (with --score).",
)  # fmt: skip
@click.option("--score", "score_only", is_flag=True, help="Only the accuracy, on each target; cpu:float is one, too.")
@click.option("--cells", default=100, show_default=True, type=click.IntRange(1, 1000), help="Cells (with --score).")
@click.option("--raw", is_flag=True, help="Images as they are, not at one contrast: homeostasis has to do that.")
@click.option(
    "--homeostasis", type=click.Choice(["on", "off"]), default="on", show_default=True, help="Whether thresholds adapt."
)
@click.option("-o", "--output", default="digits.png", show_default=True, help="Picture of the receptive fields.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
@click.pass_context
def command(
    ctx: click.Context,
    targets: tuple[str, ...],
    whole: bool,
    passes: int,
    splits: range,
    score_only: bool,
    cells: int,
    raw: bool,
    homeostasis: str,
    output: str,
    as_json: bool,
) -> int:
    """Learn handwritten digits without labels, on the emulated board and on the other machines.

    Ends with exit status 0 if all machines gave the same spikes and the same weights, 1 if not.
    """
    from neuromorph.examples.digits import Digits

    if score_only:
        refuse(ctx, "with --score, which draws no picture", "output")
    else:
        refuse(ctx, "without --score", "cells")
        if len(splits) > 1:
            raise click.UsageError("several splits need --score: the machines are compared on one")
    _check_targets(targets, floats=score_only)
    part = {} if whole else PART
    shown = [Digits(split=k, passes=passes, raw=raw, homeostasis=homeostasis == "on", **part) for k in splits]
    return _scores(targets, shown, cells, as_json) if score_only else _compare(targets, shown[0], output, as_json)


def _check_targets(names: tuple[str, ...], *, floats: bool) -> None:
    """Before anything is learned: whether all machines are there, and have bits to compare."""
    from neuromorph.targets import find

    for name in names:
        if find(name)[1].numbers != "integer" and not floats:
            raise click.UsageError(f"{name} computes in floats: no bits to compare; add --score for its accuracy")
    if len(names) < 2 and not floats:
        raise click.UsageError("a comparison needs at least two targets; add --score for the accuracy of one")


def _compare(names: tuple[str, ...], digits: Digits, output: str, as_json: bool) -> int:
    from neuromorph.cli.compare import text
    from neuromorph.demo import show
    from neuromorph.plots import check_plot

    check_plot(output)
    if not as_json:
        click.echo(
            f"Learning {digits.learning_images} handwritten digits without labels, then reading "
            f"{len(digits.test_labels)} unseen ones: {digits.steps} steps on each of {', '.join(names)}."
        )
    began = time.monotonic()
    with progress(as_json) as bar:
        shown = show(digits, names, bar)
    shown.picture(output)
    if as_json:
        score = {"accuracy": shown.score.accuracy, "silent": shown.score.silent, "picture": output}
        print_json({**shown.outcome.to_dict(), **score})
        return 0 if shown.outcome.equal else 1
    click.echo(text(shown.outcome))
    click.echo(f"held-out digits read: {shown.score.accuracy:.1%} ({len(digits.test_labels)} images, chance 10%)")
    click.echo(f"what the cells learned: {output}   ({time.monotonic() - began:.0f} s)")
    click.echo("equal" if shown.outcome.equal else "DIFFERENT", color=sys.stdout.isatty())
    return 0 if shown.outcome.equal else 1


def _scores(names: tuple[str, ...], shown: list[Digits], cells: int, as_json: bool) -> int:
    from neuromorph.demo import learn

    found: dict[str, list[float]] = {}
    with progress(as_json) as bar:
        for name in names:
            for digits in shown:
                score = learn(digits, name, cells, bar)
                found.setdefault(name, []).append(score.accuracy)
                if not as_json:
                    click.echo(f"{name}  split {digits.split}  {score.accuracy:.1%}  ({score.silent} silent)")
    summary = {name: {"mean": sum(v) / len(v), "min": min(v), "splits": v} for name, v in found.items()}
    if as_json:
        print_json({"cells": cells, "passes": shown[0].passes, "targets": summary})
    else:
        for name, row in summary.items():
            click.echo(f"{name}: mean {row['mean']:.1%}, lowest {row['min']:.1%}")
    return 0
