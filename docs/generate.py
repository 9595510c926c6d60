"""Write docs/reference/ from docstrings, commands and data: ``python docs/generate.py`` (tests say if it is stale)."""

from __future__ import annotations

import inspect
import re
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Literal

import click

import neuromorph as nm
from neuromorph import lab
from neuromorph.bench.rules import RULES, small
from neuromorph.cli import COMMANDS, cli
from neuromorph.elaborate import elaborate
from neuromorph.engine import Target
from neuromorph.errors import NeuromorphError
from neuromorph.graph import Graph
from neuromorph.image import FEATURES
from neuromorph.targets import find, installed
from neuromorph.units import ms
from neuromorph.worker.peer import PeerBackend
from neuromorph_lava import LavaBackend
from neuromorph_lava.holds import own_models

FOLDER = Path(__file__).resolve().parent / "reference"
FAMILIES = ("cpu", "loihi", "mcu", "nengo")  # backends on the page: not what else happens to be installed
HEAD = "<!-- Written by docs/generate.py: change the source, then run `python docs/generate.py`. -->\n\n"

SECTIONS: dict[str, list[str]] = {
    "The network": [
        "neuromorph.network.Network", "neuromorph.neurons.LIF", "neuromorph.neurons.LIFReset",
        "neuromorph.neurons.TernaryLIF", "neuromorph.neurons.Neuron", "neuromorph.handles.Input",
        "neuromorph.handles.Population", "neuromorph.handles.Projection", "neuromorph.handles.Modulator",
    ],
    "Topologies": [f"neuromorph.topology.{n}" for n in (
        "AllToAll", "OneToOne", "FixedProbability", "FixedInDegree", "Explicit")],
    "Distributions": [f"neuromorph.distributions.{n}" for n in ("Constant", "Uniform", "Normal", "LogNormal")],
    "Inputs": [
        "neuromorph.inputs.SpikeTrain", "neuromorph.inputs.SpikeArray", "neuromorph.inputs.Poisson",
        "neuromorph.encoders.RateEncoder", "neuromorph.encoders.LatencyEncoder",
    ],
    "Plasticity": [f"neuromorph.plasticity.{n}" for n in (
        "STDP", "TripletSTDP", "RewardSTDP", "InhibitorySTDP", "InstarSTDP", "Hebbian", "Oja", "BCM", "Metaplasticity",
        "PES", "CalciumRule", "SynapticScaling", "Consolidation", "Sleep", "Gate", "FiniteResource", "Sum", "Custom",
        "TraceSpec", "ThresholdAdaptation", "IntrinsicPlasticity",
        "ShortTermPlasticity", "PlasticityRule")],
    "Compiling": [
        "neuromorph.compile.compile", "neuromorph.program.Program", "neuromorph.program.Population",
        "neuromorph.program.Projection", "neuromorph.program.build", "neuromorph.report.Report",
        "neuromorph.report.Entry",
    ],
    "Running": [
        "neuromorph.open.open", "neuromorph.open.run", "neuromorph.session.Session", "neuromorph.state.State",
        "neuromorph.store.Store", "neuromorph.store.Stored", "neuromorph.store.StoredProgram",
    ],
    "Traces and comparison": [
        "neuromorph.trace.Trace", "neuromorph.trace.Gap", "neuromorph.trace.Spikes",
        "neuromorph.trace.States", "neuromorph.compare.compare",
        "neuromorph.compare.Difference", "neuromorph.compare.First",
    ],
    "Other formats": [f"neuromorph.nir.{n}" for n in ("read", "write", "from_nir", "to_nir")],
    "Targets": [f"neuromorph.engine.{n}" for n in ("Target", "Backend", "Engine", "Storing")],
    "Errors": [f"neuromorph.errors.{n}" for n in (
        "NeuromorphError", "ValidationError", "RuleError", "UnsupportedError", "CapacityError", "ImageError",
        "LinkError", "TargetError")],
}  # fmt: skip

