"""The Program of an image."""

from __future__ import annotations

import json
import struct
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from neuromorph.errors import ImageError, NeuromorphError
from neuromorph.image.check import check_contents
from neuromorph.image.layout import (
    ARRAY_FIELDS,
    DEMANDS,
    DRIFT,
    FACTOR,
    FEATURES,
    KINDS,
    MACHINE,
    MODES,
    MODULATOR,
    OPERATIONS,
    POPULATION,
    PROBE,
    PRODUCT,
    PROJECTION,
    RULE,
    SCHEDULE,
    SHORT_TERM,
    SIGNS,
    SOURCE,
    TRACE,
    VARIABLE_OF,
    stream_bytes,
)
from neuromorph.image.sections import sections
from neuromorph.image.writer import features
from neuromorph.profiles import PROFILES
from neuromorph.program import Modulator, Population, Probe, Program, Projection, ScheduleEntry
from neuromorph.rule import (
    DEPENDENCIES,
    FUNCTIONS,
    GRADED_TRACES,
    OLD_PERIOD_MAX,
    TRACES,
    VARIABLES,
    Factor,
    Product,
    Rule,
    Trace,
    decay_table,
    modulator_table,
    wide_decay,
)
from neuromorph.short_term import FACTORS, ShortTerm

if TYPE_CHECKING:
    from neuromorph.report import Report

__all__ = ["decode"]


class _Reader:
    """Typed access to the sections."""

    def __init__(self, image: bytes) -> None:
        self.sections = sections(image)
        code = struct.unpack_from("<I", image, 16)[0]
        self.deadline_us, self.counter = DEMANDS.unpack_from(image, 32)
        self.numbers = next(profile for profile in PROFILES.values() if profile.code == code)

    def records(self, kind: int, form: struct.Struct) -> list[tuple[Any, ...]]:
        section = self.sections.get(kind)
        if section is None:
            return []
        return [form.unpack_from(section.data, k * section.stride) for k in range(section.count)]

    def more(self, kind: int, after: int, form: struct.Struct) -> list[tuple[Any, ...]]:
        """Fields of records behind the first `after` bytes; zeros where records end there."""
        section = self.sections[kind]
        if section.stride < after + form.size:
            return [form.unpack(bytes(form.size))] * section.count
        return [form.unpack_from(section.data, k * section.stride + after) for k in range(section.count)]

    def pool(self, kind: int, dtype: str, first: int, count: int) -> NDArray[np.int64]:
        section = self.sections.get(kind)
        width = np.dtype(dtype).itemsize
        start = first * (width if kind != 8 else 1)
        if section is None or start + count * width > section.count * section.stride:
            raise ImageError(f"values {first}..{first + count} lie outside section {kind}", 7, 0)
        return np.frombuffer(section.data, dtype, count, start).astype(np.int64)


def decode(image: bytes) -> Program:
    """The program of an image; raises ImageError on anything that is not a correct image."""
    reader = _Reader(image)
    check_contents(image, reader.sections)
    try:
        program = _decode(reader)
    except (NeuromorphError, LookupError) as error:
        if isinstance(error, ImageError):
            raise
        raise ImageError(f"the image breaks rule R8: {error}", 8) from error
    _check_features(program, reader, image)
    program.__dict__["image"] = bytes(image)  # what was read is what is written again
    return program


def _check_features(program: Program, reader: _Reader, image: bytes) -> None:
    """The header must name all that the contents need, also rules that no projection has."""
    need = sum(1 << FEATURES.index(name) for name in features(program))
    if any(record[3] for record in reader.records(10, RULE)):
        need |= 1 << FEATURES.index("tags")
    factors = [_factor(reader, *record) for record in reader.records(12, FACTOR)]
    if any(f.extended for f in factors) or any(record[1] > OLD_PERIOD_MAX for record in reader.records(11, PRODUCT)):
        need |= 1 << FEATURES.index("extended_factors")
    if any("q" in f.variables for f in factors):
        need |= 1 << FEATURES.index("resource_sums")
    missing = need & ~int(struct.unpack_from("<I", image, 20)[0])
    if missing:
        names = ", ".join(name for k, name in enumerate(FEATURES) if missing >> k & 1)
        raise ImageError(f"the header does not name features that the contents need: {names}", 4, 20)


