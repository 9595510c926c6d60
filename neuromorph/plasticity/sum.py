"""The sum of rules on the same synapses: ``STDP(...) + SynapticScaling(...)``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Literal, TypeVar

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import IdealFactor, IdealRule, IdealTag, IdealTrace, PlasticityRule, Term

__all__ = ["Sum", "refuse_machine_units", "renamed"]

T = TypeVar("T")

SIDES = {"x": ("x1", "x2"), "y": ("y1", "y2", "y3")}


@described
@dataclass(frozen=True)
class Sum(PlasticityRule):
    """Several rules on the same synapses; their changes add up. Written with ``+``.

    Equal traces are shared; others take the free ones (two on the source's side, three on the target's). All rules keep
    to one epoch and one largest weight, and each tag belongs to one rule.

    Parameters
    ----------
    rules : tuple of PlasticityRule
        At least two.

    Raises
    ------
    ValidationError
        Two rules with different epochs, seeds, largest weights or signs, rules that both need the same tag, or more
        traces than there are; by name.

    Notes
    -----
    Targets: those that hold each of its rules.
    """

    rules: tuple[PlasticityRule, ...]
    epoch: float | None = field(default=None, init=False)
    seed: int = field(default=0, init=False)

    def at_epoch(self, epoch: float | None) -> Sum:
        """The sum of the same rules at another epoch."""
        return Sum(tuple(rule.at_epoch(epoch) for rule in self.rules))

    def __post_init__(self) -> None:
        flat: list[PlasticityRule] = []
        if not isinstance(self.rules, tuple | list):
            raise ValidationError(f"Sum.rules = {self.rules!r:.60}: several rules are needed, written with +")
        for rule in self.rules:
            if not isinstance(rule, PlasticityRule):
                raise ValidationError(f"{rule!r:.60} is no rule of synapses and cannot be added to one")
            flat += rule.rules if isinstance(rule, Sum) else [rule]
        object.__setattr__(self, "rules", tuple(flat))
        object.__setattr__(self, "epoch", _agreed(flat, "epoch", (r.epoch for r in flat), None))
        object.__setattr__(self, "seed", _agreed(flat, "seed", (r.seed for r in flat), 0))
        _agreed(flat, "w_max", (r.bound for r in flat), None)
        _agreed(flat, "sign", (r.sign for r in flat), None)

    @property
    def bound(self) -> float | None:
        """`w_max` of the rules that have one."""
        return next((rule.bound for rule in self.rules if rule.bound is not None), None)

    @property
    def sign(self) -> Literal["exc", "inh"] | None:
        """Sign of the rules that have one."""
        return next((rule.sign for rule in self.rules if rule.sign is not None), None)

    @property
    def reads(self) -> tuple[str, ...]:
        """Those of all rules, each once."""
        return tuple(dict.fromkeys(name for rule in self.rules for name in rule.reads))

    def ideal(self, dt: float) -> IdealRule:
        """All terms; traces and modulators renamed where two rules use a name for different things."""
        parts = [rule.at_epoch(self.epoch).ideal(dt) for rule in self.rules]
        traces: dict[str, IdealTrace] = {}
        tags: dict[str, tuple[str, IdealTag]] = {}
        terms: dict[str, tuple[Term, ...]] = {"dw": (), "dd": (), "dt": ()}
        for rule, part in zip(self.rules, parts, strict=True):
            kind = type(rule).__name__
            refuse_machine_units("Sum", kind, part)
            for letter, tag in part.tags.items():
                if letter in tags:
                    raise ValidationError(
                        f"Sum: {tags[letter][0]} and {kind} both use the tag {letter}, and a synapse has one; leave "
                        "one of the rules out"
                    )
                tags[letter] = (kind, tag)
            names = {f"m{k + 1}": f"m{self.reads.index(m) + 1}" for k, m in enumerate(part.modulators)}
            names |= {name: _place(trace, name, traces, kind) for name, trace in part.traces.items()}
            for key in terms:
                terms[key] += renamed(getattr(part, key), names)
        graded = {part.graded_trace for part in parts} - {"none"}
        if len(graded) > 1:
            raise ValidationError(f"Sum: payloads enter x1 in different ways, {' and '.join(sorted(graded))}; give one")
        return IdealRule(
            terms["dw"],
            traces,
            terms["dd"],
            terms["dt"],
            t_epoch=parts[0].t_epoch,
            seed=self.seed,
            graded_trace=graded.pop() if graded else "none",
            modulators=self.reads,
            tags={letter: tag for letter, (_, tag) in tags.items()},
            total=max(part.total for part in parts),
        )


def refuse_machine_units(owner: str, kind: str, part: IdealRule) -> None:
    """Refuse a rule in machine units as a part of one in physical units."""
    if part.machine_units:
        raise ValidationError(
            f"{owner}: {kind} is in machine units and cannot be a part of another rule; write all of it as one Custom"
        )


def renamed(terms: Iterable[Term], names: Mapping[str, str]) -> tuple[Term, ...]:
    """Terms that read other variables instead."""

    def other(factor: IdealFactor) -> IdealFactor:
        variable, second = names.get(factor.variable, factor.variable), names.get(factor.second, factor.second)
        return replace(factor, variable=variable, second=second)

    return tuple(replace(term, factors=tuple(map(other, term.factors))) for term in terms)


def _place(trace: IdealTrace, name: str, traces: dict[str, IdealTrace], kind: str) -> str:
    """The name of a trace in the sum: its own or an equal one's if possible, else a free one."""
    side = SIDES[name[0]]
    first = (name, *(other for other in side if other != name))
    if trace.payload:
        first = (name,)  # payloads enter x1 only
    chosen = next((other for other in first if traces.get(other) == trace), None)
    chosen = chosen or next((other for other in first if other not in traces), None)
    if chosen is None:
        raise ValidationError(
            f"Sum: {kind} needs one more trace {name[0]}, and all of {', '.join(first)} are taken; give rules the same "
            "time constants and peaks, so that they share traces"
        )
    traces[chosen] = trace
    return chosen


def _agreed(rules: list[PlasticityRule], what: str, values: Iterable[T], default: T) -> T:
    given = {value: type(rule).__name__ for rule, value in zip(rules, values, strict=True) if value != default}
    if len(given) > 1:
        listed = ", ".join(f"{kind} has {value!r}" for value, kind in given.items())
        raise ValidationError(f"Sum: the rules differ in {what}: {listed}; give all the same")
    return next(iter(given), default)
