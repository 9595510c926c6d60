"""The image (.nmi): a Program as bytes and back. ``docs/image.md`` is the specification; names here follow it."""

from __future__ import annotations

import hashlib
import json
import struct
from dataclasses import dataclass
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray

from neuromorph.crc import crc32c
from neuromorph.errors import ImageError, NeuromorphError
from neuromorph.program import Population, Probe, Program, Projection, ScheduleEntry
from neuromorph.rule import DEPENDENCIES, GRADED_TRACES, TRACES, VARIABLES, Factor, Product, Rule, Trace, decay_table

__all__ = ["FEATURES", "MAGIC", "PROBE_CODES", "decode", "encode", "features", "sections", "without_metadata"]

MAGIC = b"NMI\x1a"
MAJOR, MINOR, SEMANTICS = 1, 0, 1
HEADER = 160
FEATURES = (
    "plastic", "shared_rounding", "synapse_rounding", "graded", "delays", "sparse", "adaptive_threshold",
    "refractory", "ternary", "scheduled_reset", "tags", "schedule",
)  # fmt: skip
PROFILES = ("loihi2", "wide")
KINDS = ("input", "lif", "ternary")
SIGNS = ("mixed", "exc", "inh")
OPERATIONS = ("plasticity", "adaptation")
PROBE_CODES = {
    "spikes": 0, "u": 1, "v": 2, "refr": 3, "theta": 4, "adapt": 5, "ring": 16, "w": 17, "tag_1": 18, "tag_2": 19,
    "x1": 20, "x2": 21, "y1": 22, "y2": 23, "y3": 24, "tx": 25, "ty": 26, "plastic": 27,
}  # fmt: skip
"""Codes of what a probe can sample and of state items (docs/image.md, 1 and 2)."""
_NAMES = {code: name for name, code in PROBE_CODES.items()}
ARRAY_FIELDS = ("du", "dv", "vth", "bias", "refractory", "vth_lo", "theta_inc")

_ENTRY = struct.Struct("<HHIIIII")
_MACHINE = struct.Struct("<QIB3xHHHH8x")
_POPULATION = struct.Struct("<BBBxI7iIIHBBIII4x")
_PROJECTION = struct.Struct("<HHBBBbBBBBHxxIIIII28x")
_RULE = struct.Struct("<BBBBI3H3H5Hxx5I12x")
_PRODUCT = struct.Struct("<BBbbHBx")
_FACTOR = struct.Struct("<BBh")
_TRACE = struct.Struct("<BBHxxxxd")
_SCHEDULE = struct.Struct("<IBBHxxxx")
_PROBE = struct.Struct("<BBHIIxxxx")
# type: (stride, logical)
_SECTIONS = {
    1: (32, True), 2: (1, False), 3: (64, True), 4: (64, True), 5: (4, True), 6: (12, True), 7: (4, True), 8: (1, True),
    9: (1, True), 10: (64, True), 11: (8, True), 12: (4, True), 13: (16, True), 14: (1032, True), 15: (32, True),
    16: (12, True), 17: (16, False), 18: (4, True),
}  # fmt: skip


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
    }
    return tuple(name for name in FEATURES if has[name])


class _Pools:
    """Sections under construction."""

    def __init__(self) -> None:
        self.data: dict[int, bytearray] = {kind: bytearray() for kind in _SECTIONS}

    def add(self, kind: int, data: bytes, align: int = 1) -> int:
        """Append and return the offset in units of the section's stride (bytes where the stride is 1)."""
        pool = self.data[kind]
        pool.extend(bytes(-len(pool) % align))
        offset = len(pool) // _SECTIONS[kind][0]
        pool.extend(data)
        return offset


