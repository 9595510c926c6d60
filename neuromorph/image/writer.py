"""A Program as the bytes of its image."""

from __future__ import annotations

import hashlib
import json
import struct

import numpy as np

from neuromorph.crc import crc32c
from neuromorph.image.layout import (
    ARRAY_FIELDS,
    DEMANDS,
    DRIFT,
    ENTRY,
    FACTOR,
    FEATURES,
    HEADER,
    KINDS,
    MACHINE,
    MAGIC,
    MAJOR,
    MINOR,
    MODES,
    MODULATOR,
    OPERATIONS,
    POPULATION,
    PROBE,
    PROBE_CODES,
    PRODUCT,
    PROJECTION,
    RULE,
    SCHEDULE,
    SECTIONS,
    SEMANTICS,
    SHORT_TERM,
    SIGNS,
    SOURCE,
    TRACE,
    stream_bytes,
)
from neuromorph.image.sections import sections
from neuromorph.profiles import Profile
from neuromorph.program import Modulator, Population, Program, Projection
from neuromorph.rule import DEPENDENCIES, FUNCTIONS, GRADED_TRACES, TRACES, VARIABLES, Factor, Rule, modulator_table

__all__ = ["encode", "features", "without_metadata"]


def features(program: Program) -> tuple[str, ...]:
    """What an engine must have to run the program, as names of `FEATURES`."""
    pops, projs = program.populations.values(), program.projections.values()
    rules = [p.rule for p in projs if p.rule is not None]
    has = {
        "plastic": bool(rules),
        "shared_rounding": bool(rules) and program.rounding == "shared",
        "synapse_rounding": bool(rules) and program.rounding == "synapse",
        "graded": any(p.graded for p in projs) or any(p.graded for p in pops),
        "delays": any(p.max_delay for p in projs),
        "sparse": any(p.layout == "sparse" for p in projs),
        "adaptive_threshold": any(p.adaptive for p in pops),
        "refractory": any(p.is_refractory for p in pops),
        "ternary": any(p.kind == "ternary" for p in pops),
        "scheduled_reset": any(p.has_reset for p in pops),
        "tags": any(r.has_tag_1 or r.has_tag_2 for r in rules),
        "schedule": bool(program.schedule),
        "modulators": bool(program.modulators),
        "extended_factors": any(p.extended for r in rules for p in r.products),
        "resource_sums": any("q" in r.variables for r in rules),
        "short_term": any(p.short_term is not None for p in projs),
        "threshold_drift": any(p.drifts for p in pops),
    }
    return tuple(name for name in FEATURES if has[name])


class _Pools:
    """Sections under construction."""

    def __init__(self) -> None:
        self.data: dict[int, bytearray] = {kind: bytearray() for kind in SECTIONS}
        self.stride = {kind: stride for kind, (stride, _) in SECTIONS.items()}

    def add(self, kind: int, data: bytes, align: int = 1) -> int:
        """Append and return the offset in units of the section's stride (bytes where the stride is 1)."""
        pool = self.data[kind]
        pool.extend(bytes(-len(pool) % align))
        offset = len(pool) // self.stride[kind]
        pool.extend(data)
        return offset


def encode(program: Program) -> bytes:
    """The bytes of a program's image."""
    pools = _Pools()
    pop_index = {name: i for i, name in enumerate(program.populations)}
    proj_index = {name: i for i, name in enumerate(program.projections)}
    modulator_index = {name: i for i, name in enumerate(program.modulators)}
    index = {"plasticity": proj_index, "adaptation": pop_index, "modulator": modulator_index}
    rules = [p.rule for p in program.projections.values() if p.rule is not None]
    pools.add(
        1,
        MACHINE.pack(
            round(program.dt * 1e9), program.seed, ("shared", "synapse").index(program.rounding), program.numbers.code,
            len(pop_index), len(proj_index), len(rules),
        ),
    )  # fmt: skip
    drifting = any(pop.drifts for pop in program.populations.values())
    pools.stride[3] += DRIFT.size * drifting
    for pop in program.populations.values():
        _encode_population(pools, pop, drifting)
    tables: dict[tuple[float, bytes], int] = {}
    for proj in program.projections.values():
        _encode_projection(pools, proj, pop_index, modulator_index, program, tables)
    for entry in program.schedule:
        code, sets = OPERATIONS.index(entry.operation) + 1, entry.operation == "modulator"
        place = index[entry.operation][entry.object]
        pools.add(16, SCHEDULE.pack(entry.step, code, entry.on and not sets, place, entry.value))
    for probe in program.probes:
        kind = next(k for k, known in enumerate((pop_index, proj_index, modulator_index)) if probe.object in known)
        place = (pop_index, proj_index, modulator_index)[kind][probe.object]
        pools.add(17, PROBE.pack(kind, PROBE_CODES[probe.variable], place, probe.every, probe.phase))
    for modulator in program.modulators.values():
        _encode_modulator(pools, modulator, pop_index)
    pools.add(2, _metadata(program))
    bits = sum(1 << FEATURES.index(name) for name in features(program))
    made = {kind: (pools.stride[kind], bytes(data)) for kind, data in pools.data.items()}
    return _assemble(made, program.numbers.code, bits, program.deadline_us, program.counter)


