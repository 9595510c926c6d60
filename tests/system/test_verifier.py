"""The verifier (C) and the reader (Python) on images with several wrong fields, shared pools, and a machine's limits.

With ``test_images.py`` these take every branch of ``firmware/core/verify*.c``: ``python -m tests.cover verifier``.
"""

from __future__ import annotations

import ctypes
import struct
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from neuromorph.errors import ImageError
from neuromorph.image import decode
from neuromorph.program import Modulator, Population, Probe, Program, Projection, ScheduleEntry, build
from neuromorph.rule import Factor, Product, Rule, Trace
from neuromorph.short_term import ShortTerm, factors
from neuromorph_cpu import native
from tests.system import test_images as images
from tests.system.test_images import LOOP, RULE, SLOW_RULE, SYN, entry_at, record_at, sealed, slow, whole

MACHINE, POPS, PROJS, ROWS, TARGETS, WEIGHTS, DELAYS, RULES, PRODUCTS, FACTORS = 1, 3, 4, 6, 7, 8, 9, 10, 11, 12
TRACES, DECAYS, SCHEDULE, PROBES, SHORT_TERM, USES = 13, 14, 16, 17, 21, 22

Change = tuple[int, int, int, str, int]
"""Section (0 the header, -k the table's entry of section k), record, byte, format, value."""


def changed(program: Program, *changes: Change) -> bytes:
    """The program's image with fields changed, and digest, hash and checksum right."""
    image = bytearray(program.image)
    places = []
    for section, k, byte, form, value in changes:
        start = 0 if section == 0 else entry_at(image, -section) if section < 0 else record_at(image, section, k)
        places.append((form, start + byte, value))
    for form, at, value in places:
        struct.pack_into(form, image, at, value)
    return bytes(sealed(image))


def verdict(image: bytes, limits: native._Limits | None = None) -> tuple[int, int, int]:
    """Code, rule and offset of the verifier."""
    report = native._Report()
    given = None if limits is None else ctypes.byref(limits)
    code = native.library().nm_verify(image, len(image), given, ctypes.byref(report))
    return code, report.rule, report.offset


def both_rules(image: bytes) -> tuple[int, int]:
    """The rules of the verifier and of the reader; 0: accepted."""
    try:
        decode(image)
        here = 0
    except ImageError as error:
        here = error.rule
    return verdict(image)[1], here


FEW = [Population("a", 2)]
TWO = replace(LOOP, indptr=np.array([0, 2, 2]), indices=np.array([0, 1]))
LATE = replace(LOOP, delays=np.array([1, 2]))
MIXED = replace(SYN, sign_mode="mixed")
OTHERS = Population("others", 3)
RATE = Modulator("rate", "cells", (("cells", 20),), "hold", 100, 3, 4, np.array([7, -8]))


def wider() -> Program:
    """A modulator of two neurons beside a population of three."""
    return build([Population("in", 2, "input"), images.CELLS, OTHERS], [], modulators=[RATE])


def elsewhere() -> Program:
    """A rule that reads a modulator of its target, beside a population of the same size."""
    pops = [Population("in", 2, "input"), images.CELLS, Population("others", 2)]
    return build(pops, [replace(SYN, rule=SLOW_RULE)], modulators=[images.RATE, images.DOPAMINE], rounding="shared")


def with_dd() -> Program:
    return whole(syn=replace(SYN, rule=replace(RULE, dd=RULE.dt, dt=())))


def with_release() -> Program:
    """A tag_2 that is added to U, and a U for each synapse of a sparse projection."""
    learned = ShortTerm(9, factors(5.0), factors(0.0), learned_use=True)
    each = ShortTerm(np.array([7, 8]), factors(5.0), factors(0.0))
    tagged = replace(SYN, rule=replace(RULE, dd=RULE.dt, dt=()), short_term=learned)
    return whole(syn=tagged, loop=replace(LOOP, short_term=each))


def with_floor() -> Program:
    """A threshold of each neuron that may fall."""
    return whole(cells=replace(images.CELLS, vth=np.array([120, 3]), theta_min=-400))