def encode(program: Program) -> bytes:
    """The bytes of a program's image."""
    pools = _Pools()
    pop_index = {name: i for i, name in enumerate(program.populations)}
    proj_index = {name: i for i, name in enumerate(program.projections)}
    rules = [p.rule for p in program.projections.values() if p.rule is not None]
    pools.add(
        1,
        _MACHINE.pack(
            round(program.dt * 1e9), program.seed, ("shared", "synapse").index(program.rounding),
            len(pop_index), len(proj_index), len(rules), len(program.probes),
        ),
    )  # fmt: skip
    for pop in program.populations.values():
        _encode_population(pools, pop)
    tables: dict[float, int] = {}
    for proj in program.projections.values():
        _encode_projection(pools, proj, pop_index, program.rounding, tables)
    for entry in program.schedule:
        where = proj_index if entry.operation == "plasticity" else pop_index
        code = OPERATIONS.index(entry.operation) + 1
        pools.add(16, _SCHEDULE.pack(entry.step, code, entry.on, where[entry.object]))
    for probe in program.probes:
        is_proj = probe.object in proj_index
        index = (proj_index if is_proj else pop_index)[probe.object]
        pools.add(17, _PROBE.pack(is_proj, PROBE_CODES[probe.variable], index, probe.every, probe.phase))
    pools.add(2, _metadata(program))
    bits = sum(1 << FEATURES.index(name) for name in features(program))
    return _assemble({kind: bytes(data) for kind, data in pools.data.items()}, PROFILES.index(program.profile), bits)


def without_metadata(image: bytes) -> bytes:
    """The same program without names and report: what a board needs. Equal digest; ImageError if it is no image."""
    kept = {kind: section.data for kind, section in sections(image).items() if kind in _SECTIONS and kind != 2}
    return _assemble(kept, *struct.unpack_from("<II", image, 16))


def _assemble(data_of: dict[int, bytes], profile: int, bits: int) -> bytes:
    """Header, table and sections, in the order of their types."""
    used = [(kind, data) for kind, data in sorted(data_of.items()) if data]
    offset = HEADER + 24 * len(used)
    entries, body = [], bytearray()
    digest = hashlib.blake2s()
    for kind, data in used:
        stride, logical = _SECTIONS[kind]
        padding = -offset % 8
        body.extend(bytes(padding))
        offset += padding
        count = len(data) // stride
        flags = (kind == 2) | (logical << 1)
        if logical:
            digest.update(_ENTRY.pack(kind, flags, 0, len(data), count, stride, count) + data)
        entries.append(_ENTRY.pack(kind, flags, offset, len(data), count, stride, count))
        body.extend(data)
        offset += len(data)
    head = struct.pack(
        "<4sHBBIHHIIIHH32x32s", MAGIC, HEADER, MAJOR, MINOR, offset, len(used), _ENTRY.size,
        profile, bits, 0, SEMANTICS, 0, digest.digest(),
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
    if program.report is not None:
        meta["report"] = program.report.to_dict()
    return json.dumps(meta, separators=(",", ":"), sort_keys=True).encode()


def _i32(values: object) -> bytes:
    return np.ascontiguousarray(values, dtype="<i4").tobytes()


def _encode_population(pools: _Pools, pop: Population) -> None:
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
        _POPULATION.pack(
            KINDS.index(pop.kind), arrays, options, pop.n, *values, pop.reset_interval, pop.reset_offset,
            pop.theta_decay, pop.theta_period, pop.theta_frac, *inits,
        ),
    )  # fmt: skip


def _weight_bytes(proj: Projection) -> tuple[int, int, bytes]:
    """Element code, alignment and bytes of the weights."""
    if proj.sign_mode != "mixed":
        return 1, 1, np.abs(proj.weights).astype(np.uint8).tobytes()
    if proj.rule is None:
        return 0, 1, (proj.weights >> 1).astype(np.int8).tobytes()
    return 2, 2, proj.weights.astype("<i2").tobytes()