def _metadata_of(reader: _Reader) -> dict[str, Any]:
    """Names and report, checked as far as the reader relies on them."""
    if 2 not in reader.sections:
        return {}
    try:
        meta = json.loads(reader.sections[2].data)
    except (ValueError, RecursionError) as error:
        raise ImageError(f"the metadata is not JSON: {error}") from error
    if not isinstance(meta, dict):
        raise ImageError("the metadata is no JSON object")
    for key, kind in (("populations", 3), ("projections", 4), ("probes", 17), ("modulators", 19)):
        names = meta.get(key)
        count = reader.sections[kind].count if kind in reader.sections else 0
        if names is None:
            continue
        if not isinstance(names, list) or len(names) != count or not all(isinstance(n, str) for n in names):
            raise ImageError(f"the metadata must name {count} {key}")
        if len(set(names)) != count:
            raise ImageError(f"the metadata names {key} twice")
    return meta


def _decode(reader: _Reader) -> Program:
    ((dt_ns, seed, rounding, _, n_pops, n_projs, _),) = reader.records(1, MACHINE)
    meta = _metadata_of(reader)
    pop_names = meta.get("populations") or [f"population{i}" for i in range(n_pops)]
    proj_names = meta.get("projections") or [f"projection{i}" for i in range(n_projs)]
    probe_records = reader.records(17, PROBE)
    probe_names = meta.get("probes") or [f"probe{i}" for i in range(len(probe_records))]
    pops = [
        _decode_population(reader, record, name, *drift)
        for record, name, drift in zip(
            reader.records(3, POPULATION), pop_names, reader.more(3, POPULATION.size, DRIFT), strict=True
        )
    ]
    records = reader.records(19, MODULATOR)
    modulator_names = meta.get("modulators") or [f"modulator{i}" for i in range(len(records))]
    modulators = [_decode_modulator(reader, r, n, pops) for r, n in zip(records, modulator_names, strict=True)]
    rules = [_decode_rule(reader, r, modulator_names, rounding == 0) for r in reader.records(10, RULE)]
    projs = [
        _decode_projection(reader, r, n, pops, rules)
        for r, n in zip(reader.records(4, PROJECTION), proj_names, strict=True)
    ]
    schedule = tuple(
        ScheduleEntry(step, cast("Any", OPERATIONS[op - 1]), (projs, pops, modulators)[op - 1][obj].name, *set_to)
        for step, op, on, obj, value in reader.records(16, SCHEDULE)
        for set_to in [(True, value) if op == 3 else (bool(on),)]
    )
    probes = tuple(
        Probe(name, (pops, projs, modulators)[kind][obj].name, VARIABLE_OF[code], every, phase)
        for name, (kind, code, obj, every, phase) in zip(probe_names, probe_records, strict=True)
    )
    return Program(
        dt=dt_ns / 1e9,
        populations={p.name: p for p in pops},
        projections={p.name: p for p in projs},
        probes=probes,
        schedule=schedule,
        rounding=cast("Any", ("shared", "synapse")[rounding]),
        seed=seed,
        name=str(meta.get("name", "program")),
        profile=reader.numbers.name,
        scales=_scales(meta),
        report=_report(meta),
        modulators={m.name: m for m in modulators},
        deadline_us=reader.deadline_us,
        counter=reader.counter,
    )


def _scales(meta: dict[str, Any]) -> dict[str, dict[str, float]]:
    try:
        return {str(name): {k: float(v) for k, v in known.items()} for name, known in meta.get("scales", {}).items()}
    except (TypeError, ValueError, AttributeError) as error:
        raise ImageError(f"the scales in the metadata cannot be read: {error}") from error