def without_metadata(image: bytes) -> bytes:
    """The same program without names and report: what a board needs. Equal digest; ImageError if it is no image."""
    found = sections(image).items()
    kept = {kind: (section.stride, section.data) for kind, section in found if kind in SECTIONS and kind != 2}
    return _assemble(kept, *struct.unpack_from("<II", image, 16), *DEMANDS.unpack_from(image, 32))


def _assemble(made: dict[int, tuple[int, bytes]], profile: int, bits: int, deadline: int, counter: int) -> bytes:
    """Header, table and sections (stride and bytes), in the order of their types."""
    used = [(kind, stride, data) for kind, (stride, data) in sorted(made.items()) if data]
    offset = HEADER + 24 * len(used)
    entries, body = [], bytearray()
    digest = hashlib.blake2s()
    for kind, stride, data in used:
        logical = SECTIONS[kind][1]
        padding = -offset % 8
        body.extend(bytes(padding))
        offset += padding
        count = len(data) // stride
        flags = (kind == 2) | (logical << 1)
        if logical:
            digest.update(ENTRY.pack(kind, flags, 0, len(data), count, stride, count) + data)
        entries.append(ENTRY.pack(kind, flags, offset, len(data), count, stride, count))
        body.extend(data)
        offset += len(data)
    head = struct.pack(
        "<4sHBBIHHIIIHHII24x32s", MAGIC, HEADER, MAJOR, MINOR, offset, len(used), ENTRY.size,
        profile, bits, 0, SEMANTICS, 0, deadline, counter, digest.digest(),
    )  # fmt: skip
    rest = b"".join(entries) + bytes(body)
    head += hashlib.blake2s(head + rest).digest() + bytes(28)
    return head + struct.pack("<I", crc32c(head)) + rest


def _metadata(program: Program) -> bytes:
    meta: dict[str, object] = {
        "name": program.name,
        "populations": list(program.populations),
        "projections": list(program.projections),
        "probes": [p.name for p in program.probes],
        "scales": {k: dict(v) for k, v in program.scales.items()},
    }
    if program.modulators:
        meta["modulators"] = list(program.modulators)
    if program.report is not None:
        report = program.report.to_dict()
        meta["report"] = report if report["advice"] else {k: v for k, v in report.items() if k != "advice"}
    return json.dumps(meta, separators=(",", ":"), sort_keys=True).encode()


def _i32(values: object) -> bytes:
    return np.ascontiguousarray(values, dtype="<i4").tobytes()


def _encode_population(pools: _Pools, pop: Population, drifting: bool) -> None:
    arrays, values = 0, []
    for bit, key in enumerate(ARRAY_FIELDS):
        value = getattr(pop, key)
        if isinstance(value, np.ndarray):
            arrays |= 1 << bit
            value = pools.add(5, _i32(value))
        values.append(value)
    inits = [0 if v is None else pools.add(18, _i32(v)) for v in (pop.init_u, pop.init_v, pop.init_theta)]
    options = (
        pop.adaptive | pop.is_refractory << 1 | pop.has_reset << 2 | (pop.init_u is not None) << 3
        | (pop.init_v is not None) << 4 | (pop.init_theta is not None) << 5 | pop.graded << 6
    )  # fmt: skip
    pools.add(
        3,
        POPULATION.pack(
            KINDS.index(pop.kind), arrays, options, pop.n, *values, pop.reset_interval, pop.reset_offset,
            pop.theta_decay, pop.theta_period, pop.theta_frac, *inits,
        )
        + DRIFT.pack(pop.theta_drift, pop.theta_min) * drifting,
    )  # fmt: skip


def _encode_modulator(pools: _Pools, modulator: Modulator, pops: dict[str, int]) -> None:
    each = isinstance(modulator.init, np.ndarray)
    init = pools.add(18, _i32(modulator.init)) if each else modulator.init
    first = len(pools.data[20]) // 8
    for source, gain in modulator.sources:
        pools.add(20, SOURCE.pack(pops[source], gain))
    of = 0 if modulator.of is None else pops[modulator.of] + 1
    pools.add(
        19,
        MODULATOR.pack(
            MODES.index(modulator.mode), each, of, modulator.decay, modulator.period, modulator.frac, first,
            len(modulator.sources), init,
        ),
    )  # fmt: skip


def _weight_bytes(proj: Projection, numbers: Profile) -> tuple[int, int, bytes]:
    """Element code, alignment and bytes of the weights."""
    if numbers.weight_frac:
        return 2, 2, proj.weights.astype("<i2").tobytes()
    if proj.sign_mode != "mixed":
        return 1, 1, np.abs(proj.weights).astype(np.uint8).tobytes()
    if proj.rule is None:
        return 0, 1, (proj.weights >> 1).astype(np.int8).tobytes()
    return 2, 2, proj.weights.astype("<i2").tobytes()