CASES: dict[str, tuple[Callable[[], Program], tuple[Change, ...], int]] = {
    "minor version of the semantics": (whole, ((0, 0, 30, "<H", 1),), 4),
    "learned use, but another tag": (with_release, ((RULES, 0, 3, "<B", 1),), 7),
    "learned use of a rule without tag_2": (images.short, ((SHORT_TERM, 0, 0, "<B", 3),), 7),
    "the lowest of all thresholds could fall to 0": (with_floor, ((POPS, 1, 68, "<i", -64 * 3 * 16),), 8),
    "a section of type 0": (whole, ((-DELAYS, 0, 0, "<H", 0),), 5),
    "a stride under the least": (whole, ((-SCHEDULE, 0, 12, "<I", 2), (-SCHEDULE, 0, 16, "<I", 8),
                                         (-SCHEDULE, 0, 20, "<I", 3)), 6),
    "a stride over 65535": (whole, ((-PROBES, 0, 8, "<I", 0), (-PROBES, 0, 12, "<I", 0),
                                    (-PROBES, 0, 16, "<I", 1 << 16), (-PROBES, 0, 20, "<I", 0)), 6),
    "a pool with a longer stride": (whole, ((-TARGETS, 0, 12, "<I", 1), (-TARGETS, 0, 16, "<I", 8),
                                            (-TARGETS, 0, 20, "<I", 1)), 6),
    "a table longer than the image": (lambda: build(FEW, []), ((0, 0, 12, "<H", 64),), 5),
    "no populations": (whole, ((-POPS, 0, 12, "<I", 0),), 5),
    "no machine": (whole, ((-MACHINE, 0, 12, "<I", 0),), 5),
    "a reserved byte of the machine": (whole, ((MACHINE, 0, 13, "<B", 1),), 8),
    "a reserved byte behind the profile": (whole, ((MACHINE, 0, 15, "<B", 1),), 8),
    "a late reserved byte of the machine": (whole, ((MACHINE, 0, 31, "<B", 1),), 8),
    "an initial theta of a threshold that does not adapt": (whole, ((POPS, 1, 2, "<B", 0x3E),), 8),
    "a reserved byte of a population": (whole, ((POPS, 1, 3, "<B", 1),), 8),
    "a late reserved byte of a population": (whole, ((POPS, 1, 63, "<B", 1),), 8),
    "a source of another size": (wider, ((20, 0, 0, "<H", 2),), 7),
    "a reserved byte of a modulator": (wider, ((19, 0, 15, "<B", 1),), 8),
    "targets that descend": (lambda: whole(loop=TWO), ((TARGETS, 1, 0, "<I", 0),), 7),
    "rows that end early": (whole, ((ROWS, 1, 4, "<I", 0), (ROWS, 1, 8, "<I", 0)), 6),
    "weights that begin at half an element": (lambda: whole(syn=MIXED), ((PROJS, 0, 16, "<I", 1),), 7),
    "weights that end outside their pool": (whole, ((PROJS, 1, 16, "<I", 5),), 7),
    "a mixed weight of 256": (lambda: whole(syn=MIXED), ((WEIGHTS, 0, 0, "<h", 256),), 8),
    "a mixed weight of -257": (lambda: whole(syn=MIXED), ((WEIGHTS, 0, 0, "<h", -257),), 8),
    "plasticity half off": (whole, ((PROJS, 0, 11, "<B", 2),), 8),
    "a modulator of other neurons than the target": (elsewhere, ((PROJS, 0, 2, "<H", 2),), 7),
    "a reserved byte of a projection": (whole, ((PROJS, 0, 36, "<B", 1),), 8),
    "a constant with a function": (slow, ((FACTORS, 1, 0, "<B", 10), (FACTORS, 1, 1, "<B", 1)), 8),
    "a constant and a constant": (slow, ((FACTORS, 1, 0, "<B", 10), (FACTORS, 1, 1, "<B", 11 << 3)), 8),
    "a constant minus a variable, without function":
        (slow, ((FACTORS, 1, 0, "<B", 10), (FACTORS, 1, 1, "<B", 5 << 3 | 4)), 8),
    "a reserved byte of a product": (whole, ((PRODUCTS, 0, 7, "<B", 1),), 8),
    "a fraction far over 1": (whole, ((DECAYS, 0, 1020, "<I", (1 << 21) + 1),), 8),
    "a trace that nothing needs": (whole, ((RULES, 0, 22, "<H", 1),), 7),
    "a reserved byte of a trace": (whole, ((TRACES, 0, 4, "<B", 1),), 8),
    "a graded x1 with half an impulse":
        (whole, ((RULES, 0, 1, "<B", 1), (TRACES, 0, 0, "<B", 0), (TRACES, 0, 1, "<B", 1)), 8),
    "a graded x1 that is missing": (whole, ((RULES, 0, 1, "<B", 1), (RULES, 0, 2, "<B", 4)), 8),
    "an unknown flag of a rule": (whole, ((RULES, 0, 3, "<B", 4),), 8),
    "tag_2 denied": (with_dd, ((RULES, 0, 3, "<B", 0),), 7),
    "a reserved byte of a rule": (whole, ((RULES, 0, 30, "<B", 1),), 8),
    "operation 0": (whole, ((SCHEDULE, 0, 4, "<B", 0),), 8),
    "a reserved byte of a probe": (whole, ((PROBES, 0, 12, "<B", 1),), 8),
    "a reserved byte behind the counter": (whole, ((0, 0, 40, "<B", 1),), 4),
    "a late reserved byte of the header": (whole, ((0, 0, 63, "<B", 1),), 4),
    "a deadline over 1000 s": (whole, ((0, 0, 32, "<I", 10**9 + 1),), 8),
}  # fmt: skip

