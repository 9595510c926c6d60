"""``import neuromorph as nm``: what it offers, and that it imports nothing before it is used."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import neuromorph as nm

MINE = [
    "AllToAll", "Constant", "Explicit", "FixedInDegree", "FixedProbability", "LIF", "LIFReset", "LatencyEncoder",
    "LogNormal", "Network", "Normal", "OneToOne", "Poisson", "RateEncoder", "SpikeArray", "SpikeTrain", "TernaryLIF",
    "Uniform",
]  # fmt: skip


def python(code: str) -> str:
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    return done.stdout.strip()


@pytest.mark.parametrize("name", nm.__all__)
def test_every_public_name_is_there(name: str) -> None:
    assert getattr(nm, name) is not None
    assert name in dir(nm)


def test_the_description_is_public() -> None:
    assert set(MINE) <= set(nm.__all__)


def test_names_for_type_checkers_are_the_names_at_run_time() -> None:
    tree = ast.parse(Path(nm.__file__).read_text())
    checked = next(node for node in tree.body if isinstance(node, ast.If))
    imported = {alias.name for node in checked.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    assert imported == set(nm.__all__)


def test_import_loads_no_module_of_the_package() -> None:
    loaded = python(
        "import sys, neuromorph; print([m for m in sys.modules if m.startswith('neuromorph.') or m == 'numpy'])"
    )
    assert loaded == "[]"


def test_describing_a_network_needs_neither_machines_nor_plots() -> None:
    loaded = python(
        "import sys, neuromorph as nm; nm.Network().population(3, nm.LIF(tau_m=0.02))\n"
        "print([m for m in ('scipy', 'matplotlib', 'click', 'rich', 'serial', 'neuromorph_mcu') if m in sys.modules])"
    )
    assert loaded == "[]"


@pytest.mark.parametrize("name", ["compile", "compare"])
def test_functions_keep_their_names_when_their_modules_are_imported_first(name: str) -> None:
    assert python(f"import neuromorph.{name}, neuromorph as nm; print(callable(nm.{name}))") == "True"
    assert (
        python(f"from neuromorph.{name} import {name} as f; import neuromorph as nm; print(nm.{name} is f)") == "True"
    )


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Netwrok'"):
        _ = nm.Netwrok
