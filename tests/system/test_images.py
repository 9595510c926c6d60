"""Images: bytes and back, what the digest covers, and what is refused, by the reader (Python) and the verifier (C)."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import struct
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import neuromorph as nm
from neuromorph.errors import ImageError
from neuromorph.image import decode, encode, without_metadata
from neuromorph.program import Modulator, Population, Probe, Program, Projection, ScheduleEntry, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.short_term import ShortTerm, factors
from neuromorph.state import items
from neuromorph.testing.programs import draw
from neuromorph_cpu import native
from tests.scripts import script

FUZZ = Path(__file__).with_name("image_fuzz.py")
MUTANTS = {"flip": 400, "field": 1200, "record": 400}
sealed = script("tests/system/image_fuzz.py").sealed

# ------------------------------------------------------------------------------------------------ bytes and back


def test_images_come_back_byte_by_byte() -> None:
    """What was read is encoded anew, not remembered."""
    for seed in range(120):
        image = encode(draw(seed, profile="wide" if seed % 4 == 3 else "loihi2").program)
        again = decode(image)
        assert encode(replace(again)) == image, seed
        assert again.image == image
        assert native.verify(image) > 0


def test_everything_in_a_program_comes_back() -> None:
    for seed in range(40):
        program = draw(seed, profile="wide" if seed % 4 == 3 else "loihi2").program
        again = decode(encode(program))
        for name in ("dt", "seed", "rounding", "profile", "name", "probes", "schedule"):
            assert getattr(again, name) == getattr(program, name)
        for kind in ("populations", "projections", "modulators"):
            for name, one in getattr(program, kind).items():
                other = getattr(again, kind)[name]
                for key in (field.name for field in dataclasses.fields(one)):
                    a, b = getattr(one, key), getattr(other, key)
                    same = np.array_equal(a, b) if isinstance(a, np.ndarray) else a == b
                    assert same, (seed, name, key)


def test_items_and_memory_are_those_of_the_c_engine() -> None:
    """Same items in the same order, of the same sizes; the verifier's bound is what the engine takes."""
    lib = native.library()
    for seed in range(60):
        program = draw(seed, profile="wide" if seed % 4 == 3 else "loihi2").program
        image = program.image
        need = native.verify(image)
        held, arena = ctypes.create_string_buffer(image, len(image)), (ctypes.c_uint64 * (need // 8 + 1))()
        aligned = (ctypes.c_uint64 * (len(image) // 8 + 1))()
        ctypes.memmove(aligned, held, len(image))
        engine = ctypes.c_void_p()
        arguments = (ctypes.byref(engine), ctypes.addressof(aligned), len(image), ctypes.addressof(arena))
        assert lib.nm_init(*arguments, need - 1) == native.E_ARENA
        assert lib.nm_init(*arguments, need) == 0
        layout = items(program)
        assert lib.nm_items(engine) == len(layout)
        index = {name: k for k, name in enumerate(program.populations)}
        index |= {name: k for k, name in enumerate(program.projections)}
        index |= {name: k for k, name in enumerate(program.modulators)}
        for k, item in enumerate(layout):
            info = native._Item()
            assert lib.nm_item_info(engine, k, ctypes.byref(info)) == 0
            assert (info.code, info.width, info.count) == (item.code, item.dtype.itemsize, item.count)
            kinds = (program.populations, program.projections, program.modulators)
            assert item.object in kinds[info.kind]
            assert info.object == index[item.object]
        assert lib.nm_item_info(engine, len(layout), ctypes.byref(native._Item())) == native.E_ARG


def test_ranges_of_values_are_those_of_the_c_engine() -> None:
    """Both ends of each item's range are taken, what lies beyond is not, by the engine and by the session's check."""
    engine = native.NativeEngine()
    for seed in range(40):
        program = draw(seed, profile="wide" if seed % 4 == 3 else "loihi2").program
        engine.load(program.image)
        for k, item in enumerate(items(program)):
            limits = np.iinfo(item.dtype)
            low, high = -(-item.low // item.unit) * item.unit, item.high // item.unit * item.unit
            first = 0
            if item.variable == "refr":
                first = int(np.argmax(program.populations[item.object].per_neuron("refractory")))
            for value in {low - item.unit, low, high, high + item.unit, low + 1 if item.unit > 1 else high}:
                if not limits.min <= value <= limits.max:
                    continue
                good = item.check(np.array([value])) == ""
                assert good == (low <= value <= high and value % item.unit == 0)
                try:
                    engine.write_item(k, first, item.encode(np.array([value])))
                except nm.ValidationError:
                    assert not good, (seed, item.name, value)
                else:
                    assert good, (seed, item.name, value)


# ------------------------------------------------------------------------------------------------ the digest

RULE = Rule(
    dw=(Product("x0", -1, 0, (Factor("y1"),)), Product("y0", 1, 0, (Factor("x1"),))),
    dt=(Product("u", 1, 0, (Factor("w", 3),), 1),),
    traces={"x1": Trace(16, 0, 10.0), "y1": Trace(16, 0, 20.0)}, t_epoch=2, seed=5,
)  # fmt: skip
CELLS = Population(
    "cells", 2, du=1000, dv=200, vth=120, bias=np.array([1600, 1100]), refractory=2, reset_interval=50, reset_offset=3,
    adaptive=True, theta_inc=64, theta_decay=50, theta_period=2, theta_frac=4, init_u=np.array([1, 2]),
    init_v=np.array([3, 4]), init_theta=np.array([5, 6]),
)  # fmt: skip
SIGNS = Population("signs", 2, "ternary", vth=100, vth_lo=-50)
SYN = Projection("syn", "in", "cells", np.array([[8, 20], [30, 40]]), 1, "exc", np.array([[0, 1], [2, 1]]), rule=RULE)
LOOP = Projection("loop", "cells", "signs", np.array([4, 8]), indptr=np.array([0, 1, 2]), indices=np.array([0, 1]))


def whole(
    cells: Population = CELLS, signs: Population = SIGNS, syn: Projection = SYN, loop: Projection = LOOP, **more: Any
) -> Program:
    """A program that uses every field."""
    source = more.pop("source", Population("in", 2, "input"))
    options: dict[str, Any] = {
        "rounding": "shared", "seed": 9, "probes": (Probe("v", "cells", "v", 3, 1),),
        "schedule": (ScheduleEntry(4, "plasticity", "syn", False), ScheduleEntry(7, "adaptation", "cells", True)),
    }  # fmt: skip
    return build([source, cells, signs], [syn, loop], **{**options, **more})


SLOW_RULE = Rule(
    dw=(Product("u", 1, 0, (Factor("m1"), Factor("x1", -40, "pos", "y1")), 10), Product("x0", 1, 0, (Factor("q"),))),
    traces=RULE.traces, modulators=("rate", "dopamine"), sum_shift=3,
)  # fmt: skip
SLOW_STATIC = replace(SLOW_RULE, dw=(Product("x0", 1, 0, (Factor("q"),)),), modulators=())
RATE = Modulator("rate", "cells", (("cells", 20), ("in", -3)), "hold", 100, 3, 4, np.array([7, -8]))
DOPAMINE = Modulator("dopamine", None, (("in", 1000),), "add", 50, 2, 5, -9)


def slow(rule: Rule = SLOW_RULE, rate: Modulator = RATE, dopamine: Modulator = DOPAMINE, **more: Any) -> Program:
    """A program that uses every field of modulators and of the factors that read them."""
    options: dict[str, Any] = {
        "rounding": "shared", "probes": (Probe("rate", "rate", "m", 3, 1),),
        "schedule": (ScheduleEntry(4, "modulator", "rate", value=-77),),
    }  # fmt: skip
    return build(
        [Population("in", 2, "input"), CELLS], [replace(SYN, rule=rule)], modulators=[rate, dopamine],
        **{**options, **more},
    )  # fmt: skip


def slow_factor(**changes: Any) -> Program:
    first, second = SLOW_RULE.dw
    factors = (first.factors[0], replace(first.factors[1], **changes))
    return slow(replace(SLOW_RULE, dw=(replace(first, factors=factors), second)))


LOGICAL_SLOW: dict[str, Callable[[], Program]] = {
    **{f"rate.{key}": lambda key=key, value=value: slow(rate=replace(RATE, **{key: value}))  # type: ignore[misc]
       for key, value in {
        "sources": (("cells", 20), ("in", -4)), "mode": "add", "decay": 101, "period": 4, "frac": 5,
        "init": np.array([7, -9]),
    }.items()},
    "a value for all": lambda: slow(rate=replace(RATE, of=None, init=7)),
    "another source": lambda: slow(rate=replace(RATE, sources=(("in", 20), ("in", -3)))),
    "a source less": lambda: slow(rate=replace(RATE, sources=RATE.sources[:1])),
    "init": lambda: slow(dopamine=replace(DOPAMINE, init=-8)),
    "init as an array": lambda: slow(dopamine=replace(DOPAMINE, init=np.array([-9]))),
    "other modulators": lambda: slow(replace(SLOW_RULE, modulators=("dopamine", "rate"))),
    "one modulator": lambda: slow(replace(SLOW_RULE, modulators=("rate",))),
    "sum_shift": lambda: slow(replace(SLOW_RULE, sum_shift=4)),
    "function": lambda: slow_factor(function="on"),
    "no function": lambda: slow_factor(function=""),
    "second": lambda: slow_factor(second="w"),
    "no second": lambda: slow_factor(second=""),
    "sign": lambda: slow_factor(sign=-1),
    "value": lambda: slow(schedule=(ScheduleEntry(4, "modulator", "rate", value=-78),)),
    "object": lambda: slow(schedule=(ScheduleEntry(4, "modulator", "dopamine", value=-77),)),
}  # fmt: skip


@pytest.mark.parametrize("field", LOGICAL_SLOW)
def test_every_field_of_modulators_is_part_of_the_digest(field: str) -> None:
    changed = LOGICAL_SLOW[field]()
    assert changed.digest != slow().digest
    assert native.verify(changed.image)
    again = decode(changed.image)
    assert again.digest == changed.digest
    assert encode(replace(again)) == changed.image


def test_other_digests_for_other_modulators() -> None:
    digests = [make().digest for make in LOGICAL_SLOW.values()]
    assert len(set(digests)) == len(digests)


def test_what_programs_of_modulators_must_be() -> None:
    """Names, sizes and references, each refused with what is wrong."""
    wrong: dict[str, Callable[[], object]] = {
        "'what' does not exist": lambda: slow(rate=replace(RATE, sources=(("what", 1),))),
        "'in' is an input": lambda: slow(SLOW_STATIC, rate=replace(RATE, of="in")),
        "at most 8": lambda: replace(RATE, sources=(("in", 1),) * 9),
        "gain of 'in'": lambda: replace(RATE, sources=(("in", (1 << 24) + 1),)),
        "decay = 4097": lambda: replace(RATE, decay=4097),
        "init = 1073741825": lambda: replace(RATE, init=(1 << 30) + 1),
        "'in' has 2 neurons, 'wide' has 3": lambda: build(
            [Population("in", 2, "input"), Population("wide", 3)],
            [],
            modulators=[replace(RATE, of="wide", init=0, sources=(("in", 1),))],
        ),
        "needed a scalar or": lambda: slow(rate=replace(RATE, init=np.array([1, 2, 3]))),
        "names a modulator and another": lambda: slow(rate=replace(RATE, name="syn")),
        "modulator 'rats' does not exist; did you mean 'rate'": lambda: slow(replace(SLOW_RULE, modulators=("rats",))),
        "reads m1 but names 0": lambda: replace(SLOW_RULE, modulators=()),
        "up to 4 different": lambda: replace(SLOW_RULE, modulators=("rate", "rate")),
        "sum_shift 32": lambda: replace(SLOW_RULE, sum_shift=32),
        "is not a modulator": lambda: slow(schedule=(ScheduleEntry(4, "modulator", "syn", value=1),)),
        "switches take no value": lambda: slow(schedule=(ScheduleEntry(4, "plasticity", "syn", value=1),)),
        "never off": lambda: slow(schedule=(ScheduleEntry(4, "modulator", "rate", False),)),
        "has no variable 'u'; it has m": lambda: slow(probes=(Probe("p", "rate", "u"),)),
    }
    for message, make in wrong.items():
        with pytest.raises(nm.ValidationError, match=message):
            make()


def test_a_modulator_of_other_neurons_is_refused() -> None:
    others = Population("others", 2)
    far = replace(RATE, of="others", sources=())
    with pytest.raises(nm.ValidationError, match="has values of the neurons of 'others'"):
        build([Population("in", 2, "input"), CELLS, others], [replace(SYN, rule=SLOW_RULE)], modulators=[far, DOPAMINE])


def test_names_probes_report_and_scales_are_not_part_of_the_digest() -> None:
    program = whole()
    renamed = build(
        [replace(p, name=f"_{p.name}") for p in program.populations.values()],
        [replace(p, name=f"_{p.name}", pre=f"_{p.pre}", post=f"_{p.post}") for p in program.projections.values()],
        rounding="shared", seed=9, name="other",
        schedule=tuple(replace(entry, object=f"_{entry.object}") for entry in program.schedule),
    )  # fmt: skip
    for same in (
        renamed,
        replace(program, probes=()),
        replace(program, probes=(Probe("w", "syn", "w"), Probe("s", "in", "spikes"))),
        replace(program, scales={"cells": {"v": 0.5}}),
        replace(program, name="other"),
        decode(without_metadata(program.image)),
    ):
        assert same.digest == program.digest
    assert renamed.image != program.image


def test_the_report_is_not_part_of_the_digest() -> None:
    net = nm.Network(name="one", seed=1)
    net.population(3, nm.LIF(tau_m=0.02), name="cells")
    program = nm.compile(net, target="cpu")
    assert program.report is not None
    assert replace(program, report=None).digest == program.digest


SHORT = ShortTerm(np.array([[100, 200], [300, 400]]), factors(800.0), factors(0.0))


def short(each: ShortTerm = SHORT, one: ShortTerm = ShortTerm(16384, factors(5.0), factors(60.0))) -> Program:  # noqa: B008
    """A program with a U for each synapse of its dense projection, and one for all of its sparse one."""
    return whole(syn=replace(SYN, short_term=each), loop=replace(LOOP, short_term=one))


LOGICAL_SHORT: dict[str, Callable[[], Program]] = {
    "a U": lambda: short(replace(SHORT, use=np.array([[100, 200], [300, 401]]))),
    "U for all": lambda: short(one=ShortTerm(16385, factors(5.0), factors(60.0))),
    "a U for each, for one for all": lambda: short(replace(SHORT, use=100)),
    "tau_rec": lambda: short(replace(SHORT, recovery=factors(801.0))),
    "tau_facil": lambda: short(replace(SHORT, facilitation=factors(1.0))),
    "none": lambda: whole(syn=replace(SYN, short_term=SHORT)),
}


@pytest.mark.parametrize("field", LOGICAL_SHORT)
def test_every_field_of_short_term_plasticity_is_part_of_the_digest(field: str) -> None:
    changed = LOGICAL_SHORT[field]()
    assert changed.digest != short().digest
    assert native.verify(changed.image)
    again = decode(changed.image)
    assert encode(replace(again)) == changed.image
    for name, proj in changed.projections.items():
        assert again.projections[name].short_term == proj.short_term


def test_what_short_term_plasticity_must_be() -> None:
    wrong: dict[str, Callable[[], object]] = {
        "use must be integers of 0..32767": lambda: replace(SHORT, use=32768),
        "recovery has 16 numbers": lambda: replace(SHORT, recovery=(1, 2)),
        "facilitation has 16 numbers of 0..32768": lambda: replace(SHORT, facilitation=(32769,) * 16),
        r"use of shape \(3,\)": lambda: short(replace(SHORT, use=np.array([1, 2, 3]))),
        "the projection has no tag_2": lambda: short(replace(SHORT, learned_use=True)),
    }
    for message, make in wrong.items():
        with pytest.raises(nm.ValidationError, match=message):
            make()


def rule(**changes: Any) -> Program:
    return whole(syn=replace(SYN, rule=replace(RULE, **changes)))


def first_product(**changes: Any) -> Program:
    return rule(dw=(replace(RULE.dw[0], **changes), RULE.dw[1]))


LOGICAL: dict[str, Callable[[], Program]] = {
    "dt": lambda: whole(dt=2e-3),
    "seed": lambda: whole(seed=10),
    "rounding": lambda: whole(rounding="synapse"),
    "graded input": lambda: whole(source=Population("in", 2, "input", graded=True)),
    "size of an input": lambda: whole(
        source=Population("in", 3, "input"), syn=replace(SYN, weights=np.full((3, 2), 8), delays=1)
    ),
    "kind": lambda: whole(signs=replace(SIGNS, kind="lif")),
    **{f"cells.{k}": lambda k=k, v=v: whole(cells=replace(CELLS, **{k: v})) for k, v in {  # type: ignore[misc]
        "du": 1001, "dv": 201, "vth": 121, "bias": np.array([1600, 1101]), "refractory": 3, "reset_interval": 51,
        "reset_offset": 4, "theta_inc": 65, "theta_decay": 51, "theta_period": 3, "theta_frac": 5,
        "init_u": np.array([1, 3]), "init_v": None, "init_theta": np.array([5, 7]), "theta_drift": 3, "theta_min": -9,
    }.items()},
    "an array for a scalar": lambda: whole(cells=replace(CELLS, du=np.array([1000, 1001]))),
    "vth_lo": lambda: whole(signs=replace(SIGNS, vth_lo=-51)),
    "adaptive": lambda: whole(
        cells=replace(CELLS, adaptive=False, init_theta=None),
        schedule=(ScheduleEntry(4, "plasticity", "syn", False),),
    ),
    "a weight": lambda: whole(syn=replace(SYN, weights=np.array([[8, 20], [30, 41]]))),
    "a static weight": lambda: whole(loop=replace(LOOP, weights=np.array([4, 10]))),
    "weight_exp": lambda: whole(syn=replace(SYN, weight_exp=2)),
    "sign mode": lambda: whole(syn=replace(SYN, sign_mode="mixed")),
    "a delay": lambda: whole(syn=replace(SYN, delays=np.array([[0, 1], [2, 2]]))),
    "a delay for all": lambda: whole(loop=replace(LOOP, delays=1)),
    "a target": lambda: whole(loop=replace(LOOP, indices=np.array([1, 1]))),
    "a row": lambda: whole(loop=replace(LOOP, indptr=np.array([0, 2, 2]))),
    "dense for sparse": lambda: whole(loop=Projection("loop", "cells", "signs", np.array([[4, 0], [0, 8]]))),
    "source": lambda: whole(loop=replace(LOOP, pre="signs")),
    "target": lambda: whole(loop=replace(LOOP, post="cells")),
    "graded": lambda: whole(syn=replace(SYN, graded=True)),
    "plasticity off": lambda: whole(syn=replace(SYN, plastic=False)),
    "another order of the projections": lambda: replace(
        whole(), projections=dict(sorted(whole().projections.items()))
    ),
    "t_epoch": lambda: rule(t_epoch=3),
    "seed of a rule": lambda: rule(seed=6),
    "seed of a rule, without streams": lambda: replace(rule(seed=6), rounding="synapse"),
    "graded trace": lambda: rule(
        graded_trace="overwrite", traces={"x1": Trace(0, 0, 10.0), "y1": Trace(16, 0, 20.0)}
    ),
    "no dt": lambda: rule(dt=()),
    "dd for dt": lambda: rule(dd=RULE.dt, dt=()),
    "a further trace": lambda: rule(traces={**RULE.traces, "y2": Trace(1, 0, 5.0)}),
    "ii": lambda: rule(traces={**RULE.traces, "y1": Trace(17, 0, 20.0)}),
    "fi": lambda: rule(traces={**RULE.traces, "y1": Trace(16, 1, 20.0)}),
    "tau": lambda: rule(traces={**RULE.traces, "y1": Trace(16, 0, 21.0)}),
    "dependency": lambda: first_product(dependency="y0"),
    "mantissa": lambda: first_product(mant=-2),
    "exponent": lambda: first_product(exp=1),
    "no factor": lambda: first_product(factors=()),
    "variable": lambda: first_product(factors=(Factor("w"),)),
    "constant": lambda: first_product(factors=(Factor("y1", 1),)),
    "sgn": lambda: rule(dt=(Product("u", 1, 0, (Factor("w", 3, "sgn"),), 1),)),
    "k": lambda: rule(dt=(Product("u", 1, 0, (Factor("w", 3),), 2),)),
    "step of the schedule": lambda: whole(
        schedule=(ScheduleEntry(5, "plasticity", "syn", False), *whole().schedule[1:])
    ),
    "off for on": lambda: whole(schedule=(ScheduleEntry(4, "plasticity", "syn", True), *whole().schedule[1:])),
    "no schedule": lambda: whole(schedule=()),
}  # fmt: skip


@pytest.mark.parametrize("field", LOGICAL)
def test_every_logical_field_is_part_of_the_digest(field: str) -> None:
    changed, base = LOGICAL[field](), whole()
    if "without streams" in field:
        base = replace(base, rounding="synapse")
    assert changed.digest != base.digest
    assert native.verify(changed.image)
    assert decode(changed.image).digest == changed.digest


def test_no_two_logical_changes_give_the_same_digest() -> None:
    digests = [make().digest for make in LOGICAL.values()]
    assert len(set(digests)) == len(digests)


# ------------------------------------------------------------------------------------------------ what is refused


def refusals(image: bytes) -> tuple[int, int]:
    """The rules by which the verifier and the reader refuse an image."""
    found = []
    for judge in (native.verify, decode):
        with pytest.raises(ImageError) as caught:
            judge(image)
        found.append(caught.value.rule)
    return found[0], found[1]


def test_every_byte_of_the_header_and_the_table_counts() -> None:
    image = whole().image
    for at in range(160 + 24 * struct.unpack_from("<H", image, 12)[0]):
        damaged = image[:at] + bytes([image[at] ^ 0x55]) + image[at + 1 :]
        native_rule, rule_here = refusals(damaged)
        assert native_rule == rule_here, at
        assert native_rule in ((1, 2, 3) if at < 12 else (3,)), at


def test_an_image_of_any_other_length_is_refused() -> None:
    image = whole().image
    for length in (*range(400), *range(400, len(image), 97), len(image) - 1):
        assert refusals(image[:length])[0] in (1, 2)
    for more in (1, 7, 8, 4096, 1 << 20):
        assert refusals(image + bytes(more)) == (2, 2)


def record_at(image: bytes | bytearray, kind: int, k: int = 0) -> int:
    """Offset of record k of a section."""
    for entry in range(struct.unpack_from("<H", image, 12)[0]):
        found, _, offset, _, _, stride, _ = struct.unpack_from("<HHIIIII", image, 160 + 24 * entry)
        if found == kind:
            return int(offset + k * stride)
    raise LookupError(kind)


def entry_at(image: bytes | bytearray, kind: int) -> int:
    """Offset of a section's entry in the table."""
    table = range(160, 160 + 24 * struct.unpack_from("<H", image, 12)[0], 24)
    return next(at for at in table if struct.unpack_from("<H", image, at)[0] == kind)


# name: (section, record, byte, format, value, rule); section 0 is the header, -k the table's entry of section k
FIELDS: dict[str, tuple[int, int, int, str, int, int]] = {
    "magic": (0, 0, 0, "<I", 0x1A494D4A, 1),
    "header length": (0, 0, 4, "<H", 164, 1),
    "format 2.0": (0, 0, 6, "<B", 2, 1),
    "total length": (0, 0, 8, "<I", 168, 2),
    "length over 2^31": (0, 0, 8, "<I", 0xFFFFFFFF, 2),
    "a profile that is none": (0, 0, 16, "<I", 2, 4),
    "profile wide in the header alone": (0, 0, 16, "<I", 1, 8),
    "profile wide in the machine record alone": (1, 0, 13, "<B", 1, 8),
    "an unknown feature": (0, 0, 20, "<I", 1 << 17, 4),
    "features not named": (0, 0, 20, "<I", 0, 4),
    "a target family": (0, 0, 24, "<I", 1, 4),
    "semantics 2": (0, 0, 28, "<H", 2, 4),
    "a deadline": (0, 0, 40, "<I", 1, 4),
    "a reserved byte": (0, 0, 155, "<B", 1, 4),
    "no sections": (0, 0, 12, "<H", 0, 5),
    "65 sections": (0, 0, 12, "<H", 65, 5),
    "entries of 32 bytes": (0, 0, 14, "<H", 32, 5),
    "an unknown section that is needed": (-9, 0, 0, "<H", 40, 5),
    "a section twice": (-9, 0, 0, "<H", 8, 5),
    "an offset that is not aligned": (-18, 0, 4, "<I", 4, 5),
    "an offset into the table": (-1, 0, 4, "<I", 160, 5),
    "an offset behind the end": (-18, 0, 4, "<I", 1 << 30, 5),
    "a length behind the end": (-18, 0, 8, "<I", 1 << 31, 5),
    "a logical section that is none": (-8, 0, 2, "<H", 0, 5),
    "probes that are logical": (-17, 0, 2, "<H", 2, 5),
    "an unknown flag": (-3, 0, 2, "<H", 6, 5),
    "a count over the capacity": (-3, 0, 12, "<I", 9, 6),
    "a stride that does not fit": (-3, 0, 16, "<I", 32, 6),
    "stride times capacity over 2^32": (-3, 0, 16, "<I", 1 << 31, 6),
    "dt 0": (1, 0, 0, "<Q", 0, 8),
    "dt of 300 years": (1, 0, 0, "<Q", 1 << 63, 8),
    "rounding": (1, 0, 12, "<B", 2, 8),
    "one population less": (1, 0, 16, "<H", 2, 6),
    "one rule more": (1, 0, 20, "<H", 2, 6),
    "kind of a population": (3, 1, 0, "<B", 3, 8),
    "an array flag": (3, 1, 1, "<B", 0x80, 8),
    "an option": (3, 1, 2, "<B", 0x80, 8),
    "an input with a threshold": (3, 0, 2, "<B", 1, 8),
    "refractory without its option": (3, 1, 2, "<B", 0x3D, 8),
    "reset without its option": (3, 1, 2, "<B", 0x3B, 8),
    "no neurons": (3, 1, 4, "<I", 0, 8),
    "2^24 + 1 neurons": (3, 1, 4, "<I", (1 << 24) + 1, 8),
    "du 4096": (3, 1, 8, "<i", 4096, 8),
    "dv -1": (3, 1, 12, "<i", -1, 8),
    "vth 2^17": (3, 1, 16, "<i", 1 << 17, 8),
    "bias outside its pool": (3, 1, 20, "<i", 1 << 20, 7),
    "bias at -1": (3, 1, 20, "<i", -1, 7),
    "theta_inc 2^31 - 1": (3, 1, 32, "<i", 2**31 - 1, 8),
    "theta_decay 4097": (3, 1, 44, "<H", 4097, 8),
    "theta_period 16": (3, 1, 46, "<B", 16, 8),
    "theta_frac 13": (3, 1, 47, "<B", 13, 8),
    "initial u outside its pool": (3, 1, 48, "<I", 5, 7),
    "initial v outside its range": (18, 2, 0, "<i", 1 << 23, 8),
    "bias 2^23": (5, 0, 0, "<i", 1 << 23, 8),
    "a source that is not there": (4, 0, 0, "<H", 3, 7),
    "a target that is not there": (4, 0, 2, "<H", 0xFFFF, 7),
    "an input as target": (4, 0, 2, "<H", 0, 7),
    "layout": (4, 0, 4, "<B", 2, 8),
    "sign mode": (4, 0, 5, "<B", 3, 8),
    "message": (4, 0, 6, "<B", 2, 8),
    "exponent 16": (4, 0, 7, "<b", 16, 8),
    "exponent -17": (4, 0, 7, "<b", -17, 8),
    "element": (4, 0, 8, "<B", 2, 8),
    "delay kind": (4, 0, 9, "<B", 2, 8),
    "delay 64": (4, 0, 10, "<B", 64, 8),
    "a largest delay that is none": (4, 0, 10, "<B", 9, 8),
    "plasticity off without a rule": (4, 1, 11, "<B", 1, 8),
    "rule 2 of 1": (4, 0, 12, "<H", 2, 7),
    "a reserved byte of a projection": (4, 0, 63, "<B", 1, 8),
    "weights outside their pool": (4, 0, 16, "<I", 1 << 31, 7),
    "more weights than pairs": (4, 0, 20, "<I", 5, 6),
    "delays outside their pool": (4, 0, 24, "<I", 0xFFFFFFFF, 7),
    "rows outside their section": (4, 1, 28, "<I", 1, 7),
    "targets outside their pool": (4, 1, 32, "<I", 1, 7),
    "a delay over the largest": (9, 0, 0, "<B", 3, 8),
    "a row that begins later": (6, 1, 0, "<I", 2, 7),
    "a row without end": (6, 0, 4, "<I", 0xFFFFFFFF, 7),
    "a row longer than its capacity": (6, 1, 8, "<I", 2, 6),
    "a target that is not there, in a row": (7, 0, 0, "<I", 2, 7),
    "t_epoch 0": (10, 0, 0, "<B", 0, 8),
    "t_epoch 65": (10, 0, 0, "<B", 65, 8),
    "graded trace": (10, 0, 1, "<B", 4, 8),
    "graded x1 with an impulse": (10, 0, 1, "<B", 1, 8),
    "a sixth trace": (10, 0, 2, "<B", 0x25, 8),
    "a trace that is read but missing": (10, 0, 2, "<B", 0x01, 7),
    "tag_1 denied": (10, 0, 3, "<B", 0, 7),
    "tag_2 claimed": (10, 0, 3, "<B", 3, 8),
    "seed of a rule": (10, 0, 4, "<I", 0xFFFFFFFF, 8),
    "products outside their section": (10, 0, 8, "<H", 2, 7),
    "65535 products": (10, 0, 14, "<H", 0xFFFF, 7),
    "a trace outside its section": (10, 0, 20, "<H", 3, 7),
    "a stream outside its section": (10, 0, 32, "<I", 6, 7),
    "no stream": (10, 0, 32, "<I", 0, 7),
    "dependency": (11, 0, 0, "<B", 3, 8),
    "u16": (11, 2, 1, "<B", 16, 8),
    "u10 without its feature": (11, 2, 1, "<B", 10, 4),
    "k of x0": (11, 0, 1, "<B", 1, 8),
    "mantissa 8": (11, 0, 2, "<b", 8, 8),
    "exponent 9": (11, 0, 3, "<b", 9, 8),
    "exponent -8": (11, 0, 3, "<b", -8, 8),
    "7 factors": (11, 0, 6, "<B", 7, 8),
    "factors outside their section": (11, 2, 4, "<H", 3, 7),
    "variable": (12, 0, 0, "<B", 16, 8),
    "a modulator that the rule has not": (12, 0, 0, "<B", 12, 7),
    "a sum of weights without its feature": (12, 0, 0, "<B", 15, 4),
    "sgn of a trace without its feature": (12, 0, 1, "<B", 1, 4),
    "a second variable that is none": (12, 0, 1, "<B", 17 << 3, 8),
    "a constant as the second variable": (12, 0, 1, "<B", 11 << 3, 8),
    "a second variable is subtracted, but there is none": (12, 0, 1, "<B", 4, 8),
    "a second variable that the rule has not": (12, 0, 1, "<B", 4 << 3, 7),
    "constant 512": (12, 0, 2, "<h", 512, 8),
    "a factor reads what the rule has not": (12, 0, 0, "<B", 3, 7),
    "a factor reads tag_2": (12, 0, 0, "<B", 8, 7),
    "impulse 128": (13, 0, 0, "<B", 128, 8),
    "decay table outside its section": (13, 0, 2, "<H", 3, 7),
    "tau nan": (13, 0, 8, "<Q", 0x7FF8 << 48, 8),
    "tau -1": (13, 0, 8, "<Q", 0xBFF0 << 48, 8),
    "tau 0 with a table": (13, 0, 8, "<Q", 0, 8),
    "a decay that grows": (14, 0, 8, "<Q", 2 << 54, 8),
    "a fraction over 1": (14, 0, 1024, "<Q", (1 << 53) + 1, 8),
    "operation": (16, 0, 4, "<B", 4, 8),
    "schedule of a modulator that is none": (16, 1, 4, "<I", 3, 7),
    "a switch with a value": (16, 0, 8, "<I", 1, 8),
    "half on": (16, 0, 5, "<B", 2, 8),
    "schedule of nothing": (16, 0, 6, "<H", 2, 7),
    "schedule of a static projection": (16, 0, 6, "<H", 1, 7),
    "schedule backwards": (16, 1, 0, "<I", 3, 8),
    "kind of a probe": (17, 0, 0, "<B", 3, 8),
    "a probe of a modulator that is none": (17, 0, 0, "<B", 2, 7),
    "a variable that is none": (17, 0, 1, "<B", 9, 7),
    "a probe of nothing": (17, 0, 2, "<H", 3, 7),
    "a probe of an input's v": (17, 0, 2, "<H", 0, 7),
    "every 0 steps": (17, 0, 4, "<I", 0, 8),
}
FIELDS_SLOW: dict[str, tuple[int, int, int, str, int, int]] = {
    "modulators not named": (0, 0, 20, "<I", 0x68FF, 4),
    "extended factors not named": (0, 0, 20, "<I", 0x58FF, 4),
    "mode": (19, 0, 0, "<B", 2, 8),
    "flag of the initial values": (19, 0, 1, "<B", 2, 8),
    "neurons of nothing": (19, 0, 2, "<H", 3, 7),
    "neurons of an input": (19, 0, 2, "<H", 1, 7),
    "decay": (19, 0, 4, "<H", 4097, 8),
    "period": (19, 0, 6, "<B", 16, 8),
    "frac": (19, 0, 7, "<B", 17, 8),
    "sources outside their section": (19, 0, 8, "<I", 2, 7),
    "9 sources": (19, 0, 12, "<H", 9, 8),
    "a reserved byte of a modulator": (19, 0, 31, "<B", 1, 8),
    "initial values outside their pool": (19, 0, 16, "<I", 7, 7),
    "an initial value over 2^30": (19, 1, 16, "<I", (1 << 30) + 1, 8),
    "a source of nothing": (20, 0, 0, "<H", 2, 7),
    "a gain over 2^24": (20, 0, 4, "<i", (1 << 24) + 1, 8),
    "a gain under -2^24": (20, 0, 4, "<i", -(1 << 24) - 1, 8),
    "a reserved byte of a source": (20, 0, 2, "<B", 1, 8),
    "a modulator that does not exist": (10, 0, 54, "<H", 3, 7),
    "a gap before a modulator": (10, 0, 52, "<H", 0, 7),
    "a sum shifted by 32": (10, 0, 60, "<B", 32, 8),
    "a reserved byte of a rule": (10, 0, 61, "<B", 1, 8),
    "no decay under shared rounding": (10, 0, 62, "<H", 0, 7),
    "a decay outside its section": (10, 0, 62, "<H", 9, 7),
    "a modulator that the rule does not name": (12, 0, 0, "<B", 13, 7),
    "a constant from which a variable is not subtracted": (12, 1, 0, "<B", 10, 8),
    "a value over 2^30": (16, 0, 8, "<i", (1 << 30) + 1, 8),
    "a modulator is switched": (16, 0, 5, "<B", 1, 8),
    "a modulator beyond the last": (16, 0, 6, "<H", 2, 7),
    "a probe of u": (17, 0, 1, "<B", 1, 7),
    "a probe beyond the last": (17, 0, 2, "<H", 2, 7),
}
FIELDS_SHORT: dict[str, tuple[int, int, int, str, int, int]] = {
    "short-term plasticity not named": (0, 0, 20, "<I", 0xFFF, 4),
    "short-term plasticity that is not there": (4, 0, 14, "<H", 3, 7),
    "a flag of short-term plasticity": (21, 0, 0, "<B", 4, 8),
    "a reserved byte of short-term plasticity": (21, 0, 1, "<B", 1, 8),
    "U over 32767": (21, 1, 2, "<H", 32768, 8),
    "U for all and for each": (21, 0, 2, "<H", 1, 8),
    "values of U outside their pool": (21, 0, 4, "<I", 1, 7),
    "a U over 32767": (22, 2, 0, "<H", 32768, 8),
    "a recovery over 1": (21, 0, 8, "<H", 32769, 8),
    "a facilitation over 1": (21, 1, 70, "<H", 65535, 8),
    "learned use without tag_2": (21, 1, 0, "<B", 2, 7),
}
FIELDS_DRIFT: dict[str, tuple[int, int, int, str, int, int]] = {
    "drift not named": (0, 0, 20, "<I", 0xFFF, 4),
    "drift of an input": (3, 0, 64, "<I", 1, 8),
    "drift over 2^30": (3, 1, 64, "<I", (1 << 30) + 1, 8),
    "drift without an adaptive threshold": (3, 1, 2, "<B", 0x1E, 8),
    "theta_min above 0": (3, 1, 68, "<i", 1, 8),
    "theta_min under -2^30": (3, 1, 68, "<i", -(1 << 30) - 1, 8),
    "a threshold that can fall to 0": (3, 1, 68, "<i", -64 * 120 * 16, 8),
    "theta starts below theta_min": (18, 4, 0, "<i", -500, 8),
}
FIELDS_WIDE: dict[str, tuple[int, int, int, str, int, int]] = {
    "wide: profile loihi2 in the header": (0, 0, 16, "<I", 0, 8),
    "wide: profile loihi2 in the machine record": (1, 0, 13, "<B", 0, 8),
    "wide: shared rounding": (1, 0, 12, "<B", 0, 8),
    "wide: weights of 8 bits": (4, 0, 8, "<B", 1, 8),
    "wide: an excitatory weight below 0": (8, 0, 0, "<h", -1, 8),
    "wide: a weight over 255": (8, 0, 0, "<h", 255 * 128 + 1, 8),
    "wide: a graded trace that wraps": (10, 0, 1, "<B", 3, 8),
    "wide: exponent -23": (11, 0, 3, "<b", -23, 8),
    "wide: exponent 9": (11, 0, 3, "<b", 9, 8),
    "wide: impulse 128": (13, 0, 0, "<B", 128, 8),
    "wide: a decay table": (13, 0, 2, "<H", 1, 7),
    "wide: more is lost than there is": (13, 0, 4, "<I", 16 << 24 | 1 << 16 | 1, 8),
    "wide: shift 15": (13, 0, 4, "<I", 15 << 24, 8),
    "wide: shift 32": (13, 0, 4, "<I", 32 << 24, 8),
    "wide: tau nan": (13, 0, 8, "<Q", 0x7FF8 << 48, 8),
}
INEXACT = {"a probe of u", "schedule of a static projection", "a variable that is none", "a probe of an input's v"}
"""The reader finds these as a program that makes no sense: R8 instead of R7."""


def with_fields(name: str) -> Program:
    """The program whose field is made wrong."""
    if name in FIELDS_SLOW:
        return slow()
    if name in FIELDS_WIDE:
        return whole(profile="wide", rounding="synapse")
    if name in FIELDS_SHORT:
        return short()
    drift = replace(CELLS, theta_drift=7, theta_min=-400)
    return whole(cells=drift if name in FIELDS_DRIFT else CELLS)


@pytest.mark.parametrize("name", [*FIELDS, *FIELDS_SLOW, *FIELDS_DRIFT, *FIELDS_SHORT, *FIELDS_WIDE])
def test_a_wrong_field_is_refused_by_its_rule(name: str) -> None:
    """Though digest, hash and checksum are right."""
    section, k, byte, form, value, rule_expected = (FIELDS | FIELDS_SLOW | FIELDS_DRIFT | FIELDS_SHORT | FIELDS_WIDE)[
        name
    ]
    image = bytearray(with_fields(name).image)
    at = byte if section == 0 else byte + (entry_at(image, -section) if section < 0 else record_at(image, section, k))
    assert struct.unpack_from(form, image, at)[0] != value
    struct.pack_into(form, image, at, value)
    native_rule, rule_here = refusals(sealed(image))
    assert native_rule == rule_expected
    assert rule_here == (8 if name in INEXACT else rule_expected)


def test_odd_static_weights_cannot_even_be_written() -> None:
    with pytest.raises(nm.ValidationError, match="held even"):
        replace(whole(), projections={"syn": SYN, "loop": replace(LOOP, weights=np.array([3, 4]))})


def test_a_digest_of_another_program_is_refused() -> None:
    """Else the states of two programs could be mixed."""
    image = bytearray(whole().image)
    image[64:96] = bytes.fromhex(whole(seed=10).digest)
    fuzz = script("tests/system/image_fuzz.py")
    image[96:128] = fuzz.hashlib.blake2s(image[:96] + image[160:]).digest()
    image[156:160] = struct.pack("<I", fuzz.crc32c(bytes(image[:156])))
    assert refusals(bytes(image)) == (3, 3)


def test_another_decay_of_modulators_is_refused_by_the_reader() -> None:
    image = bytearray(slow().image)
    table = struct.unpack_from("<H", image, record_at(image, 10) + 62)[0] - 1
    image[record_at(image, 14, table) + 8] ^= 1
    with pytest.raises(ImageError, match="not that of 65535 steps") as caught:
        decode(sealed(image))
    assert caught.value.rule == 8


def test_streams_of_another_seed_are_refused_by_the_reader() -> None:
    """The board cannot compute them; a computer can."""
    image = bytearray(whole().image)
    image[record_at(image, 15)] ^= 1
    with pytest.raises(ImageError, match="not that of seed 5") as caught:
        decode(sealed(image))
    assert caught.value.rule == 8


def test_a_decay_table_from_elsewhere_counts(machine: Any) -> None:
    """Exponentials of another computer may differ in the last bit: the image's own are used by every machine."""
    image = bytearray(whole(probes=(Probe("x1", "syn", "x1"), Probe("y1", "syn", "y1"))).image)
    for table in range(2):
        for v in range(2, 129):
            struct.pack_into("<Q", image, record_at(image, 14, table) + 8 * v, (v - 2) << 54 | 1 << 52)
    program = decode(sealed(image))
    assert encode(replace(program)) == program.image
    steps, indices = np.arange(1, 41).repeat(2), np.tile([0, 1], 40)
    traces = [
        machine(program, target).run(steps=40, inputs={"in": nm.SpikeTrain(steps[::3], indices[::3])})
        for target in ("cpu:ref", "cpu", "mcu:m0")
    ]
    assert nm.compare(traces[0], traces[1]).equal
    assert nm.compare(traces[0], traces[2]).equal
    assert np.asarray(traces[0].states("x1").values).any()


def test_products_that_no_rule_refers_to_are_checked_too() -> None:
    """The engine decodes them all when it starts."""
    image = bytearray(whole().image)
    struct.pack_into("<H", image, record_at(image, 10) + 18, 0)  # the products of dt
    image[record_at(image, 10) + 3] = 0  # and its tag
    assert native.verify(sealed(bytearray(image)))
    struct.pack_into("<HB", image, record_at(image, 11, 2) + 4, 0xFFFF, 6)
    assert refusals(sealed(image)) == (7, 7)


@pytest.mark.parametrize(
    ("data", "message"),
    [
        (b"{", "not JSON"),
        (b"\xff\xfe", "not JSON"),
        (b"[" * 100_000, "not JSON"),
        (b"[]", "no JSON object"),
        (b'{"populations":["a"]}', "must name 3 populations"),
        (b'{"populations":["a","b","b"]}', "names populations twice"),
        (b'{"populations":[1,2,3]}', "must name 3 populations"),
        (b'{"probes":{}}', "must name 1 probes"),
        (b'{"scales":[1]}', "scales"),
        (b'{"scales":{"cells":{"v":"much"}}}', "scales"),
        (b'{"report":3}', "report"),
        (b'{"report":{}}', "report"),
    ],
    ids=lambda value: str(value)[:30],
)
def test_metadata_that_is_none_is_refused(data: bytes, message: str) -> None:
    """Boards do not look at it, people's tools do."""
    image = whole().image
    at, start, old = entry_at(image, 2), record_at(image, 2), struct.unpack_from("<I", image, entry_at(image, 2) + 8)[0]
    tail = image[start + old + -old % 8 :]
    made = bytearray(image[:start] + data + bytes(-len(data) % 8) + tail)
    moved = len(made) - len(image)
    struct.pack_into("<4I", made, at + 8, len(data), len(data), 1, len(data))
    for entry in range(at + 24, 160 + 24 * struct.unpack_from("<H", image, 12)[0], 24):
        struct.pack_into("<I", made, entry + 4, struct.unpack_from("<I", image, entry + 4)[0] + moved)
    struct.pack_into("<I", made, 8, len(made))
    with pytest.raises(ImageError, match=message):
        decode(sealed(made))


@pytest.mark.slow
@pytest.mark.parametrize("mode", MUTANTS)
def test_reader_and_verifier_agree_on_mutants(mode: str) -> None:
    """Random bit flips, and changes of records and of the table with checksums made right again.

    In a process of its own: a crash is a failure of the test. What both accept runs on both engines, equal to the bit.
    """
    command = [sys.executable, str(FUZZ), mode, "7", str(MUTANTS[mode])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert done.returncode == 0, done.stderr[-2000:]
    result = json.loads(done.stdout)
    assert not result["disagree"], "\n".join(result["disagree"])
    assert not result["differ"], "\n".join(result["differ"])
    assert result["accepted"] + result["refused"] == MUTANTS[mode]
    if mode != "flip":
        assert result["accepted"] > MUTANTS[mode] // 10
        assert set(result["rules"]) >= {"4", "5", "6", "7", "8"} if mode == "field" else {"5", "6", "7"}


@pytest.mark.parametrize("rounding", ["shared", "synapse"])
def test_projections_may_share_a_rule(rounding: str, machine: Any) -> None:
    """One record for two projections: their random numbers are those of two records."""
    again = replace(SYN, name="again", weights=np.array([[90, 80], [70, 60]]))
    made = build([Population("in", 2, "input"), CELLS], [SYN, again], rounding=rounding, seed=9)  # type: ignore[arg-type]
    image = bytearray(made.image)
    struct.pack_into("<H", image, record_at(image, 4, 1) + 12, 1)
    shared = decode(sealed(image))
    assert shared.digest != made.digest
    steps = np.arange(1, 200)
    ends = []
    for program, target in ((made, "cpu:ref"), (shared, "cpu:ref"), (shared, "cpu")):
        session = machine(program, target)
        session.run(steps=200, inputs={"in": nm.SpikeTrain(steps, steps % 2)})
        ends.append([session.read(item.object, item.variable).tolist() for item in items(program)])
    assert ends[0] == ends[1] == ends[2]
    assert not np.array_equal(machine(made, "cpu").read("syn", "w"), ends[0][0])


def test_a_full_output_buffer_stops_before_the_step_and_loses_nothing() -> None:
    """`nm_run` does a step only if all its records have room; pieces of any size put together are the whole."""
    lib = native.library()
    program = draw(3).program
    engine = native.NativeEngine()
    engine.load(program.image)
    whole_trace: list[bytes] = []
    engine.run(60, b"", whole_trace.append)
    engine.reset()
    bound = lib.nm_record_bound(engine._engine)
    used, written = ctypes.c_uint32(), ctypes.c_uint32()
    parts = []
    rng = np.random.default_rng(1)
    while engine.now() < 60:
        room = int(rng.integers(0, 3 * bound))
        out = (ctypes.c_uint8 * max(room, 1))()
        now = engine.now()
        arguments = (None, 0, ctypes.byref(used), out, room, ctypes.byref(written))
        done = lib.nm_run(engine._engine, 60 - now, *arguments)
        assert done == engine.now() - now
        assert written.value <= room
        assert done >= min(room // bound, 60 - now)
        parts.append(bytes(out)[: written.value])
    assert b"".join(parts) == b"".join(whole_trace)