PROBED: dict[str, tuple[str, int, int]] = {
    "a trace of a static projection": ("loop", 20, 7),
    "a variable under the first": ("syn", 15, 7),
    "a variable over the last": ("syn", 31, 7),
    "release, which is not there": ("syn", 28, 7),
    "a ring": ("loop", 16, 0),
    "whether it learns": ("syn", 27, 0),
    "pending pre spikes": ("syn", 25, 0),
    "tag_1": ("syn", 18, 0),
    "tag_2, which is not there": ("syn", 19, 7),
    "y1": ("syn", 22, 0),
    "x2, which is not there": ("syn", 21, 7),
}


@pytest.mark.parametrize("name", CASES)
def test_wrong_fields_are_refused_by_their_rule(name: str) -> None:
    make, changes, rule = CASES[name]
    assert both_rules(make().image) == (0, 0)
    assert both_rules(changed(make(), *changes)) == (rule, rule)


@pytest.mark.parametrize("name", PROBED)
def test_a_probe_sees_what_is_there(name: str) -> None:
    projection, code, rule = PROBED[name]
    program = whole(probes=(Probe("p", "syn", "w"),))
    image = changed(program, (PROBES, 0, 2, "<H", int(projection == "loop")), (PROBES, 0, 1, "<B", code))
    assert verdict(image)[1] == rule


def test_a_schedule_switches_only_thresholds_that_adapt() -> None:
    program = whole(schedule=(ScheduleEntry(4, "adaptation", "cells", False),))
    assert verdict(changed(program, (SCHEDULE, 0, 6, "<H", 2)))[1] == 7


def test_sections_that_may_be_ignored_are() -> None:
    image = changed(whole(), (-PROBES, 0, 0, "<H", 40), (-PROBES, 0, 2, "<H", 1))
    assert both_rules(image) == (0, 0)


ROOM: tuple[Change, ...] = (
    (ROWS, 0, 4, "<I", 2), (ROWS, 1, 0, "<I", 2), (ROWS, 1, 4, "<I", 0), (ROWS, 1, 8, "<I", 0),
    (TARGETS, 1, 0, "<I", 0), (WEIGHTS, 0, 5, "<B", 0),
)  # fmt: skip
"""Room for a second synapse in the first row of `loop`."""


def test_room_in_a_row_holds_zeros() -> None:
    program = whole(loop=replace(LOOP, delays=np.array([1, 0])))
    assert verdict(changed(program, *ROOM))[:2] == (0, 0)
    assert verdict(changed(program, *ROOM, (TARGETS, 1, 0, "<I", 1)))[1] == 7
    assert verdict(changed(program, *ROOM, (WEIGHTS, 0, 5, "<B", 2)))[1] == 8
    assert verdict(changed(program, *ROOM, (DELAYS, 5, 0, "<B", 1)))[1] == 8
    assert verdict(changed(whole(loop=replace(LOOP, delays=0)), *ROOM))[:2] == (0, 0)


def test_room_in_a_row_has_no_use() -> None:
    release = ShortTerm(np.array([7, 0]), factors(5.0), factors(0.0))
    program = whole(loop=replace(LOOP, short_term=release))
    assert both_rules(changed(program, *ROOM)) == (0, 0)
    assert both_rules(changed(program, *ROOM, (USES, 1, 0, "<H", 1))) == (8, 8)