def _encode_projection(
    pools: _Pools, proj: Projection, pops: dict[str, int], rounding: str, tables: dict[float, int]
) -> None:
    element, align, data = _weight_bytes(proj)
    weights = pools.add(8, data, align)
    per_synapse = isinstance(proj.delays, np.ndarray)
    delays = pools.add(9, np.asarray(proj.delays, dtype=np.uint8).tobytes()) if per_synapse else 0
    rows = targets = 0
    if proj.indptr is not None and proj.indices is not None:
        length = np.diff(proj.indptr)
        rows = pools.add(6, np.stack([proj.indptr[:-1], length, length], axis=1).astype("<u4").tobytes())
        targets = pools.add(7, proj.indices.astype("<u4").tobytes())
    rule = 0 if proj.rule is None else _encode_rule(pools, proj.rule, rounding, tables) + 1
    pools.add(
        4,
        _PROJECTION.pack(
            pops[proj.pre], pops[proj.post], proj.layout == "sparse", SIGNS.index(proj.sign_mode), proj.graded,
            proj.weight_exp, element, per_synapse, proj.max_delay, not proj.plastic, rule,
            weights, proj.synapses, delays, rows, targets,
        ),
    )  # fmt: skip


def _encode_rule(pools: _Pools, rule: Rule, rounding: str, tables: dict[float, int]) -> int:
    first, count = [], []
    for series in (rule.dw, rule.dd, rule.dt):
        first.append(len(pools.data[11]) // 8)
        count.append(len(series))
        for product in series:
            factor = len(pools.data[12]) // 4
            for f in product.factors:
                pools.add(12, _FACTOR.pack(VARIABLES.index(f.variable), f.sgn, f.constant))
            dependency = DEPENDENCIES.index(product.dependency)
            pools.add(
                11, _PRODUCT.pack(dependency, product.k, product.mant, product.exp, factor, len(product.factors))
            )
    traces = []
    for name in TRACES:
        trace = rule.traces.get(name)
        if trace is None:
            traces.append(0)
            continue
        if trace.tau and trace.tau not in tables:
            tables[trace.tau] = pools.add(14, decay_table(trace.tau).astype("<u8").tobytes()) + 1
        traces.append(pools.add(13, _TRACE.pack(trace.ii, trace.fi, tables.get(trace.tau, 0), trace.tau)) + 1)
    streams = [0] * 5
    if rounding == "shared":
        seeds = (*range(rule.seed, rule.seed + 4), 2)
        streams = [pools.add(15, _stream(seed)) + 1 for seed in seeds]
    flags = rule.has_tag_1 | rule.has_tag_2 << 1
    bits = sum(1 << k for k, name in enumerate(TRACES) if name in rule.traces)
    return pools.add(
        10,
        _RULE.pack(
            rule.t_epoch, GRADED_TRACES.index(rule.graded_trace), bits, flags, rule.seed,
            *first, *count, *traces, *streams,
        ),
    )


def _stream(seed: int) -> bytes:
    state = cast("dict[str, dict[str, int]]", np.random.PCG64(seed).state)["state"]
    return state["state"].to_bytes(16, "little") + state["inc"].to_bytes(16, "little")


# ------------------------------------------------------------------------------------------------ reading


@dataclass(frozen=True, slots=True)
class Section:
    """An entry of the section table and its bytes."""

    kind: int
    flags: int
    offset: int
    count: int
    stride: int
    data: bytes


def sections(image: bytes) -> dict[int, Section]:
    """Check header, checksums and section table of an image and return its sections by type.

    Raises
    ------
    ImageError
        With the verifier's rule (R1..R6) and the offset.
    """
    if len(image) < HEADER or image[:4] != MAGIC:
        raise ImageError("not a neuromorph image: the magic bytes are missing", 1, 0)
    header_len, major, minor, total, count, stride = struct.unpack_from("<HBBIHH", image, 4)
    if major != MAJOR or header_len != HEADER:
        raise ImageError(f"image format {major}.{minor} (header {header_len} B); this version reads {MAJOR}.x", 1, 4)
    if total != len(image):
        raise ImageError(f"image of {len(image)} bytes, its header says {total}: truncated or extended file", 2, 8)
    if struct.unpack_from("<I", image, 156)[0] != crc32c(image[:156]):
        raise ImageError("checksum of the header does not match: the file is damaged", 3, 156)
    if hashlib.blake2s(image[:96] + image[HEADER:]).digest() != image[96:128]:
        raise ImageError("hash of the contents does not match: the file is damaged", 3, 96)
    profile, bits, _, semantics = struct.unpack_from("<IIIH", image, 16)
    if profile >= len(PROFILES) or bits >> len(FEATURES) or semantics != SEMANTICS:
        raise ImageError(
            f"profile {profile}, features {bits:#x}, semantics {semantics}: made by a newer version", 4, 16
        )
    if stride != _ENTRY.size or not 1 <= count <= 64 or HEADER + count * stride > total:
        raise ImageError(f"section table of {count} entries of {stride} bytes does not fit", 5, 12)
    found: dict[int, Section] = {}
    end = HEADER + count * stride
    for k in range(count):
        at = HEADER + k * stride
        kind, flags, offset, length, used, size, capacity = _ENTRY.unpack_from(image, at)
        if offset % 8 or offset < end or length > total - min(offset, total) or kind in found:
            raise ImageError(f"section {kind} at {offset}, {length} bytes: overlapping, misplaced or twice", 5, at)
        if size * capacity != length or used > capacity or (kind in _SECTIONS and size < _SECTIONS[kind][0]):
            raise ImageError(f"section {kind}: {capacity} x {size} bytes are not {length}", 6, at)
        if kind not in _SECTIONS and not flags & 1:
            raise ImageError(f"section type {kind} is unknown and not optional: made by a newer version", 5, at)
        end = offset + length
        found[kind] = Section(kind, flags, offset, used, size, image[offset:end])
    if 1 not in found or 3 not in found:
        raise ImageError("machine or population section is missing", 5, HEADER)
    return found


class _Reader:
    """Typed access to the sections."""

    def __init__(self, image: bytes) -> None:
        self.sections = sections(image)

    def records(self, kind: int, form: struct.Struct) -> list[tuple[Any, ...]]:
        section = self.sections.get(kind)
        if section is None:
            return []
        return [form.unpack_from(section.data, k * section.stride) for k in range(section.count)]

    def pool(self, kind: int, dtype: str, first: int, count: int) -> NDArray[np.int64]:
        section = self.sections.get(kind)
        width = np.dtype(dtype).itemsize
        start = first * (width if kind != 8 else 1)
        if section is None or start + count * width > len(section.data):
            raise ImageError(f"values {first}..{first + count} lie outside section {kind}", 7, 0)
        return np.frombuffer(section.data, dtype, count, start).astype(np.int64)


def decode(image: bytes) -> Program:
    """The program of an image; raises ImageError on anything that is not a correct image."""
    reader = _Reader(image)
    try:
        return _decode(reader, image)
    except ImageError:
        raise
    except (NeuromorphError, IndexError, ValueError, struct.error, KeyError, TypeError) as error:
        raise ImageError(f"the image is inconsistent: {error}", 7, 0) from error


def _decode(reader: _Reader, image: bytes) -> Program:
    (dt_ns, seed, rounding, n_pops, n_projs, _, n_probes), *_ = reader.records(1, _MACHINE)
    meta: dict[str, Any] = json.loads(reader.sections[2].data) if 2 in reader.sections else {}
    pop_names = meta.get("populations") or [f"population{i}" for i in range(n_pops)]
    proj_names = meta.get("projections") or [f"projection{i}" for i in range(n_projs)]
    probe_names = meta.get("probes") or [f"probe{i}" for i in range(n_probes)]
    pops = [_decode_population(reader, r, n) for r, n in zip(reader.records(3, _POPULATION), pop_names, strict=True)]
    rules = [_decode_rule(reader, r) for r in reader.records(10, _RULE)]
    projs = [
        _decode_projection(reader, r, n, pops, rules)
        for r, n in zip(reader.records(4, _PROJECTION), proj_names, strict=True)
    ]
    schedule = tuple(
        ScheduleEntry(
            step, cast("Any", OPERATIONS[op - 1]), (projs if op == 1 else pops)[obj].name, bool(value)
        )
        for step, op, value, obj in reader.records(16, _SCHEDULE)
    )
    probes = tuple(
        Probe(name, (projs if kind else pops)[obj].name, _NAMES[code], every, phase)
        for name, (kind, code, obj, every, phase) in zip(probe_names, reader.records(17, _PROBE), strict=True)
    )
    report = None
    if "report" in meta:
        from neuromorph.report import Report

        report = Report.from_dict(meta["report"])
    program = Program(
        dt=dt_ns / 1e9,
        populations={p.name: p for p in pops},
        projections={p.name: p for p in projs},
        probes=probes,
        schedule=schedule,
        rounding=cast("Any", ("shared", "synapse")[rounding]),
        seed=seed,
        name=meta.get("name", "program"),
        profile=PROFILES[struct.unpack_from("<I", image, 16)[0]],
        scales=meta.get("scales", {}),
        report=report,
    )
    program.__dict__["image"] = bytes(image)  # what was read is what is written again
    return program


def _decode_population(reader: _Reader, record: tuple[Any, ...], name: str) -> Population:
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
        graded=bool(options >> 6 & 1), **values,
    )  # fmt: skip


