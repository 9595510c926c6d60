"""Network: what a modeller writes. Everything is checked, and drawn, where it is written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal, TypeVar

from neuromorph import graph, handles
from neuromorph.elaborate import draw_population, draw_projection
from neuromorph.errors import ValidationError
from neuromorph.graph_check import MAX_U32, N_MAX, PLASTIC_WEIGHTS, check_projection, check_read, probe_variables
from neuromorph.modulator import check_modulator, check_value, draw_modulator
from neuromorph.neurons import Neuron, TernaryLIF
from neuromorph.parameters import Limit, described, integer, keywords, name_of, real, steps
from neuromorph.plasticity.base import PlasticityRule
from neuromorph.plasticity.homeostasis import Homeostasis
from neuromorph.plasticity.short_term import ShortTermPlasticity
from neuromorph.topology import AllToAll, Topology
from neuromorph.units import ms

if TYPE_CHECKING:
    from neuromorph.distributions import Distribution
    from neuromorph.inputs import Source

__all__ = ["Network"]

H = TypeVar("H", bound=handles.Handle)
Cells = handles.Input | handles.Population
Thing = Cells | handles.Projection | handles.Modulator
ALL = AllToAll()
ALIASES = {"weights": "w", "weight": "w", "threshold": "theta"}


@described
class Network:
    """A spiking network in physical units: populations, inputs, projections, probes and a schedule.

    Parameters
    ----------
    name : str
        For people.
    dt : float
        Step in seconds, a whole number of nanoseconds.
    seed : int
        0..2^32 - 1. All that is random is a function of it, of the object's name and of the element's index.

    Examples
    --------
    >>> import neuromorph as nm
    >>> from neuromorph.units import Hz, ms
    >>> net = nm.Network(name="demo", dt=1 * ms, seed=1)
    >>> noise = net.input(20, name="noise", source=nm.Poisson(50 * Hz))
    >>> cells = net.population(10, nm.LIF(tau_m=20 * ms, tau_s=5 * ms), name="cells")
    >>> net.connect(noise, cells, weights=nm.Uniform(0.0, 0.3), delay=2 * ms)
    <projection 'noise_to_cells' of 'demo': noise (20) -> cells (10), AllToAll(self_loops=True)>
    """

    def __init__(self, name: str = "network", dt: float = 1 * ms, seed: int = 0) -> None:
        self.name = name_of("Network", name)
        self.dt = real(f"network {name!r}: dt", dt, Limit(0.0, open=True, unit="s", hint="write e.g. dt=1 * ms"))
        nanoseconds = self.dt * 1e9
        if round(nanoseconds) < 1 or abs(nanoseconds - round(nanoseconds)) > 1e-6 * nanoseconds:
            raise ValidationError(f"network {name!r}: dt = {self.dt:g} s is not a whole number of nanoseconds")
        self.seed = integer(f"network {name!r}: seed", seed, 0, MAX_U32)
        self._objects: dict[str, Thing] = {}
        self._drawn: dict[str, graph.Drawn] = {}
        self._probes: dict[str, handles.Probe] = {}
        self._phases: list[handles.Phase] = []

    def __repr__(self) -> str:
        return (
            f"<network {self.name!r}: {len(self.populations)} populations, {len(self.projections)} projections, "
            f"{len(self._probes)} probes, dt {self.dt:g} s, seed {self.seed}>"
        )

    # ------------------------------------------------------------------------------------------------- adding objects

    @keywords
    def input(
        self, n: int, *, name: str | None = None, graded: bool = False, source: Source | None = None
    ) -> handles.Input:
        """Channels whose spikes come from outside.

        Parameters
        ----------
        n : int
            Number of channels, 1..2^24.
        name : str, optional
            Default ``input_1``, ``input_2``, ...; a random source draws by name, so name what must not change.
        graded : bool
            Whether spikes carry a signed payload, |payload| < 2^23.
        source : Source, optional
            What it emits in a run that gives it nothing else, e.g. ``nm.Poisson(50 * Hz)``.
        """
        name = self._name("input", name)
        n = integer(f"input {name!r}: n", n, 1, N_MAX)
        graded = _flag(f"input {name!r}: graded", graded)
        if source is not None:
            from neuromorph.inputs import as_source

            source = as_source(f"input {name!r}: source", source)
        return self._add(handles.Input(name, n, graded, source, network=self))

    @keywords
    def population(
        self,
        n: int,
        neuron: Neuron,
        *,
        name: str | None = None,
        v_init: float | Distribution | Any = 0.0,
        u_init: float | Distribution | Any = 0.0,
    ) -> handles.Population:
        """Neurons of one model.

        Parameters
        ----------
        n : int
            Number of neurons, 1..2^24.
        neuron : LIF, LIFReset or TernaryLIF
            The model; its arrays have shape (n,).
        name : str, optional
            Default ``population_1``, ...
        v_init, u_init : float, array (n,) or distribution
            Initial voltage (units of v) and current (units of a weight).
        """
        name = self._name("population", name)
        n = integer(f"population {name!r}: n", n, 1, N_MAX)
        if not isinstance(neuron, Neuron):
            raise ValidationError(
                f"population {name!r}: neuron = {neuron!r:.60}; needed a model such as nm.LIF(tau_m=20 * ms)"
            )
        return self._add(handles.Population(name, n, neuron, v_init, u_init, network=self))

    @keywords
    def connect(
        self,
        pre: Cells,
        post: handles.Population,
        weights: float | Distribution | Any,
        *,
        topology: Topology = ALL,
        delay: float | Distribution | Any | None = None,
        plasticity: PlasticityRule | None = None,
        sign: Literal["mixed", "exc", "inh"] | None = None,
        w_max: float | None = None,
        graded: bool | None = None,
        short_term: ShortTermPlasticity | None = None,
        name: str | None = None,
    ) -> handles.Projection:
        """Synapses from `pre` to `post`.

        Parameters
        ----------
        pre, post : Input or Population
            Handles of this network; `post` is not an input.
        weights : float, array, sparse matrix or distribution
            In units of v: the depolarisation that one spike would cause without leak. Arrays have shape (n_pre,
            n_post), or (nnz,) in the order of the pairs of `Explicit` and `OneToOne`. A scipy sparse matrix (n_pre,
            n_post) gives the pairs, too; its stored zeros are synapses.
        topology : Topology
            `AllToAll`, `OneToOne`, `FixedProbability`, `FixedInDegree` or `Explicit`.
        delay : float, array or distribution
            Seconds, ``k * dt`` with k = 1..64: a spike of step t reaches the target's current at step t + k. Arrays as
            for `weights`; drawn delays are rounded to the nearest step. Default: one step.
        plasticity : PlasticityRule, optional
            How the weights learn, e.g. ``neuromorph.plasticity.STDP(...)``; None: static.
        sign : str, optional
            "exc" (weights >= 0), "inh" (<= 0) or "mixed". Default for static weights: what fits them; for plastic ones
            that of the rule, else "exc".
        w_max : float, optional
            Largest magnitude of a plastic weight; default: the rule's own bound.
        graded : bool, optional
            Whether a spike's payload multiplies the weight. Default: where spikes have one (graded inputs,
            `TernaryLIF`).
        short_term : ShortTermPlasticity, optional
            How release changes from spike to spike, of static and of plastic synapses.
        name : str, optional
            Default ``<pre>_to_<post>``, with a number if that is taken. What is drawn depends on the name.

        Raises
        ------
        ValidationError
            A foreign handle, a shape, delay or weight that cannot be, a plastic weight outside of 0..w_max, a pair
            given twice.
        CapacityError
            More than 2^28 synapses, or 2^32 pairs to draw from.
        """
        pre = self._own("connect: pre", pre, handles.Input, handles.Population)
        post = self._own("connect: post", post, handles.Population, handles.Input)
        name = self._name(f"{pre.name}_to_{post.name}", name)
        where = f"projection {name!r}"
        if isinstance(post, handles.Input):
            raise ValidationError(f"{where}: {post.name!r} is an input and receives nothing; connect to a population")
        if not isinstance(topology, Topology):
            raise ValidationError(f"{where}: topology = {topology!r:.60}; needed e.g. nm.AllToAll(), nm.OneToOne()")
        if plasticity is not None and not isinstance(plasticity, PlasticityRule):
            raise ValidationError(f"{where}: plasticity = {plasticity!r:.60}; {_elsewhere(plasticity)}")
        if sign not in (None, "mixed", "exc", "inh"):
            raise ValidationError(f"{where}: sign = {sign!r} is unknown; one of 'mixed', 'exc', 'inh'")
        if w_max is not None:
            w_max = _bound(where, real(f"{where}: w_max", w_max, PLASTIC_WEIGHTS), plasticity)
        payloads = pre.graded if isinstance(pre, handles.Input) else isinstance(pre.neuron, TernaryLIF)
        graded = payloads if graded is None else _flag(f"{where}: graded", graded)
        if graded and not payloads:
            raise ValidationError(
                f"{where}: graded = True, but spikes of {pre.name!r} carry no payload; leave graded out"
            )
        if short_term is not None and not isinstance(short_term, ShortTermPlasticity):
            raise ValidationError(
                f"{where}: short_term = {short_term!r:.60}; needed neuromorph.plasticity.ShortTermPlasticity(...)"
            )
        delay = self.dt if delay is None else delay
        return self._add(
            handles.Projection(
                name, pre, post, weights, topology, delay, plasticity, sign, w_max, graded, short_term, network=self
            )
        )  # fmt: skip

    @keywords
    def modulator(
        self,
        *,
        sources: Mapping[Cells, float] | None = None,
        of: handles.Population | None = None,
        tau: float | None = None,
        full_scale: float = 1.0,
        init: float | Distribution | Any = 0.0,
        mode: Literal["add", "hold"] = "add",
        name: str | None = None,
    ) -> handles.Modulator:
        """A slow state that plasticity rules read: a neuromodulator, a gate, or the recent activity of each neuron.

        ``tau M' = -M``; at a spike of a source ``M += gain * payload`` (binary spikes have the payload 1).

        Parameters
        ----------
        sources : dict of Input or Population to float, optional
            Gain of each source, at most 8. An input lets the host set it, e.g. ``{reward: 1.0}``. None: only `init` and
            phases set it.
        of : Population, optional
            One value for each of its neurons, fed by the source neurons of the same index and read by synapses onto
            them. None: one value for all, fed by all neurons of its sources.
        tau : float, optional
            Seconds, held within 5% or refused; None: no decay.
        full_scale : float
            Largest size that rules can tell, held as 127 steps; beyond it they read the largest.
        init : float, array (n,) or distribution
            Initial value, within the full scale.
        mode : str
            "add", or "hold": a spike sets it to ``gain * payload`` instead.
        name : str, optional
            Default ``modulator_1``, ...

        Raises
        ------
        ValidationError
            A foreign handle, sources of another size than `of`, a number out of its range.

        Examples
        --------
        >>> dopamine = net.modulator(sources={reward: 1.0}, tau=0.2, full_scale=4.0)    # doctest: +SKIP
        >>> gate = net.modulator(name="sleep"); net.phase(60.0, modulators={gate: 1.0})    # doctest: +SKIP
        """
        name = self._name("modulator", name)
        where = f"modulator {name!r}"
        if of is not None:
            of = self._own(f"{where}: of", of, handles.Population)
        if not isinstance(sources, Mapping | None):
            raise ValidationError(f"{where}: sources = {sources!r:.60}; needed a dict such as {{reward: 1.0}}")
        fed = dict(sources or {})
        for source in fed:
            self._own(f"{where}: sources", source, handles.Input, handles.Population)
        return self._add(handles.Modulator(name, of, fed, tau, full_scale, init, mode, network=self))

    @keywords
    def rate(
        self, cells: handles.Population, *, tau: float, full_scale: float, name: str | None = None
    ) -> handles.Modulator:
        """The recent rate of each neuron of a population, in Hz: a `modulator` that low-pass filters its own spikes.

        Parameters
        ----------
        cells : Population
            Whose spikes.
        tau : float
            Seconds over which the rate is averaged; held within 5% or refused.
        full_scale : float
            Largest rate that rules can tell, in Hz; the smallest step is 1/127 of it.
        name : str, optional
            Default ``<cells>_rate``.
        """
        cells = self._own("rate: cells", cells, handles.Population)
        name = f"{cells.name}_rate" if name is None else name
        tau = real(f"rate {name!r}: tau", tau, Limit(0.0, open=True, unit="s"))
        return self.modulator(of=cells, sources={cells: 1.0 / tau}, tau=tau, full_scale=full_scale, name=name)

    @keywords
    def probe(
        self,
        obj: Thing,
        variable: str,
        *,
        every: float | None = None,
        name: str | None = None,
    ) -> handles.Probe:
        """Record a variable.

        Parameters
        ----------
        obj : Input, Population, Projection or Modulator
            A handle of this network.
        variable : str
            Of an input: "spikes"; of a population: "spikes", "u", "v", "refr" (with a refractory period), "theta" (or
            "threshold": what homeostasis adds to v_th); of a plastic projection: "w" (or "weights"), its traces "x1",
            "x2", "y1", "y2", "y3" and tags "tag_1", "tag_2"; of one with short-term plasticity: "stp_u", "stp_x"; of a
            modulator: "m".
        every : float, optional
            Seconds between samples, a multiple of dt; None: every step. Samples are taken at the end of steps that are
            multiples.
        name : str, optional
            Name in the trace; default ``<object>.<variable>``.
        """
        obj = self._own("probe", obj, handles.Input, handles.Population, handles.Projection, handles.Modulator)
        have = probe_variables(self._drawn[obj.name], self.dt)
        if not isinstance(variable, str) or ALIASES.get(variable, variable) not in have:
            fixed = isinstance(obj, handles.Projection) and variable in ("w", "weights")
            hint = "; weights that nothing changes are in session.read" if fixed else ""
            raise ValidationError(
                f"probe of {obj.name!r}: it has no variable {variable!r}; it has {', '.join(have)}{hint}"
            )
        variable = ALIASES.get(variable, variable)
        name = name_of(f"probe of {obj.name!r}", f"{obj.name}.{variable}" if name is None else name)
        if name in self._probes:
            raise ValidationError(
                f"probe {name!r} exists already in network {self.name!r}; give this one a name of its own"
            )
        count = 1 if every is None else steps(f"probe {name!r}: every", every, self.dt, 1, MAX_U32)
        self._probes[name] = probe = handles.Probe(name, obj, variable, count, network=self)
        return probe

    @keywords
    def phase(
        self,
        start: float,
        *,
        plasticity: bool | Mapping[handles.Projection, bool] | None = None,
        adaptation: bool | Mapping[handles.Population, bool] | None = None,
        modulators: Mapping[handles.Modulator, float] | None = None,
    ) -> handles.Phase:
        """Switch learning and adaptation from a time on, until a later phase says otherwise, and set modulators.

        At first all is on. A phase that starts at time s takes effect from step ``s / dt + 1`` on; ``start=0`` holds
        for the whole run.

        Parameters
        ----------
        start : float
            Seconds, a multiple of dt, >= 0.
        plasticity : bool or dict of Projection to bool, optional
            Of all plastic projections, or of those given.
        adaptation : bool or dict of Population to bool, optional
            Of all populations with homeostasis, or of those given.
        modulators : dict of Modulator to float, optional
            Values that they take at that time; from there on they decay and are fed as ever.

        Examples
        --------
        >>> net.phase(start=60.0, plasticity={syn: False}, adaptation={cells: False})    # doctest: +SKIP
        >>> net.phase(start=60.0, plasticity=False, adaptation=False)    # doctest: +SKIP
        """
        where = f"network {self.name!r}: phase"
        steps(f"{where}: start", start, self.dt, 0, MAX_U32)
        where = f"{where} at {start:g} s"
        if plasticity is None and adaptation is None and not modulators:
            raise ValidationError(f"{where} switches nothing; give plasticity, adaptation or modulators")
        phase = handles.Phase(
            start,
            self._switches(f"{where}: plasticity", plasticity, handles.Projection, "rule", "is static"),
            self._switches(f"{where}: adaptation", adaptation, handles.Population, "adaptation", "has no homeostasis"),
            self._levels(f"{where}: modulators", modulators),
        )
        self._phases.append(phase)
        return phase

    # ------------------------------------------------------------------------------------------------------- reading

    @property
    def populations(self) -> tuple[Cells, ...]:
        """Inputs and populations, in the order in which they were added."""
        return tuple(o for o in self._objects.values() if isinstance(o, handles.Input | handles.Population))

    @property
    def projections(self) -> tuple[handles.Projection, ...]:
        """Projections, in the order in which they were added."""
        return tuple(o for o in self._objects.values() if isinstance(o, handles.Projection))

    @property
    def modulators(self) -> tuple[handles.Modulator, ...]:
        """Modulators, in the order in which they were added."""
        return tuple(o for o in self._objects.values() if isinstance(o, handles.Modulator))

    @property
    def probes(self) -> tuple[handles.Probe, ...]:
        """Probes, in the order in which they were added."""
        return tuple(self._probes.values())

    @property
    def phases(self) -> tuple[handles.Phase, ...]:
        """Phases, in the order in which they were added."""
        return tuple(self._phases)

    @property
    def sources(self) -> dict[str, Source]:
        """What inputs emit in a run that gives them nothing else, by name."""
        return {o.name: o.source for o in self.populations if isinstance(o, handles.Input) and o.source is not None}

    @property
    def drawn(self) -> Mapping[str, graph.Drawn]:
        """Populations, projections and modulators of the Graph for the network's own seed."""
        return self._drawn

    def draw(self, seed: int) -> dict[str, graph.Drawn]:
        """Populations, projections and modulators of the Graph for a seed."""
        drawn: dict[str, graph.Drawn] = {}
        for handle in self._objects.values():
            drawn[handle.name] = _draw(handle, self.dt, seed, drawn)
        return drawn

    # ------------------------------------------------------------------------------------------------------- helpers

    def _add(self, handle: H) -> H:
        # Drawn at once: what cannot be is refused at the line that asks for it.
        assert isinstance(handle, Thing)
        self._drawn[handle.name] = _draw(handle, self.dt, self.seed, self._drawn)
        self._objects[handle.name] = handle
        return handle

    def _name(self, kind: str, name: str | None) -> str:
        if name is None:
            numbered = (f"{kind}_{k}" for k in range(1, len(self._objects) + 2))
            names = numbered if kind in ("input", "population", "modulator") else (kind, *numbered)
            return next(free for free in names if free not in self._objects)
        name = name_of(f"network {self.name!r}", name)
        if name in self._objects:
            raise ValidationError(
                f"network {self.name!r}: {self._objects[name]!r} has the name {name!r} already; choose another"
            )
        return name

    def _own(self, where: str, handle: Any, *kinds: type[H]) -> Any:
        if not isinstance(handle, kinds):
            wanted = " or ".join(kind.__name__.lower() for kind in kinds)
            raise ValidationError(f"{where} = {handle!r:.80}: needed an object that this network gave back ({wanted})")
        if handle.network is not self:
            raise ValidationError(f"{where}: {handle!r} belongs to another network; use one of {self.name!r}")
        return handle

    def _switches(
        self, where: str, asked: Any, kind: type[H], attribute: str, lacks: str
    ) -> bool | Mapping[Any, bool] | None:
        if asked is None or isinstance(asked, bool):
            return asked
        if not isinstance(asked, Mapping):
            raise ValidationError(f"{where} = {asked!r:.60}; needed True, False or a dict such as {{handle: False}}")
        for handle, on in asked.items():
            self._own(where, handle, kind)
            _flag(f"{where} of {handle.name!r}", on)
            if getattr(self._drawn[handle.name], attribute) is None:
                raise ValidationError(f"{where}: {handle.name!r} {lacks}, there is nothing to switch")
        return dict(asked)

    def _levels(self, where: str, given: Any) -> Mapping[handles.Modulator, float] | None:
        if given is None:
            return None
        if not isinstance(given, Mapping):
            raise ValidationError(f"{where} = {given!r:.60}; needed a dict such as {{gate: 1.0}}")
        for handle, value in given.items():
            drawn = self._drawn[self._own(where, handle, handles.Modulator).name]
            assert isinstance(drawn, graph.Modulator)
            check_value(f"{where}: {handle.name!r}", value, drawn)
        return dict(given)


