"""neuromorph doctor."""

from __future__ import annotations

import importlib.metadata
import importlib.util
import platform
import sys
from typing import TYPE_CHECKING, Any

import click

from neuromorph.cli.common import json_option, print_json

if TYPE_CHECKING:
    from neuromorph.engine import Backend, Target

# Extra, what it is for, and the modules and distributions that it brings.
EXTRAS = {
    "cli": ("progress bars", {"rich": "rich"}),
    "plot": ("plots", {"matplotlib": "matplotlib"}),
    "mcu": (
        "microcontrollers, real and emulated",
        {"serial": "pyserial", "unicorn": "unicorn", "elftools": "pyelftools", "filelock": "filelock"},
    ),
    "hil": ("tests on boards", {name: name for name in ("pytest", "jinja2", "tomlkit")}),
    "flash": ("firmware through a debug probe", {"pyocd": "pyocd"}),
    "examples": ("the digits", {"sklearn": "scikit-learn"}),
}
CORE = {"numpy": "numpy", "click": "click", "msgspec": "msgspec"}


@click.command("doctor")
@json_option
def command(as_json: bool) -> int:
    """Check the installation: what is there, what is missing, and how to get it.

    Exits 2 if something necessary is missing.
    """
    data = examine()
    if as_json:
        print_json(data)
    else:
        click.echo(_text(data))
    return 0 if data["ok"] else 2


def examine() -> dict[str, Any]:
    """All findings as plain data."""
    from neuromorph.errors import NeuromorphError
    from neuromorph.targets import installed

    packages = {name: _version(module, name) for module, name in CORE.items()}
    extras = {}
    for extra, (purpose, modules) in EXTRAS.items():
        versions = {name: _version(module, name) for module, name in modules.items()}
        complete = all(versions.values())
        extras[extra] = {
            "for": purpose, "packages": versions, "complete": complete,
            "get": "" if complete else f"pip install 'neuromorph[{extra}]'",
        }  # fmt: skip
    try:
        targets = {target.name: _missing(backend, target) for backend, target in installed()}
    except NeuromorphError as error:
        targets = {"-": str(error)}
    return {
        "ok": all(packages.values()) and targets.get("cpu") == "",
        "neuromorph": _version("neuromorph", "neuromorph") or "not installed",
        "python": platform.python_version(), "executable": sys.executable, "platform": platform.platform(),
        "packages": packages, "extras": extras, "targets": targets,
    }  # fmt: skip


def _missing(backend: Backend, target: Target) -> str:
    """What a target lacks; a backend that fails to tell is broken, and the doctor must say so and go on."""
    try:
        return backend.available(target)
    except Exception as error:
        return f"broken: {type(error).__name__}: {error}; run `make build` in a checkout, or reinstall"


def _version(module: str, distribution: str) -> str:
    """Version of a distribution; empty if it is missing. Nothing is imported."""
    if importlib.util.find_spec(module) is None:
        return ""
    try:
        return importlib.metadata.version(distribution)
    except importlib.metadata.PackageNotFoundError:
        return "?"


def _text(data: dict[str, Any]) -> str:
    lines = [f"neuromorph {data['neuromorph']}, Python {data['python']}, {data['platform']}", "", "packages"]
    lines += [
        f"  {_mark(version)} {name} {version or 'missing: pip install ' + name}"
        for name, version in data["packages"].items()
    ]
    lines += ["", "extras"]
    for name, extra in data["extras"].items():
        have = ", ".join(f"{k} {v or 'missing'}" for k, v in extra["packages"].items())
        lines.append(f"  {_mark(extra['complete'])} {name:<9} {extra['for']}: {have}")
        if extra["get"]:
            lines.append(f"       get it: {extra['get']}")
    lines += ["", "targets"]
    for name, missing in data["targets"].items():
        lines.append(f"  {_mark(not missing)} {name:<9} {missing or 'ready'}")
    lines += ["", "all that is necessary is there" if data["ok"] else "something necessary is missing: see above"]
    return "\n".join(lines)


def _mark(good: object) -> str:
    return "ok  " if good else "--  "