Cells = list[list[str]]


def table(head: list[str], rows: Cells) -> str:
    """A table in Markdown."""
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join("| " + " | ".join(cell.replace("|", "\\|") for cell in line) + " |" for line in lines)


# ------------------------------------------------------------------------------------------------------------- Python


def api() -> str:
    """The public classes and functions."""
    parts = [
        HEAD + "# Python\n\nEverything in `neuromorph.__all__` is imported as `nm.<name>`; the rest from where it is."
    ]
    for title, names in SECTIONS.items():
        parts.append(f"## {title}")
        parts += [_entry(name) for name in names]
    return "\n\n".join(parts) + "\n"


def _entry(path: str) -> str:
    module, _, name = path.rpartition(".")
    __import__(module)
    obj = getattr(sys.modules[module], name)
    shown = f"nm.{name}" if name in nm.__all__ else path
    parts = [f"### {name}", f"`{shown}{_signature(obj)}`", _markdown(obj)]
    if inspect.isclass(obj):
        parts += list(_members(obj))
    return "\n\n".join(part for part in parts if part)


def _members(cls: type) -> Iterator[str]:
    """Public methods and properties that the class, or its class of our own, defines and documents."""
    if issubclass(cls, NeuromorphError):
        return
    for name, member in vars(cls).items():
        if name.startswith("_"):
            continue
        if isinstance(member, property) and member.__doc__:
            yield f"**`{name}`** {_markdown(member)}"
        elif isinstance(member, classmethod | staticmethod) or inspect.isfunction(member):
            function = getattr(cls, name)
            if function.__doc__:
                yield f"**`{name}{_signature(function)}`**\n\n{_markdown(function)}"


def _signature(obj: Any) -> str:
    if inspect.isclass(obj) and (issubclass(obj, Exception) or getattr(obj, "_is_protocol", False)):
        return ""
    try:
        signature = inspect.signature(obj)
    except (TypeError, ValueError):
        return ""
    kept = [p.replace(annotation=p.empty) for p in signature.parameters.values() if p.name != "self"]
    return re.sub(r" at 0x[0-9a-f]+", "", str(signature.replace(parameters=kept, return_annotation=signature.empty)))


def _markdown(obj: Any) -> str:
    """A docstring of NumPy's style as Markdown."""
    lines = (inspect.getdoc(obj) or "").split("\n")
    lines = _tables(lines)
    out: list[str] = []
    section, k = "", 0
    while k < len(lines):
        following = lines[k + 1] if k + 1 < len(lines) else ""
        if lines[k] and set(following) == {"-"}:
            section = lines[k]
            out += ["", f"*{section}*", ""]
            k += 2
            continue
        out.append(_line(lines[k], section))
        k += 1
    return re.sub(r"\n{3,}", "\n\n", _literal("\n".join(out))).strip()


def _line(line: str, section: str) -> str:
    itemised = ("Parameters", "Attributes", "Raises", "Returns")
    if section in itemised and line and not line.startswith(" "):
        name, colon, kind = line.partition(" : ")
        return f"- **{name}**" + (f" ({kind})" if colon else "") + "  "
    if section in itemised and line:
        return "  " + line.strip()
    return line


def _literal(text: str) -> str:
    """Doctests and indented blocks as fences; double backticks as single ones."""
    text = re.sub(r"(?m)((?:^>>> .*\n?(?:^(?!>>>)\S.*\n?)*)+)", r"```text\n\1```\n", text.replace("``", "`"))
    text = re.sub(r"(?m)((?:^    +\S.*\n?)+)", lambda m: "```text\n" + m[1].rstrip("\n") + "\n```\n", text)
    return re.sub(r"(?<=[^\n])```\n", "\n```\n", text)


