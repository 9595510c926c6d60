"""Find boards: USB ports by their ids, what answers there, and the hardware map made from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from neuromorph.errors import LinkError, NeuromorphError, TargetError
from neuromorph_mcu.locks import device_of, hold
from neuromorph_mcu.ports import BAUD, baud_of
from pytest_neuromorph.roster import read_map

if TYPE_CHECKING:
    from neuromorph_mcu.messages import Hello

__all__ = ["BAUDS", "Found", "Port", "merged", "scan", "usb_ports"]

_PATIENCE = 3.0
"""Seconds that a port has to answer: opening one resets many boards, and their boot loaders wait a moment."""
BAUDS = (BAUD, 115_200)
"""Bits per second that the firmware for one board or another uses."""


@dataclass(frozen=True, slots=True)
class Port:
    """A serial port: device or URL, USB id ``VID:PID:serial`` (empty: not USB), and what the system calls it."""

    device: str
    usb: str = ""
    description: str = ""


@dataclass(frozen=True, slots=True)
class Found:
    """A port that was asked: who answered, and at how many bits per second; or why nobody did."""

    port: Port
    hello: Hello | None = None
    baud: int = BAUD
    problem: str = ""
    silent: bool = False
    """Nobody answers there: the board may have no firmware yet."""


def usb_ports() -> tuple[Port, ...]:
    """The USB serial ports of this computer; on Linux by the names that stay when they are plugged in again."""
    try:
        from serial.tools.list_ports import comports
    except ImportError as error:
        raise TargetError("serial ports need pyserial: pip install 'neuromorph[mcu]'") from error
    ports = sorted((port for port in comports() if port.vid is not None), key=lambda port: str(port.device))
    ids = [usb_id(port.vid, port.pid, port.serial_number) for port in ports]
    return tuple(
        Port(_stable_name(port.device, ids.count(usb) == 1), usb, port.description or "")
        for port, usb in zip(ports, ids, strict=True)
    )


def _stable_name(device: str, alone: bool, folder: Path = Path("/dev/serial")) -> str:
    """The name that stays; of several with one id, that of the socket: by its id the system finds but one of them."""
    links = (folder / ("by-id" if alone else "by-path")).glob("*")
    return next((str(link) for link in sorted(links) if str(link.resolve()) == device), device)


def usb_id(vid: int, pid: int | None, serial: str | None) -> str:
    """``VID:PID:serial`` as the hardware map has it."""
    return f"{vid:04X}:{pid or 0:04X}:{serial or ''}"


def ask(name: str, bauds: Sequence[int] = ()) -> tuple[Hello, int]:
    """What the board at a port says about itself, and at how many bits per second.

    Parameters
    ----------
    name : str
        The port.
    bauds : sequence of int
        Bits per second to try, one after the other; of a device that does not name its own all that are usual.

    Raises
    ------
    NeuromorphError
        Nobody answers, or somebody else has it.
    """
    from neuromorph_mcu.client import Client
    from neuromorph_mcu.link import Timing
    from neuromorph_mcu.ports import open_port

    url, baud = baud_of(name)
    tried = bauds or (BAUDS if name == url and "://" not in name else (baud,))
    device, problems = device_of(url), []
    with hold(device, url, "neuromorph boards scan") if device else nullcontext():
        port = open_port(url, tried[0])
        try:
            for baud in tried:
                port.baudrate = baud
                try:
                    return Client(port, url, Timing(lost=_PATIENCE)).hello, baud
                except LinkError as error:
                    problems.append(f"{error} (at {baud} baud)" if len(tried) > 1 else str(error))
        finally:
            port.close()
    raise LinkError("; ".join(problems))


def scan(ports: Iterable[Port], asking: Callable[[str], tuple[Hello, int]] = ask) -> tuple[Found, ...]:
    """Ask who is at each port."""
    found = []
    for port in ports:
        try:
            hello, baud = asking(port.device)
            found.append(Found(replace(port, device=baud_of(port.device)[0]), hello, baud))
        except NeuromorphError as error:
            found.append(Found(port, problem=str(error), silent=isinstance(error, LinkError)))
    return tuple(found)


def merged(path: Path | None, found: Iterable[Found]) -> tuple[str, tuple[str, ...]]:
    """A hardware map with the boards that were found.

    What people wrote in it stays, their comments too: a board that is known by its own number, its USB id or its port
    gets the port of today and its number; an unknown one is added at the end; one that was not found is left alone.
    A USB port where nobody answers, as at a board without firmware, is added as a comment to fill in.

    Parameters
    ----------
    path : Path, optional
        The map; it need not exist. Without one, the text is the map of these boards alone.
    found : iterable of Found
        What was asked.

    Returns
    -------
    text : str
        The new content.
    changes : tuple of str
        What is new or different, for people.
    """
    try:
        import tomlkit
    except ImportError as error:
        raise TargetError("a hardware map is written with tomlkit: pip install 'neuromorph[hil]'") from error
    old = ""
    if path is not None and path.exists():
        read_map(path)  # says what is wrong with it, and where
        old = path.read_text(encoding="utf-8")
    document = tomlkit.parse(old)
    tables: Any = document.get("board", tomlkit.aot())
    found, changes = tuple(found), []
    usbs = [one.port.usb for one in found]
    for one in found:
        if one.hello is None:
            continue
        fresh = _fields(one)
        table = next((t for t in tables if _same(t, fresh, alone=usbs.count(one.port.usb) == 1)), None)
        if table is None:
            fresh = {"id": _new_id(one, [str(t["id"]) for t in tables]), **fresh}
            table = tomlkit.table()
            tables.append(table)
            changes.append(f"new: {fresh['id']} at {one.port.device}")
        else:
            if "baud" in table:
                fresh["baud"] = one.baud
            changes += [f"{table['id']}: {k} = {v}" for k, v in fresh.items() if table.get(k) != v and k != "board"]
            fresh = {k: v for k, v in fresh.items() if k != "board" or k not in table}
        for key, value in fresh.items():
            if table.get(key) != value:
                table[key] = value
    if tables:
        document["board"] = tables
    text = tomlkit.dumps(document)
    for one in found:
        if one.silent and one.port.usb and one.port.usb not in text:
            text += _to_fill_in(one.port)
            changes.append(f"no answer: {one.port.device}: a comment to fill in")
    return text, tuple(changes)


def _to_fill_in(port: Port) -> str:
    """The entry of a board that has no firmware yet, as a comment."""
    lines = (
        f"{port.description or port.usb}: nobody answers there. Without firmware? Then choose it, and how it gets "
        "there, and `neuromorph flash new`:",
        "[[board]]", 'id = "new"', f'usb = "{port.usb}"', f'transport = "serial://{port.device}"',
        'board = "pico"     # what `neuromorph flash --help` lists', 'flasher = "uf2"    # or "pyocd", "command"',
    )  # fmt: skip
    return "\n" + "".join(f"# {line}\n" for line in lines)


def _fields(one: Found) -> dict[str, Any]:
    """What is known of a board that answered; bits per second where they are not the usual ones."""
    assert one.hello is not None
    port, uid = one.port, one.hello.uid.hex() if any(one.hello.uid) else ""
    url = f"serial://{port.device}" if "://" not in port.device else port.device
    baud = one.baud if one.baud != BAUD else 0
    fields = {"uid": uid, "usb": port.usb, "board": one.hello.board, "transport": url, "baud": baud}
    return {key: value for key, value in fields.items() if value}


def _same(table: Any, fresh: dict[str, Any], alone: bool) -> bool:
    """Whether an entry of the map is this board.

    By its number where both have one; else by its USB id, if it is `alone` with it; else by its port.
    """
    for key in ("uid", "usb") if alone else ("uid",):
        if table.get(key) and fresh.get(key):
            return bool(table[key] == fresh[key])
    return bool(table.get("transport", "").removeprefix("serial://") == fresh["transport"].removeprefix("serial://"))


def _new_id(one: Found, taken: list[str]) -> str:
    """The firmware's name of the board with the end of its serial number, or a count where that is taken."""
    assert one.hello is not None
    serial = one.port.usb.rpartition(":")[2] or one.hello.uid.hex().rstrip("0")
    stem = "-".join(filter(None, (one.hello.board or "board", "".join(c for c in serial if c.isalnum())[-4:].lower())))
    return next(name for name in (stem, *(f"{stem}-{k}" for k in range(2, len(taken) + 3))) if name not in taken)
