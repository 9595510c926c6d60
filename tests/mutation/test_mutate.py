"""The mutation check itself: what it changes in C, what it leaves alone, and that it catches a change."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.mutation.changes import changes, engine_files
from tests.mutation.equivalent import PROOFS, Proof, proof_of, stale
from tests.mutation.mutate import CORE, Builder, Script, verdict

SOURCE = """
/* a + b in a comment */
#define ONE (1 + 0)
#define TWICE(x) \\
    static int twice_##x(int a) { return a * 2; }

enum { A = 1 << 2 };

static int32_t add(const int32_t *a, int32_t b) {
    if (!a) return NM_E_ARG;
    for (int32_t k = 0; k < b; k++) room[k] = a[k] - b;
    const char *text = "a + b";
    return b &&
        -b < 8;
}
"""


def found(*, constants: bool = False) -> set[tuple[str, str, str]]:
    return {(c.text.strip(), c.old, c.new) for c in changes("x.c", SOURCE, constants=constants)}


def sources() -> dict[str, str]:
    return {path.name: path.read_text() for path in CORE.glob("*.[ch]")}


def test_every_operator_of_a_body_is_changed() -> None:
    loop = "for (int32_t k = 0; k < b; k++) room[k] = a[k] - b;"
    assert found() == {
        ("static int twice_##x(int a) { return a * 2; }", "*", "+"),
        ("if (!a) return NM_E_ARG;", "!", ""),
        (loop, "<", "<="),
        (loop, "<", ">="),
        (loop, "++", "--"),
        (loop, "-", "+"),
        ("return b &&", "&&", "||"),
        ("-b < 8;", "<", "<="),
        ("-b < 8;", "<", ">="),
    }


def test_every_integer_of_a_body_is_changed_on_request() -> None:
    assert found(constants=True) == {
        ("static int twice_##x(int a) { return a * 2; }", "2", "3"),
        ("static int twice_##x(int a) { return a * 2; }", "2", "1"),
        ("for (int32_t k = 0; k < b; k++) room[k] = a[k] - b;", "0", "1"),
        ("-b < 8;", "8", "9"),
        ("-b < 8;", "8", "7"),
    }


def test_a_change_replaces_one_place() -> None:
    for change in changes("x.c", SOURCE):
        changed = change.apply(SOURCE)
        assert changed.split("\n")[change.line - 1] != SOURCE.split("\n")[change.line - 1]
        assert len(changed) == len(SOURCE) + len(change.new) - len(change.old)


def test_the_engine_is_what_a_step_needs() -> None:
    """And no checksum, verifier, link or application."""
    files = engine_files(sources())
    assert {"engine.c", "lif.c", "projection.c", "traces.c", "stdp.c", "random.c"} <= set(files)
    assert {"learn.c", "factors.c", "products.c", "sums.c", "single.c", "lanes.h", "nm_internal.h"} <= set(files)
    assert {"image.c", "layout.c", "record.c", "state.c"} <= set(files)
    assert not {"crc32c.c", "blake2s.c", "link.c", "app.c", "host.c"} & set(files)
    assert not [name for name in files if name.startswith(("verify", "cost"))]


def test_proofs_are_of_lines_that_are_there() -> None:
    held = sources()
    every = [change for name in engine_files(held) for change in changes(name, held[name])]
    assert not stale(every)
    assert 0 < sum(bool(proof_of(change)) for change in every) <= 2 * len(PROOFS)


def test_a_proof_is_of_one_operator() -> None:
    proof = Proof("x.c", "for (int32_t k = 0; k [[<]] b; k++) room[k] = a[k] - b;", ("<=",), "for example")
    assert [(c.old, c.new) for c in changes("x.c", SOURCE) if proof.covers(c)] == [("<", "<=")]


@pytest.mark.timeout(300)  # compiles; a shared machine may take its time
def test_a_wrong_leak_is_caught_and_the_engine_itself_is_not(tmp_path: Path) -> None:
    builder = Builder(tmp_path, equivalence=False)
    untouched = builder.build(tmp_path / "untouched", None)
    assert untouched is not None
    script = Script.of(0, untouched)
    assert verdict(untouched, [script]) == ""
    leak = next(c for c in changes("lif.c", builder.sources["lif.c"]) if c.function == "current" and c.old == "<<")
    changed = builder.build(tmp_path / "mutant", leak)
    assert changed is not None
    assert "program 0" in verdict(changed, [script])