def _tables(lines: list[str]) -> list[str]:
    """Tables of reStructuredText, which begin and end with a line of =, as they stand."""
    rules = [k for k, line in enumerate(lines) if re.fullmatch(r"=+( =+)+", line)]
    if len(rules) >= 3:
        a, b = rules[0], rules[2]
        return [*lines[:a], *("    " + line for line in lines[a : b + 1]), *lines[b + 1 :]]
    return lines


# ------------------------------------------------------------------------------------------------------ command line


def commands() -> str:
    """The command line, from its parameters."""
    context = click.Context(cli, info_name="neuromorph")
    parts = [HEAD + "# Command line", inspect.cleandoc(cli.help or ""), table(
        ["command", "what it does"], [[f"[{name}](#{name})", text] for name, text in COMMANDS.items()]
    )]  # fmt: skip
    for name, command in _commands(context):
        arguments = [p for p in command.params if isinstance(p, click.Argument)]
        usage = " ".join(["neuromorph", name, "[OPTIONS]", *(_argument(p) for p in arguments)])
        rows = [
            [f"`{', '.join(p.opts)}`", _kind(p), (p.help or "") + _default(p)]
            for p in command.params
            if isinstance(p, click.Option)
        ]
        help_text = inspect.cleandoc(command.help or "")
        parts += [
            f"## {name}",
            f"`{usage}`",
            help_text,
            *([table(["option", "takes", "meaning"], rows)] if rows else []),
        ]
    return "\n\n".join(parts) + "\n"


def _commands(context: click.Context) -> Iterator[tuple[str, click.Command]]:
    """All commands, each followed by its own subcommands."""
    for name in COMMANDS:
        command = cli.get_command(context, name)
        if command is not None:
            yield name, command
        if isinstance(command, click.Group):
            yield from ((f"{name} {key}", sub) for key, sub in command.commands.items())


def _argument(parameter: click.Argument) -> str:
    name = parameter.metavar or (parameter.name or "").upper() + ("..." if parameter.nargs == -1 else "")
    return name if parameter.required or name.startswith("[") else f"[{name}]"


def _kind(option: click.Option) -> str:
    if option.is_flag:
        return ""
    kind = option.metavar or {"integer range": "integer", "file": "FILE", "path": "FILE"}.get(
        option.type.name, option.type.name
    )
    return kind.upper() + (", repeatable" if option.multiple else "")


def _default(option: click.Option) -> str:
    if option.is_flag or not option.show_default:
        return ""
    default = option.default
    return f" Default: `{', '.join(default) if isinstance(default, tuple) else default}`."


# ------------------------------------------------------------------------------------------------ targets and rules


def targets() -> str:
    """What each target holds."""
    found = [target for _, target in installed() if target.name.split(":")[0] in FAMILIES]
    parts = [HEAD + "# Targets and rules"]
    parts.append("## Targets\n\nLimits are data of the target; a real board tells its own when it is greeted.")
    rows = [[f"`{t.name}`", t.kind, t.numbers, _bytes(t.image_max), _bytes(t.arena_max), t.description] for t in found]
    parts.append(table(["target", "kind", "numbers", "image, most", "working memory, most", "what it is"], rows))
    found = [t for t in found if not t.name.startswith("mcu:") and t.name != "nengo"]
    parts.append(
        "## Features\n\nFeatures of an image ([list](../image.md)) that a target holds. All boards run the same "
        "firmware: what `mcu` holds here and below, they hold, up to their memory. `nengo` runs networks, not images: "
        "[what it holds](../peers.md#nengocore)."
    )
    rows = [[f"`{name}`", *("yes" if name in t.features else "no" for t in found)] for name in FEATURES]
    parts.append(table(["feature", *(f"`{t.name}`" for t in found)], rows))
    parts.append(
        "## Rules\n\n*native*: the machine does it alone; *kernel*: with a kernel of its own for the rule on a dense "
        "projection; *our model*: in Lava, by a model of ours for what it has none for (modulators, refractory "
        "periods, adaptive thresholds); *host*: the host learns and writes the weights; *ideal*: in floats; *no*: "
        "refused, for the reason below. Lava has shared rounding only. Each cell comes from compiling a small network."
    )
    parts.append(_matrix(RULES, found))
    parts.append(
        "### Profile wide\n\n16-bit weights, tags and traces: `compile(net, profile='wide')`, `--profile wide`. Other "
        "targets refuse it by name. The report of a compile to `loihi2` names the rules that it would hold better, and "
        "why."
    )
    parts.append(_matrix(RULES, [t for t in found if "wide" in t.profiles], "wide"))
    parts.append("## Neuron models")
    parts.append(_matrix(NEURONS, found))
    parts.append(
        "## Experiments of the lab\n\nWords as above. Each cell was found by compiling the experiment in the size of a "
        "board; all machines that hold one run it with the same bits, those of Lava with shared rounding "
        "(`neuromorph lab compare NAME --targets cpu,loihi,loihi:lava-fast --steps 2000`)."
    )
    parts.append(_matrix({name: _experiment(name) for name in lab.experiments()}, found, kernels=False))
    return "\n\n".join(parts) + "\n"