def _draw(handle: Thing, dt: float, seed: int, drawn: Mapping[str, graph.Drawn]) -> graph.Drawn:
    if isinstance(handle, handles.Input | handles.Population):
        return draw_population(handle, dt, seed)
    pops = {name: item for name, item in drawn.items() if isinstance(item, graph.Population)}
    if isinstance(handle, handles.Modulator):
        modulator = draw_modulator(handle, seed)
        check_modulator(modulator, pops)
        return modulator
    projection = draw_projection(handle, dt, seed)
    check_projection(projection, pops)
    check_read(projection, {name: item for name, item in drawn.items() if isinstance(item, graph.Modulator)})
    probe_variables(projection, dt)  # has the rule say what it cannot do with this step
    return projection


def _flag(where: str, value: object) -> bool:
    if not isinstance(value, bool):
        raise ValidationError(f"{where} = {value!r:.60}: True or False is needed")
    return value


def _bound(where: str, w_max: float, rule: PlasticityRule | None) -> float:
    if rule is not None and rule.bound is not None and rule.bound != w_max:
        raise ValidationError(
            f"{where}: w_max = {w_max:g}, but {type(rule).__name__} has the bound {rule.bound:g}; give it once, in the "
            "rule"
        )
    return w_max


def _elsewhere(given: object) -> str:
    """Where something belongs that is no rule of a projection."""
    if isinstance(given, Homeostasis):
        return "it belongs to neurons: nm.LIF(homeostasis=...)"
    if isinstance(given, ShortTermPlasticity):
        return "it stands beside a rule: connect(short_term=...)"
    return "needed a rule of neuromorph.plasticity, such as STDP(...)"