def test_probes_see_release_where_it_changes() -> None:
    program = replace(with_release(), probes=(Probe("p", "loop", "stp_u"),))
    assert both_rules(program.image) == (0, 0)
    assert verdict(changed(program, (PROBES, 0, 1, "<B", 30)))[1] == 0
    assert verdict(changed(program, (PROBES, 0, 1, "<B", 31)))[1] == 7


def test_a_constant_minus_a_variable_needs_a_function() -> None:
    assert verdict(changed(slow(), (FACTORS, 1, 0, "<B", 10), (FACTORS, 1, 1, "<B", 5 << 3 | 4 | 2)))[:2] == (0, 0)


# ------------------------------------------------------------------------------------------------ shared pools


def copied(program: Program, section: int, size: int, count: int) -> bytes:
    """Every record of a section made the first one: all refer to the same pools."""
    image = bytearray(program.image)
    first = record_at(image, section)
    for k in range(1, count):
        image[first + k * size : first + (k + 1) * size] = image[first : first + size]
    return bytes(sealed(image))


def many(large: Projection, *pops: Population, count: int = 150) -> bytes:
    """A large projection, and as many that refer to its pools."""
    small = [Projection(f"s{k}", "one", "one", np.array([[2]])) for k in range(count)]
    program = build([*pops, Population("one", 1)], [large, *small])
    return copied(program, PROJS, 64, count + 1)


def sparse(n_pre: int, n_post: int, **more: Any) -> Projection:
    """One synapse of each pair in the first row."""
    indptr = np.full(n_pre + 1, n_post)
    indptr[0] = 0
    return Projection("big", "a", "b", np.full(n_post, 2), indptr=indptr, indices=np.arange(n_post), **more)


def rows() -> bytes:
    return many(sparse(6000, 1), Population("a", 6000), Population("b", 1), count=250)


def targets() -> bytes:
    return many(sparse(1, 4000), Population("a", 1), Population("b", 4000))


def weights() -> bytes:
    traces = {"x1": Trace(16, 0, 10.0)}
    rule = Rule(dw=(Product("y0", 1, 0, (Factor("x1"),)),), traces=traces)
    big = Projection("big", "a", "b", np.full((1, 4000), 2), sign_mode="mixed", rule=rule)
    return many(big, Population("a", 1), Population("b", 4000))


def delays() -> bytes:
    big = Projection("big", "a", "b", np.full((1, 4000), 2), delays=np.arange(4000)[None] % 5)
    return many(big, Population("a", 1), Population("b", 4000))


def uses() -> bytes:
    release = ShortTerm(np.full((1, 4000), 9), factors(5.0), factors(0.0))
    big = Projection("big", "a", "b", np.full((1, 4000), 2), short_term=release)
    return many(big, Population("a", 1), Population("b", 4000))


def parameters() -> bytes:
    pops = [Population(f"p{k}", 3000, bias=np.zeros(3000, np.int64) if k == 0 else 0) for k in range(12)]
    image = bytearray(build(pops, []).image)
    for k in range(12):
        at = record_at(image, POPS, k)
        image[at + 1] = 0x7F
        image[at + 8 : at + 36] = bytes(28)
    return bytes(sealed(image))


def products() -> bytes:
    many_products = tuple(Product("y0", 1, 0, (Factor("x1"),) * 6) for _ in range(300))
    traces = {"x1": Trace(16, 0, 10.0)}
    first = Rule(dw=many_products, traces=traces)
    small = replace(first, dw=many_products[:1])
    projections = [
        Projection(f"p{k}", "one", "one", np.array([[2]]), rule=replace(small if k else first, seed=k))
        for k in range(150)
    ]
    return copied(build([Population("one", 1)], projections), RULES, 64, 150)


@pytest.mark.parametrize("make", [parameters, rows, targets, weights, delays, products, uses])
def test_pools_are_not_shared_so_often_that_checking_takes_for_ever(make: Callable[[], bytes]) -> None:
    """Work is bounded by eight times the bytes of an image."""
    assert both_rules(make()) == (6, 6)


# ------------------------------------------------------------------------------------------------ a machine's limits


