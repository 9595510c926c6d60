"""A rule of your own, as text in the machine's units."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, get_args

from neuromorph.errors import RuleError, ValidationError, pointed
from neuromorph.language import format_products, parse_products, product_columns, variable_columns
from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    EXTENSION,
    Held,
    IdealFactor,
    IdealRule,
    IdealTrace,
    Lowered,
    PlasticityRule,
    Term,
    epoch_steps,
    modulator_held,
    require,
)
from neuromorph.plasticity.effect import Effect, largest_factor
from neuromorph.profiles import LOIHI2, Profile
from neuromorph.rule import MODULATORS, TRACES, VARIABLES, Product, Rule, Trace

if TYPE_CHECKING:
    from neuromorph.handles import Modulator

__all__ = ["Custom", "TraceSpec"]

GradedTrace = Literal["none", "overwrite", "add_saturate", "add_wrap"]
PAYLOAD_GAIN = 0.5  # x1 takes half the payload (docs/semantics.md, 4.2)


@described
@dataclass(frozen=True, slots=True)
class TraceSpec:
    """A trace of 7 bits: `impulse` (0..127) is added at a spike; it decays with `tau` (seconds; 0: forgets at once)."""

    impulse: float
    tau: float

    def __post_init__(self) -> None:
        require(self, "impulse", 0.0, 127.0, closed=True)
        require(self, "tau", 0.0, closed=True, unit="s")


@described
@dataclass(frozen=True)
class Custom(PlasticityRule):
    """A user's rule: sums of products in the language of `neuromorph.language`, in machine units.

    Weights count in units of the projection's scale (exc 0..255, inh -255..0, mixed -256..255), traces 0..127, tag_2
    (`d`) 0..255, tag_1 (`t`) -257..255, modulators -128..127 (127 at full scale). A product
    of several factors is shifted right by ``max(0, 4 + bits - 15)`` (7 bits for a trace or modulator, 9 for w, d, t,
    q); `Lowered.notes` says the gain that is left.

    Parameters
    ----------
    dw, dd, dt : str
        Changes of the weight, of tag_2 and of tag_1, e.g. ``"2^-2*x1*y0 - 2^-2*y1*x0"``; empty: no change.
    traces : mapping
        Of each trace that the rule reads: ``{"x1": TraceSpec(impulse=16, tau=20 * ms)}``.
    modulators : mapping
        At most 4, by their names in the text: ``{"reward": dopamine}``; they can be written m1, m2, ... too.
    sum_shift : int
        ``q`` is the sum of the weights onto the target neuron, shifted right by this, 0..31; it is held up to 511.
    graded_trace : str
        How the payload of a graded source enters x1 (whose impulse is then 0): none, overwrite, add_saturate, add_wrap.
    w_max : float, optional
        Weight that 255 machine units stand for, in the network's weight unit; None: the compiler chooses.

    Raises
    ------
    RuleError
        The text is no rule, or reads a trace that `traces` lacks; with the column.

    Notes
    -----
    Targets: all that learn, for products of a variable and a constant; more factors, `q`, tags and modulators need
    targets that have them, by name where one does not.
    """

    dw: str = ""
    dd: str = ""
    dt: str = ""
    traces: Mapping[str, TraceSpec] = field(default_factory=dict)
    graded_trace: GradedTrace = "none"
    w_max: float | None = None
    modulators: Mapping[str, Modulator | str] = field(default_factory=dict, metadata=EXTENSION)
    sum_shift: int = field(default=0, metadata=EXTENSION)
    products: Mapping[str, tuple[Product, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        texts = {"dw": self.dw, "dd": self.dd, "dt": self.dt}
        if not isinstance(self.modulators, Mapping):
            raise ValidationError(f"Custom.modulators = {self.modulators!r:.60}: needed e.g. {{'reward': dopamine}}")
        if not isinstance(self.traces, Mapping):
            raise ValidationError(
                f"Custom.traces = {self.traces!r:.60}: needed e.g. {{'x1': TraceSpec(impulse=16, tau=20 * ms)}}"
            )
        held = {name: modulator_held(f"Custom.modulators[{name!r}]", m) for name, m in self.modulators.items()}
        object.__setattr__(self, "modulators", held)
        if len(held) > len(MODULATORS):
            raise ValidationError(f"Custom.modulators: {len(held)} modulators; at most {len(MODULATORS)}")
        require(self, "sum_shift", 0, 31, closed=True)
        names = tuple(held)
        products = {key: parse_products(text, names) if text != "" else () for key, text in texts.items()}
        if not any(products.values()):
            raise ValidationError("Custom: dw, dd and dt are all empty: the rule changes nothing")
        if self.graded_trace not in get_args(GradedTrace):
            raise ValidationError(
                f"Custom.graded_trace = {self.graded_trace!r} is unknown; one of {', '.join(get_args(GradedTrace))}"
            )
        if self.w_max is not None:
            require(self, "w_max", 0.0)
        self._check_traces(texts)
        for key, text in texts.items():
            _check_wrap(text, products[key])
        object.__setattr__(self, "products", products)
        object.__setattr__(self, "traces", dict(self.traces))

    def _check_traces(self, texts: Mapping[str, str]) -> None:
        for name, spec in self.traces.items():
            if name not in TRACES:
                raise ValidationError(f"Custom.traces: {name!r} is unknown; one of {', '.join(TRACES)}")
            if not isinstance(spec, TraceSpec):
                raise ValidationError(
                    f"Custom.traces[{name!r}]: a TraceSpec is needed, not {type(spec).__name__}, "
                    "e.g. TraceSpec(impulse=16, tau=20 * ms)"
                )
        for text in texts.values():
            for name, column in variable_columns(text).items():
                if name in MODULATORS[len(self.modulators) :]:
                    raise RuleError(f"the rule has no modulator {name}; add it to modulators", text, column)
                if name in TRACES and name not in self.traces:
                    message = f"the trace {name} has no impulse and time constant; add it to traces"
                    raise RuleError(message, text, column)
        if self.graded_trace != "none":
            x1 = self.traces.get("x1")
            if x1 is None or x1.impulse:
                raise ValidationError("Custom.graded_trace needs x1 with impulse 0: the payload takes its place")

    def show_extended(self) -> str:
        """Where in its text the first product begins that only our own engines hold; empty if there is none."""
        for key, products in self.products.items():
            text = str(getattr(self, key))
            for product, column in zip(products, product_columns(text) if text else (), strict=True):
                if product.extended:
                    return f"{key}, {pointed(text, column)}"
        return ""

    @property
    def bound(self) -> float | None:
        """`w_max`."""
        return self.w_max

    @property
    def reads(self) -> tuple[str, ...]:
        """The modulators, as m1, m2, ..."""
        return tuple(map(str, self.modulators.values()))

    def ideal(self, dt: float) -> IdealRule:
        """The products with real gains and traces without limits, in machine units."""
        terms = {key: tuple(_term(key, p) for p in products) for key, products in self.products.items()}
        payload = PAYLOAD_GAIN if self.graded_trace != "none" else 0.0
        traces = {
            name: IdealTrace(spec.tau, spec.impulse, payload=payload if name == "x1" else 0.0)
            for name, spec in self.traces.items()
        }
        return IdealRule(
            dw=terms["dw"],
            dd=terms["dd"],
            dt=terms["dt"],
            traces=traces,
            t_epoch=epoch_steps(self, dt),
            seed=self.seed,
            graded_trace=self.graded_trace,
            machine_units=True,
            modulators=self.reads,
            sum_shift=self.sum_shift,
        )

    def lower(
        self,
        w_unit: float,
        dt: float,
        modulators: Mapping[str, float] | None = None,  # noqa: ARG002
        profile: Profile = LOIHI2,
    ) -> Lowered:
        """The products as written; the notes say the gain of each after the hidden shift."""
        if not w_unit > 0:
            raise ValidationError(f"Custom: weight unit {w_unit!r} must be > 0")
        traces = {name: Trace.of(spec.impulse, spec.tau / dt) for name, spec in self.traces.items()}
        notes = []
        warnings = []
        wide = []
        ideal = self.ideal(dt)
        units = dict.fromkeys(VARIABLES, 1.0)
        for key, products in self.products.items():
            for product in products:
                asked = product.mant * 2.0**product.exp
                text = format_products([product], tuple(self.modulators))
                notes.append(Held(f"{key} {text}", asked, product.gain, "gain"))
                effect = Effect.of(product, _term(key, product), product.gain, units, ideal, None, profile)
                target = {"dw": "w", "dd": "d", "dt": "t"}[key]
                found = effect.warnings(w_unit, target)
                warnings += [f"Custom.{key}, {text}: {warning}" for warning in found]
                wide += [f"{text}: {why}" for why in effect.needs_wide(product, target)]
        for name, spec in self.traces.items():
            held = traces[name]
            notes.append(Held(f"{name} impulse", spec.impulse, held.ii + held.fi / 256, "trace units"))
        rule = Rule(
            self.products["dw"],
            self.products["dd"],
            self.products["dt"],
            traces,
            t_epoch=epoch_steps(self, dt),
            seed=int(self.seed),
            graded_trace=self.graded_trace,
            modulators=self.reads,
            sum_shift=self.sum_shift,
        )
        return Lowered(rule, tuple(notes), tuple(warnings), tuple(wide))


def _check_wrap(text: str, products: tuple[Product, ...]) -> None:
    """Refuse a product whose factors can leave 32 bits: the machine would wrap it."""
    for product, column in zip(products, product_columns(text) if text else (), strict=True):
        largest = math.prod(map(largest_factor, product.factors)) * abs(product.mant)
        if largest >= 2**31:
            raise RuleError(
                f"the factors of this product can reach {largest:.2g}, over 2^31, and would wrap; use fewer or "
                "narrower factors, or a smaller number before 2^n",
                text,
                column,
            )


def _term(key: str, product: Product) -> Term:
    factors = tuple(IdealFactor(f.variable, float(f.constant), f.function, f.second, f.sign) for f in product.factors)
    return Term(key, product.dependency, product.gain, factors, product.k)
