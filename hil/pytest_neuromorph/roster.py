"""Which boards there are: those that come along, and those of a hardware map (TOML)."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from neuromorph.errors import TargetError, ValidationError
from neuromorph.validate import nearest
from neuromorph_mcu.locks import device_of
from neuromorph_mcu.ports import BAUD, baud_of

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["KINDS", "Entry", "builtin", "check_name", "choose", "kind_of", "offers", "read_map"]

KINDS = ("unicorn", "posix", "qemu", "serial")
_SCHEMES = {"nmemu": "unicorn", "nmposix": "posix", "nmqemu": "qemu"}
_ID = re.compile(r"[A-Za-z0-9_.:/?=&%@+-]+")
_EVERYTHING = frozenset({"reset", "power", "fault_link"})


@dataclass(frozen=True, slots=True)
class Entry:
    """A board, or another machine, that tests can run on.

    Parameters
    ----------
    id : str
        Its name in test ids, locks and reports.
    target : str
        The machine for `neuromorph.open`, e.g. ``"mcu:m4"``, ``"mcu:/dev/ttyACM0"``, ``"cpu"``.
    kind : str
        "unicorn", "posix", "qemu" or "serial"; of other machines the family of the target, e.g. "cpu".
    shared : bool
        There is one of it for all processes of this computer: whoever uses it holds its lock. Emulated boards belong
        to the process that starts them.
    uid : str
        The board's own number in hex, as its HELLO says it; checked when it is opened.
    usb : str
        ``VID:PID:serial`` of its USB port, by which the port is found whatever its name is today; where several ports
        have the same one, `transport` says which it is.
    transport : str
        The port: ``serial:///dev/ttyACM0``, ``/dev/ttyACM0`` or any URL of pyserial.
    baud : int
        Bits per second.
    board : str
        Folder in ``firmware/boards`` that its firmware is built from; what ``neuromorph flash`` writes.
    flasher, flash_args : str, tuple of str
        How firmware gets onto it (see `pytest_neuromorph.flashers`).
    fixtures : frozenset of str
        What is wired to it: "power", "reset", ...
    power : str
        Command that switches its power, with ``{action}`` for on or off.
    notes, disabled : str
        For people; a board with a reason in `disabled` is left out.
    missing : str
        Why it cannot be used here and now; empty if it can.
    """

    id: str
    target: str
    kind: str
    shared: bool = False
    uid: str = ""
    usb: str = ""
    transport: str = ""
    baud: int = BAUD
    board: str = ""
    flasher: str = ""
    flash_args: tuple[str, ...] = ()
    fixtures: frozenset[str] = frozenset()
    power: str = ""
    notes: str = ""
    disabled: str = ""
    missing: str = ""

    @property
    def url(self) -> str:
        """The port as pyserial takes it."""
        return self.transport.removeprefix("serial://")

    @property
    def key(self) -> str:
        """What its lock is called: the device itself, so that two maps with two names for one board still agree."""
        return device_of(self.url) or self.id


def kind_of(url: str) -> str:
    """The kind of board behind a port."""
    return _SCHEMES.get(url.partition("://")[0], "serial")


def builtin() -> tuple[Entry, ...]:
    """The boards that come along, usable here or not (`Entry.missing`)."""
    from neuromorph.targets import find, installed

    backend, alias = find("mcu")
    found = []
    for owner, target in installed():
        if owner is backend and target.kind == "emulator" and target.name != alias.name:
            missing = backend.available(target)
            found.append(
                Entry(target.name, target.name, _emulated_kind(target.name), fixtures=_EVERYTHING, missing=missing)
            )
    return tuple(found)


def _emulated_kind(name: str) -> str:
    return next((kind for kind in ("posix", "qemu") if kind in name), "unicorn")


def named(name: str) -> Entry:
    """Any installed target as an entry; TargetError if there is none of that name."""
    from neuromorph.targets import find

    backend, target = find(name)
    if target.numbers != "integer":
        raise TargetError(f"{name} computes in floats: it has no bits to compare with cpu:ref")
    family, _, port = name.partition(":")
    if family == "mcu" and target.kind == "hardware":
        kind, (url, baud) = kind_of(port), baud_of(port)
        wired = frozenset({"fault_link"})
        return Entry(name, name, kind, shared=kind == "serial", transport=url, baud=baud, fixtures=wired)
    if family == "mcu":
        return Entry(name, name, _emulated_kind(name), fixtures=_EVERYTHING, missing=backend.available(target))
    return Entry(name, name, family, missing=backend.available(target))


# ---------------------------------------------------------------------------------------------- hardware map


def read_map(path: Path) -> tuple[Entry, ...]:
    """The boards of a hardware map.

    Raises
    ------
    ValidationError
        The file cannot be read, or an entry has an unknown, missing or malformed field; names it.
    """
    try:
        data = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        raise ValidationError(f"cannot read the hardware map {path}: {error}") from error
    except tomllib.TOMLDecodeError as error:
        raise ValidationError(f"{path} is no TOML: {error}") from error
    tables = data.get("board", [])
    if not isinstance(tables, list) or set(data) - {"board"}:
        raise ValidationError(f"{path}: a hardware map is a list of [[board]] tables, and nothing else")
    entries = tuple(_entry(table, f"{path}, board {k + 1}") for k, table in enumerate(tables))
    names = [entry.id for entry in entries]
    twice = {name for name in names if names.count(name) > 1}
    if twice:
        raise ValidationError(f"{path}: the id {twice.pop()!r} is used twice; each board has its own")
    return entries


_KEYS = tuple(f.name for f in fields(Entry) if f.name not in ("target", "kind", "shared", "missing"))


def _entry(table: Mapping[str, Any], where: str) -> Entry:
    """An entry from its table; lists become tuples and sets."""
    for key, value in table.items():
        if key not in _KEYS:
            raise ValidationError(f"{where}: unknown field {key!r}; {nearest(key, list(_KEYS))}")
        needed: type = {"baud": int, "flash_args": list, "fixtures": list}.get(key, str)
        if not isinstance(value, needed) or isinstance(value, bool):
            raise ValidationError(f"{where}: {key} = {value!r} must be of type {needed.__name__}")
    if not table.get("id") or not (table.get("transport") or table.get("usb")):
        raise ValidationError(f"{where}: a board needs an id, and a transport or usb to be found by")
    if not _ID.fullmatch(table["id"]):
        raise ValidationError(f"{where}: the id {table['id']!r} may have letters, digits and _ . : / - only")
    given = dict(table)
    given["flash_args"] = tuple(map(str, table.get("flash_args", ())))
    url, missing = _port(table)
    kind = kind_of(url)
    wired = {str(name) for name in table.get("fixtures", ())} | ({"fault_link"} if kind == "serial" else _EVERYTHING)
    if "power" in wired and kind == "serial" and not table.get("power"):
        raise ValidationError(
            f'{where}: the fixture power needs a command in `power`, e.g. "uhubctl -p 2 -a {{action}}"'
        )
    given |= {"transport": url, "fixtures": frozenset(wired)}
    return Entry(**given, target=f"mcu:{url}", kind=kind, shared=True, missing=table.get("disabled", "") or missing)


def _port(table: Mapping[str, Any]) -> tuple[str, str]:
    """The port of a board, by its USB id where the map has one; and why it is not there."""
    url = str(table.get("transport", "")).removeprefix("serial://")
    if table.get("usb"):
        from pytest_neuromorph.scan import usb_ports

        found = [port.device for port in usb_ports() if port.usb == table["usb"]]
        if len(found) == 1:
            return found[0], ""
        if not found:
            return url, f"not plugged in: no USB port {table['usb']}"
        # A name by this id is no help: it is that of the one that was plugged in last.
        if "/by-id/" not in url and Path(url).resolve() in [Path(device).resolve() for device in found]:
            return url, ""
        return url, f"{len(found)} ports have the USB id {table['usb']}: name one as its transport: {', '.join(found)}"
    if url.startswith("/") and not Path(url).exists():
        return url, f"not plugged in: there is no {url}"
    return url, ""


# ---------------------------------------------------------------------------------------------- choosing


def choose(mapped: Iterable[Entry], targets: Iterable[str] = (), ids: Iterable[str] = ()) -> tuple[Entry, ...]:
    """The boards that a run is about.

    Parameters
    ----------
    mapped : iterable of Entry
        The hardware map.
    targets : iterable of str
        Kinds (`KINDS`), "all", or names of installed targets. Without any: the boards of the map; without a map the
        Unicorn and posix boards that come along.
    ids : iterable of str
        Only these.

    Raises
    ------
    TargetError
        A kind, target or id that is not there; lists what is.
    """
    mapped, wanted, only = tuple(mapped), tuple(targets), tuple(ids)
    everything = {entry.id: entry for entry in (*builtin(), *mapped)}
    if wanted:
        chosen = [entry for name in wanted for entry in _of(name, everything)]
    elif only:
        chosen = list(everything.values())
    else:
        chosen = [*mapped] or [entry for entry in everything.values() if entry.kind in ("unicorn", "posix")]
    if only:
        unknown = [name for name in only if name not in everything]
        if unknown:
            raise TargetError(f"no board {unknown[0]!r}; {nearest(unknown[0], list(everything))}")
        chosen = [entry for entry in chosen if entry.id in only]
    return tuple({entry.id: entry for entry in chosen}.values())


def _of(name: str, everything: Mapping[str, Entry]) -> list[Entry]:
    if name == "all":
        return list(everything.values())
    if name in KINDS:
        return [entry for entry in everything.values() if entry.kind == name]
    return [everything[name] if name in everything else named(name)]


def check_name(name: str, mapped: Iterable[Entry]) -> None:
    """Refuse what seems a misspelt kind or target; other names may be boards of another computer's hardware map.

    Raises
    ------
    TargetError
        With the nearest kind or target.
    """
    from neuromorph.targets import backends, find, installed

    if name in KINDS or any(name in (entry.id, entry.board) for entry in mapped):
        return
    if name.partition(":")[0] in backends():
        find(name)
        return
    names = [*KINDS, *(target.name for _, target in installed())]
    if get_close_matches(name, names, 1):
        raise TargetError(f"no kind or target is called {name!r}; {nearest(name, names)}")


def offers(entry: Entry, target: str | None = None, fixtures: Iterable[str] = ()) -> bool:
    """Whether a board is what a test asks for: a kind, id, target or firmware, with these things wired to it."""
    return target in (None, entry.kind, entry.id, entry.target, entry.board) and set(fixtures) <= entry.fixtures