def _bytes(count: int) -> str:
    return "the computer's" if not count else f"{count >> 10:,} KiB" if count < 1 << 30 else f"{count >> 30} GiB"


def _experiment(name: str) -> Callable[[], nm.Network]:
    return lambda: lab.find(name).network("board")


def _matrix(
    networks: dict[str, Callable[[], nm.Network]], found: list[Target], profile: str = "loihi2", *, kernels: bool = True
) -> str:
    """A table, and the reasons of its refusals, numbered."""
    reasons: dict[str, int] = {}
    rows = []
    for name, make in networks.items():
        graph = elaborate(make())
        rows.append([f"`{name}`", *(_held(graph, t, reasons, profile, kernels=kernels) for t in found)])
    notes = [f"{number}. {reason}" for reason, number in reasons.items()]
    return "\n\n".join([table(["", *(f"`{t.name}`" for t in found)], rows), *(["\n".join(notes)] if notes else [])])


def _held(graph: Graph, target: Target, reasons: dict[str, int], profile: str, *, kernels: bool) -> str:
    independent = "synapse_rounding" in target.features
    try:
        rounding: Literal["synapse", "shared"] = "synapse" if independent else "shared"
        program = nm.compile(graph, target=target, rounding=rounding, profile=profile)
        backend, _ = find(target.name)
        if isinstance(backend, PeerBackend):
            backend.check(program)
    except NeuromorphError as error:
        reason = str(error).replace(f"target {target.name!r}", "the target")
        return f"no ({reasons.setdefault(reason, len(reasons) + 1)})"
    if target.numbers == "float":
        return "ideal"
    if isinstance(backend, LavaBackend) and own_models(program):
        return "our model"
    learned = [proj.name for proj in graph.projections if proj.rule is not None]
    if target.name == "loihi:nengo" and learned:
        return "host"
    report = program.report
    if report is None or not kernels or not learned or isinstance(backend, PeerBackend):
        return "native"
    own = target.name != "cpu:ref" and "interpreter" not in report.projections[0].kernel
    return "kernel" if own else "native"


NEURONS: dict[str, Callable[[], nm.Network]] = {
    "LIF": small,
    "LIF(refractory=...)": lambda: small(nm.LIF(tau_m=20 * ms, refractory=2 * ms)),
    "LIFReset": lambda: small(nm.LIFReset(tau_m=20 * ms, reset_every=50 * ms)),
    "TernaryLIF": lambda: small(nm.TernaryLIF(tau_m=20 * ms)),
}

PAGES: dict[str, Callable[[], str]] = {"api.md": api, "cli.md": commands, "targets.md": targets}


def main() -> None:
    """Write all pages."""
    FOLDER.mkdir(exist_ok=True)
    for name, make in PAGES.items():
        (FOLDER / name).write_text(make(), encoding="utf-8")


if __name__ == "__main__":
    main()