def test_limits_of_a_machine_are_respected() -> None:
    image = whole().image
    features = struct.unpack_from("<I", image, 20)[0]
    need = native.verify(image)
    limits = native._Limits
    assert verdict(image, limits(len(image), need, features)) == (0, 0, 0)
    assert verdict(image, limits(len(image) - 1, 0, features))[1:] == (2, 8)
    assert verdict(image, limits(0, need - 1, features))[1:] == (9, 160)
    assert verdict(image, limits(0, 0, features & ~1))[1:] == (4, 20)
    assert verdict(image, None) == (0, 0, 0)
    assert native.library().nm_verify(image, len(image), None, None) == 0
    assert native.library().nm_verify(image, len(image) - 1, None, None) == native.E_IMAGE


def test_a_network_beyond_all_memory_is_refused() -> None:
    pops = [Population(f"p{k}", 1 << 24) for k in range(40)]
    assert verdict(build(pops, []).image)[1:] == (9, 160)


# ------------------------------------------------------------------------------------------------ every length

# name: (section, record, byte, bytes of the field, the most that it may be, rules that may refuse another value)
LENGTHS: dict[str, tuple[int, int, int, int, int, set[int]]] = {
    "length of the header": (0, 0, 4, 2, 160, {1}),
    "length of the image": (0, 0, 8, 4, len(whole().image), {2}),
    "number of sections": (0, 0, 12, 2, 64, {3, 5}),
    "length of an entry": (0, 0, 14, 2, 24, {5}),
    "offset of a section": (-WEIGHTS, 0, 4, 4, len(whole().image), {5, 6}),
    "bytes of a section": (-WEIGHTS, 0, 8, 4, len(whole().image), {5, 6}),
    "records of a section": (-WEIGHTS, 0, 12, 4, 8, {6, 7}),
    "stride of a section": (-WEIGHTS, 0, 16, 4, 0xFFFF, {6}),
    "capacity of a section": (-WEIGHTS, 0, 20, 4, 8, {6}),
    "populations": (MACHINE, 0, 16, 2, 3, {6}),
    "projections": (MACHINE, 0, 18, 2, 2, {6}),
    "rules": (MACHINE, 0, 20, 2, 1, {6}),
    "neurons": (POPS, 1, 4, 4, 1 << 24, {6, 7, 8}),
    "weights of a dense projection": (PROJS, 0, 20, 4, 4, {6}),
    "weights of a sparse projection": (PROJS, 1, 20, 4, 2, {6, 7}),
    "first weight": (PROJS, 0, 16, 4, 3, {7}),
    "first delay": (PROJS, 0, 24, 4, 8, {7, 8}),
    "first row": (PROJS, 1, 28, 4, 2, {7}),
    "first target": (PROJS, 1, 32, 4, 2, {7}),
    "capacity of a row": (ROWS, 0, 4, 4, 2, {6, 7, 8}),
    "length of a row": (ROWS, 0, 8, 4, 1, {6, 7, 8}),
    "products of dw": (RULES, 0, 14, 2, 3, {7, 8}),
    "products of dd": (RULES, 0, 16, 2, 0, {7, 8}),
    "products of dt": (RULES, 0, 18, 2, 1, {7, 8}),
    "factors of a product": (PRODUCTS, 0, 6, 1, 6, {7, 8}),
    "steps of an epoch": (RULES, 0, 0, 1, 64, {8}),
    "deadline": (0, 0, 32, 4, 10**9, {8}),
}

FEWER: dict[str, range] = {
    "steps of an epoch": range(1, 65), "products of dw": range(4), "factors of a product": range(2),
    "first weight": range(3), "deadline": range(10**9 + 1),
}  # fmt: skip
"""Other values that are right, too."""


@pytest.mark.parametrize("name", LENGTHS)
def test_every_length_is_checked_at_its_ends(name: str) -> None:
    """0, 1, the most, one more, and the ends of the integers: taken as it was, or refused by a rule that fits."""
    section, k, byte, width, most, rules = LENGTHS[name]
    program, form = whole(), {1: "<B", 2: "<H", 4: "<I"}[width]
    place = section and (entry_at(program.image, -section) if section < 0 else record_at(program.image, section, k))
    held = struct.unpack_from(form, program.image, place + byte)[0]
    refused = 0
    for value in {0, 1, most, most + 1, 0xFFFF, 1 << 31, 0xFFFFFFFF}:
        if value >= 1 << 8 * width or value == held:
            continue
        rule, here = both_rules(changed(program, (section, k, byte, form, value)))
        assert rule == here, (value, rule, here)
        assert rule in rules or (rule == 0 and value in FEWER.get(name, ())), (value, rule)
        refused += rule > 0
    assert refused >= 2