def _report(meta: dict[str, Any]) -> Report | None:
    if "report" not in meta:
        return None
    from neuromorph.report import Report

    try:
        return Report.from_dict(meta["report"])
    except (TypeError, ValueError, LookupError, AttributeError) as error:
        raise ImageError(f"the report in the metadata cannot be read: {error}") from error


def _decode_population(reader: _Reader, record: tuple[Any, ...], name: str, drift: int, lowest: int) -> Population:
    kind, arrays, options, n, *rest = record
    values: dict[str, Any] = {}
    for bit, key in enumerate(ARRAY_FIELDS):
        values[key] = reader.pool(5, "<i4", rest[bit], n) if arrays >> bit & 1 else rest[bit]
    interval, offset, decay, period, frac, *inits = rest[7:]
    for bit, key, start in zip((3, 4, 5), ("init_u", "init_v", "init_theta"), inits, strict=True):
        values[key] = reader.pool(18, "<i4", start, n) if options >> bit & 1 else None
    return Population(
        name=name, n=n, kind=cast("Any", KINDS[kind]), reset_interval=interval, reset_offset=offset,
        adaptive=bool(options & 1), theta_decay=decay, theta_period=period, theta_frac=frac,
        graded=bool(options >> 6 & 1), theta_drift=drift, theta_min=lowest, **values,
    )  # fmt: skip


def _decode_modulator(reader: _Reader, record: tuple[Any, ...], name: str, pops: list[Population]) -> Modulator:
    mode, each, of, decay, period, frac, first, count, init = record
    n = pops[of - 1].n if of else 1
    return Modulator(
        name, pops[of - 1].name if of else None,
        tuple((pops[pop].name, gain) for pop, gain in reader.records(20, SOURCE)[first : first + count]),
        cast("Any", MODES[mode]), decay, period, frac, reader.pool(18, "<i4", init, n) if each else init,
    )  # fmt: skip


def _factor(reader: _Reader, variable: int, form: int, constant: int) -> Factor:
    second = VARIABLES[(form >> 3) - 1] if form >> 3 else ""
    whole, fine = divmod(constant, 1 << reader.numbers.constant_frac)
    return Factor(VARIABLES[variable], whole, FUNCTIONS[form & 3], second, -1 if form & 4 else 1, fine)


def _decode_rule(reader: _Reader, record: tuple[Any, ...], modulators: list[str], shared: bool) -> Rule:
    t_epoch, graded, _, _, seed, *rest = record
    first, count, traces, streams = rest[0:3], rest[3:6], rest[6:11], rest[11:16]
    read, sum_shift, decay = rest[16:20], rest[20], rest[21]
    products, factors = reader.records(11, PRODUCT), reader.records(12, FACTOR)
    records = reader.records(13, TRACE)

    def product(index: int) -> Product:
        dependency, k, mant, exp, start, n = products[index]
        held = tuple(_factor(reader, *record) for record in factors[start : start + n])
        return Product(cast('Literal["x0", "y0", "u"]', DEPENDENCIES[dependency]), mant, exp, held, k)

    dw, dd, dt = (tuple(product(f + i) for i in range(n)) for f, n in zip(first, count, strict=True))
    held = {}
    for name, index in zip(TRACES, traces, strict=True):
        if index:
            ii, fi, table, loss, tau = records[index - 1]
            entries = _wide(loss, tau) if reader.numbers.trace_frac else _table(reader, table, tau)
            held[name] = Trace(ii, fi, tau, entries)
    if shared:
        _check_streams(reader, seed, streams)
    if decay and _table_bytes(reader, decay) != modulator_table().astype("<u8").tobytes():
        raise ImageError("the decay of a rule's modulators is not that of 65535 steps", 8)
    names = tuple(modulators[index - 1] for index in read if index)
    return Rule(
        dw, dd, dt, traces=held, t_epoch=t_epoch, seed=seed, graded_trace=GRADED_TRACES[graded], modulators=names,
        sum_shift=sum_shift,
    )  # fmt: skip