def _encode_projection(
    pools: _Pools, proj: Projection, pops: dict[str, int], modulators: dict[str, int], program: Program,
    tables: dict[tuple[float, bytes], int],
) -> None:  # fmt: skip
    element, align, data = _weight_bytes(proj, program.numbers)
    weights = pools.add(8, data, align)
    per_synapse = isinstance(proj.delays, np.ndarray)
    delays = pools.add(9, np.asarray(proj.delays, dtype=np.uint8).tobytes()) if per_synapse else 0
    rows = targets = 0
    if proj.indptr is not None and proj.indices is not None:
        length = np.diff(proj.indptr)
        rows = pools.add(6, np.stack([proj.indptr[:-1], length, length], axis=1).astype("<u4").tobytes())
        targets = pools.add(7, proj.indices.astype("<u4").tobytes())
    rule = 0 if proj.rule is None else _encode_rule(pools, proj.rule, modulators, program, tables) + 1
    pools.add(
        4,
        PROJECTION.pack(
            pops[proj.pre], pops[proj.post], proj.layout == "sparse", SIGNS.index(proj.sign_mode), proj.graded,
            proj.weight_exp, element, per_synapse, proj.max_delay, not proj.plastic, rule,
            _encode_short_term(pools, proj), weights, proj.synapses, delays, rows, targets,
        ),
    )  # fmt: skip


def _encode_short_term(pools: _Pools, proj: Projection) -> int:
    """Its number + 1, 0 if there is none."""
    held = proj.short_term
    if held is None:
        return 0
    each = isinstance(held.use, np.ndarray)
    at = pools.add(22, np.asarray(held.use).astype("<u2").tobytes()) if each else 0
    flags = each | held.learned_use << 1
    use = 0 if each else held.use
    return pools.add(21, SHORT_TERM.pack(flags, use, at, *held.recovery, *held.facilitation)) + 1


def _encode_factor(factor: Factor, numbers: Profile) -> bytes:
    second = VARIABLES.index(factor.second) + 1 if factor.second else 0
    form = FUNCTIONS.index(factor.function) | (factor.sign < 0) << 2 | second << 3
    constant = factor.constant << numbers.constant_frac | factor.fine
    return FACTOR.pack(VARIABLES.index(factor.variable), form, constant)


def _encode_rule(
    pools: _Pools, rule: Rule, modulators: dict[str, int], program: Program, tables: dict[tuple[float, bytes], int]
) -> int:
    first, count = [], []
    rounding, numbers = program.rounding, program.numbers
    for series in (rule.dw, rule.dd, rule.dt):
        first.append(len(pools.data[11]) // 8)
        count.append(len(series))
        for product in series:
            factor = len(pools.data[12]) // 4
            for f in product.factors:
                pools.add(12, _encode_factor(f, numbers))
            dependency = DEPENDENCIES.index(product.dependency)
            pools.add(11, PRODUCT.pack(dependency, product.k, product.mant, product.exp, factor, len(product.factors)))
    traces = []
    for name in TRACES:
        trace = rule.traces.get(name)
        if trace is None:
            traces.append(0)
            continue
        if numbers.trace_frac:
            loss, shift = trace.wide
            traces.append(pools.add(13, TRACE.pack(trace.ii, trace.fi, 0, loss | shift << 24, trace.tau)) + 1)
            continue
        key = trace.tau, trace.table
        if trace.tau and key not in tables:
            tables[key] = pools.add(14, trace.decay.astype("<u8").tobytes()) + 1
        traces.append(pools.add(13, TRACE.pack(trace.ii, trace.fi, tables.get(key, 0), 0, trace.tau)) + 1)
    streams = [0] * 5
    if rounding == "shared":
        seeds = (*range(rule.seed, rule.seed + 4), 2)
        streams = [pools.add(15, stream_bytes(seed)) + 1 for seed in seeds]
    read = [modulators[name] + 1 for name in rule.modulators]
    decay = 0
    if read and rounding == "shared":
        key = 65535.0, modulator_table().astype("<u8").tobytes()
        if key not in tables:
            tables[key] = pools.add(14, key[1]) + 1
        decay = tables[key]
    flags = rule.has_tag_1 | rule.has_tag_2 << 1
    bits = sum(1 << k for k, name in enumerate(TRACES) if name in rule.traces)
    return pools.add(
        10,
        RULE.pack(
            rule.t_epoch,
            GRADED_TRACES.index(rule.graded_trace),
            bits,
            flags,
            rule.seed,
            *first,
            *count,
            *traces,
            *streams,
            *read,
            *[0] * (4 - len(read)),
            rule.sum_shift,
            decay,
        ),
    )
