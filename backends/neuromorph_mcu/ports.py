"""Ports by pyserial's URLs, the emulated boards among them."""

from __future__ import annotations

import errno
from typing import Any
from urllib.parse import parse_qsl

from neuromorph.errors import TargetError

__all__ = ["BAUD", "baud_of", "open_port"]

BAUD = 921_600
_HANDLERS = "neuromorph_mcu.urls"
_LOOK = "`neuromorph boards scan` shows the ports at which boards answer"
_STEPS = {errno.EACCES: "on Linux, your user has to be in the group dialout", errno.EBUSY: "another program has it"}
_POLL = 0.02
"""Seconds after which a silent port gives control back; well under the shortest retransmission time."""


def baud_of(port: str, default: int = BAUD) -> tuple[str, int]:
    """The port and its bits per second, of ``/dev/ttyACM0?baud=115200``; a URL's options are its own.

    Raises
    ------
    TargetError
        Another option than `baud`, or one that is no number.
    """
    device, asked, query = port.partition("?")
    if not asked or "://" in port:
        return port, default
    options = dict(parse_qsl(query, keep_blank_values=True))
    baud = options.pop("baud", "")
    if options or not baud.isdecimal() or not int(baud):
        raise TargetError(f"the port {port}: a port's one option is its bits per second, e.g. {device}?baud=115200")
    return device, int(baud)


def open_port(url: str, baud: int = BAUD) -> Any:
    """Open a port.

    Parameters
    ----------
    url : str
        ``/dev/ttyACM0``, ``/dev/ttyACM0?baud=115200``, ``COM3``, ``socket://host:port``, ``nmemu://unicorn_m4`` or any
        other of pyserial's URLs.
    baud : int
        Bits per second, where the port has such a thing and does not say it itself.

    Raises
    ------
    TargetError
        pyserial is missing, or the port cannot be opened.
    """
    url, baud = baud_of(url, baud)
    try:
        import serial
    except ImportError as error:
        raise TargetError("serial ports need pyserial: pip install 'neuromorph[mcu]'") from error
    if _HANDLERS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.insert(0, _HANDLERS)
    try:
        return serial.serial_for_url(url, baudrate=baud, timeout=_POLL, write_timeout=5)
    except (serial.SerialException, ValueError, OSError) as error:
        # pyserial's own text has the port and the system's message twice over.
        first = error.__context__
        why, code = (first.strerror or error, first.errno or 0) if isinstance(first, OSError) else (error, 0)
        step = "" if "://" in url else f"; {_STEPS.get(code, _LOOK)}"
        raise TargetError(f"cannot open the port {url}: {why}{step}") from error