def _wide(decay: int, tau: float) -> bytes:
    """The decay of a trace in profile wide, empty if it is that of `tau`."""
    loss, shift = wide_decay(tau)
    return b"" if decay == loss | shift << 24 else decay.to_bytes(4, "little")


def _table(reader: _Reader, index: int, tau: float) -> bytes:
    """The entries of a decay table, empty if they are those of `tau`."""
    if index == 0:
        return b""
    data = _table_bytes(reader, index)
    return b"" if data == decay_table(tau).astype("<u8").tobytes() else data


def _table_bytes(reader: _Reader, index: int) -> bytes:
    return reader.sections[14].data[(index - 1) * 1032 : index * 1032]


def _check_streams(reader: _Reader, seed: int, refs: list[int]) -> None:
    section = reader.sections[15]
    for ref, expected in zip(refs, (*range(seed, seed + 4), 2), strict=True):
        at = (ref - 1) * section.stride
        if section.data[at : at + section.stride] != stream_bytes(expected):
            raise ImageError(f"a random stream is not that of seed {expected}", 8, section.offset + at)


def _decode_projection(
    reader: _Reader, record: tuple[Any, ...], name: str, pops: list[Population], rules: list[Rule]
) -> Projection:
    pre, post, sparse, sign, graded, exp, element, per_synapse, delay, off, rule, release, start, count, *rest = record
    delays, rows, targets = rest
    n_pre, n_post = pops[pre].n, pops[post].n
    weights = reader.pool(8, ("i1", "u1", "<i2")[element], start, count)
    weights = weights * 2 if element == 0 else -weights if element == 1 and SIGNS[sign] == "inh" else weights
    held_delays: int | NDArray[np.int64] = reader.pool(9, "u1", delays, count) if per_synapse else delay
    short_term = _decode_short_term(reader, release, count)
    indptr = indices = None
    if sparse:
        table = reader.pool(6, "<u4", rows * 3, n_pre * 3).reshape(n_pre, 3)
        used = np.arange(count) - np.repeat(table[:, 0], table[:, 1]) < np.repeat(table[:, 2], table[:, 1])
        indices = reader.pool(7, "<u4", targets, count)[used]
        weights = weights[used]
        held_delays = held_delays[used] if isinstance(held_delays, np.ndarray) else held_delays
        if short_term is not None and isinstance(short_term.use, np.ndarray):
            short_term = replace(short_term, use=short_term.use[used])
        indptr = np.concatenate([[0], np.cumsum(table[:, 2])])
    else:
        weights = weights.reshape(n_pre, n_post)
        held_delays = held_delays.reshape(n_pre, n_post) if isinstance(held_delays, np.ndarray) else held_delays
        if short_term is not None and isinstance(short_term.use, np.ndarray):
            short_term = replace(short_term, use=short_term.use.reshape(n_pre, n_post))
    return Projection(
        name=name, pre=pops[pre].name, post=pops[post].name, weights=weights, weight_exp=exp,
        sign_mode=cast("Any", SIGNS[sign]), delays=held_delays, indptr=indptr, indices=indices, graded=bool(graded),
        rule=rules[rule - 1] if rule else None, plastic=not off, short_term=short_term,
    )  # fmt: skip


def _decode_short_term(reader: _Reader, number: int, count: int) -> ShortTerm | None:
    """Number + 1 of a record, for a projection with `count` weights."""
    if not number:
        return None
    flags, use, at, *factors = reader.records(21, SHORT_TERM)[number - 1]
    held = reader.pool(22, "<u2", at, count) if flags & 1 else use
    return ShortTerm(held, tuple(factors[:FACTORS]), tuple(factors[FACTORS:]), bool(flags & 2))
