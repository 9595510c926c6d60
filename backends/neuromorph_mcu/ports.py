"""Ports by pyserial's URLs, the emulated boards among them."""

from __future__ import annotations

from typing import Any

from neuromorph.errors import TargetError

__all__ = ["BAUD", "open_port"]

BAUD = 921_600
_HANDLERS = "neuromorph_mcu.urls"
_POLL = 0.02
"""Seconds after which a silent port gives control back; well under the shortest retransmission time."""


def open_port(url: str, baud: int = BAUD) -> Any:
    """Open a port.

    Parameters
    ----------
    url : str
        ``/dev/ttyACM0``, ``COM3``, ``socket://host:port``, ``nmemu://unicorn_m4`` or any other of pyserial's URLs.
    baud : int
        Bits per second, where the port has such a thing.

    Raises
    ------
    TargetError
        pyserial is missing, or the port cannot be opened.
    """
    try:
        import serial
    except ImportError as error:
        raise TargetError("serial ports need pyserial: pip install 'neuromorph[mcu]'") from error
    if _HANDLERS not in serial.protocol_handler_packages:
        serial.protocol_handler_packages.insert(0, _HANDLERS)
    try:
        return serial.serial_for_url(url, baudrate=baud, timeout=_POLL, write_timeout=5)
    except (serial.SerialException, ValueError, OSError) as error:
        raise TargetError(f"cannot open the port {url}: {error}") from error