def _decode_rule(reader: _Reader, record: tuple[Any, ...]) -> Rule:
    t_epoch, graded, _, _, seed, *rest = record
    first, count, traces = rest[0:3], rest[3:6], rest[6:11]
    products, factors = reader.records(11, _PRODUCT), reader.records(12, _FACTOR)
    records = reader.records(13, _TRACE)

    def product(index: int) -> Product:
        dependency, k, mant, exp, start, n = products[index]
        held = tuple(Factor(VARIABLES[v], c, bool(s)) for v, s, c in factors[start : start + n])
        return Product(cast('Literal["x0", "y0", "u"]', DEPENDENCIES[dependency]), mant, exp, held, k)

    dw, dd, dt = (tuple(product(f + i) for i in range(n)) for f, n in zip(first, count, strict=True))
    held = {}
    for name, index in zip(TRACES, traces, strict=True):
        if index:
            ii, fi, _, tau = records[index - 1]
            held[name] = Trace(ii, fi, tau)
    return Rule(dw, dd, dt, traces=held, t_epoch=t_epoch, seed=seed, graded_trace=GRADED_TRACES[graded])


def _decode_projection(
    reader: _Reader, record: tuple[Any, ...], name: str, pops: list[Population], rules: list[Rule]
) -> Projection:
    pre, post, sparse, sign, graded, exp, element, per_synapse, delay, off, rule, start, count, *rest = record
    delays, rows, targets = rest
    n_pre, n_post = pops[pre].n, pops[post].n
    weights = reader.pool(8, ("i1", "u1", "<i2")[element], start, count)
    weights = weights * 2 if element == 0 else -weights if SIGNS[sign] == "inh" else weights
    held_delays: int | NDArray[np.int64] = reader.pool(9, "u1", delays, count) if per_synapse else delay
    indptr = indices = None
    if sparse:
        table = reader.pool(6, "<u4", rows * 3, n_pre * 3).reshape(n_pre, 3)
        used = np.arange(count) - np.repeat(table[:, 0], table[:, 1]) < np.repeat(table[:, 2], table[:, 1])
        indices = reader.pool(7, "<u4", targets, count)[used]
        weights = weights[used]
        held_delays = held_delays[used] if isinstance(held_delays, np.ndarray) else held_delays
        indptr = np.concatenate([[0], np.cumsum(table[:, 2])])
    else:
        weights = weights.reshape(n_pre, n_post)
        held_delays = held_delays.reshape(n_pre, n_post) if isinstance(held_delays, np.ndarray) else held_delays
    return Projection(
        name=name, pre=pops[pre].name, post=pops[post].name, weights=weights, weight_exp=exp,
        sign_mode=cast("Any", SIGNS[sign]), delays=held_delays, indptr=indptr, indices=indices, graded=bool(graded),
        rule=rules[rule - 1] if rule else None, plastic=not off,
    )  # fmt: skip
