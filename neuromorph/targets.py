"""Targets by name, through entry points of the group ``neuromorph.backends``; backends are imported when needed."""

from __future__ import annotations

from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, cast

from neuromorph.errors import TargetError, ValidationError
from neuromorph.validate import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from neuromorph.engine import Backend, Target

__all__ = ["GROUP", "backends", "find", "installed"]

GROUP = "neuromorph.backends"


def backends(points: Iterable[EntryPoint] | None = None) -> dict[str, EntryPoint]:
    """The installed backends by name; nothing is imported yet.

    Raises
    ------
    TargetError
        Two installed packages offer a backend of one name.
    """
    found: dict[str, EntryPoint] = {}
    for point in entry_points(group=GROUP) if points is None else points:
        # One package found on two paths (a checkout and its installation) is no clash.
        if point.name in found and found[point.name].value != point.value:
            raise TargetError(
                f"two installed packages offer the backend {point.name!r}: {found[point.name].value} and "
                f"{point.value}; uninstall one of them"
            )
        found.setdefault(point.name, point)
    return found


def _load(point: EntryPoint) -> Backend:
    try:
        return cast("Backend", point.load())
    except (ImportError, AttributeError) as error:
        what = f"backend {point.name!r} ({point.value})"
        raise TargetError(f"{what} cannot be imported: {error}; reinstall it") from error


def find(name: str, points: Iterable[EntryPoint] | None = None) -> tuple[Backend, Target]:
    """The backend and the target of a name such as ``cpu``, ``mcu:m4`` or ``mcu:/dev/ttyACM0``.

    Only the backend whose name the target's begins with is imported; if it does not know the target, or there is none,
    the others are asked.

    Raises
    ------
    TargetError
        No backend knows it (lists those installed, with the nearest name), or its package is broken.
    ValidationError
        It is no name.
    """
    if not isinstance(name, str):
        raise ValidationError(f"target = {name!r:.60}: the name of a machine is needed, such as 'cpu' or 'mcu:m4'")
    known = backends(points)
    family = name.split(":", 1)[0]
    order = sorted(known, key=lambda key: key != family)
    names: list[str] = []
    for key in order:
        try:
            backend = _load(known[key])
        except TargetError:
            if key == family:
                raise
            continue
        target = backend.find(name)
        if target is not None:
            return backend, target
        names.extend(t.name for t in backend.targets())
    if not known:
        raise TargetError(f"target {name!r}: no backends are installed; install neuromorph itself (pip install .)")
    raise TargetError(f"target {name!r} is unknown; {nearest(name, names)} (`neuromorph targets` lists all)")


def installed(points: Iterable[EntryPoint] | None = None) -> tuple[tuple[Backend, Target], ...]:
    """All targets of all backends that can be imported, in order of their backends' names."""
    found: list[tuple[Backend, Target]] = []
    for _, point in sorted(backends(points).items()):
        try:
            backend = _load(point)
        except TargetError:
            continue
        found.extend((backend, target) for target in backend.targets())
    return tuple(found)
