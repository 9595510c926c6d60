"""Real lines in real time: the board behind a TCP socket, opened by pyserial's URL."""

from __future__ import annotations

import ctypes
import errno
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING
from unittest.mock import Mock

import pytest

from neuromorph.errors import LinkError, TargetError
from neuromorph.targets import find
from neuromorph_mcu.engine import McuEngine
from neuromorph_mcu.link import Timing
from neuromorph_mcu.locks import Locked, device_of, locked_by
from neuromorph_mcu.ports import baud_of, open_port

if TYPE_CHECKING:
    from tests.mcu.conftest import Kit

for _module in ("serial", "filelock"):
    pytest.importorskip(_module, reason="ports need pyserial and filelock: pip install 'neuromorph[mcu]'")


class Server:
    """A board on a TCP port that takes one host after the other."""

    def __init__(self, library: ctypes.CDLL) -> None:
        self._library, self._stop, self.hang_up = library, threading.Event(), threading.Event()
        self._socket = socket.create_server(("127.0.0.1", 0))
        self._socket.settimeout(0.05)
        self.url = f"socket://127.0.0.1:{self._socket.getsockname()[1]}"
        library.board_start(1)
        self._thread = threading.Thread(target=self._serve)
        self._thread.start()

    def _serve(self) -> None:
        while not self._stop.is_set():
            try:
                line, _ = self._socket.accept()
            except TimeoutError:
                continue
            with line:
                line.settimeout(0.002)
                self._talk(line)

    def _talk(self, line: socket.socket) -> None:
        out = ctypes.create_string_buffer(1 << 14)
        self.hang_up.clear()
        while not self._stop.is_set() and not self.hang_up.is_set():
            try:
                data = line.recv(4096)
                if not data:
                    return
            except TimeoutError:
                data = b""
            millis = int(time.monotonic() * 1000) & 0xFFFFFFFF
            self._library.board_receive(data, len(data), ctypes.c_uint32(millis))
            line.sendall(
                out.raw[:n] if (n := self._library.board_poll(out, len(out), ctypes.c_uint32(millis))) else b""
            )

    def close(self) -> None:
        self._stop.set()
        self._thread.join()
        self._socket.close()


@pytest.fixture
def server(kit: Kit) -> Iterator[Server]:
    server = Server(kit.load())
    yield server
    server.close()


def test_a_session_over_a_socket(server: Server, kit: Kit) -> None:
    engine = McuEngine("mcu:socket", server.url)
    assert engine.port._socket.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY)  # else 40 ms to a request
    engine.load(kit.image(2000))
    records, out = kit.spikes(100), bytearray()
    engine.run(100, records, out.extend)
    assert bytes(out) == records
    engine.write_item(0, 10, bytes(range(20)))
    engine.seek(5)
    engine.close()
    again = McuEngine("mcu:socket", server.url)
    assert again.now() == 5
    assert again.read_item(0, 10, 10) == bytes(range(20))
    again.reset()
    assert again.now() == 0
    again.close()


def test_a_line_that_breaks_is_an_error_in_bounded_time(server: Server, kit: Kit) -> None:
    engine = McuEngine("mcu:socket", server.url, Timing(lost=0.5))
    engine.load(kit.image(2000))
    out = bytearray()

    def listen(data: bytes) -> None:
        out.extend(data)
        server.hang_up.set()

    records = kit.spikes(3000)
    with pytest.raises(LinkError, match="while waiting for step"):
        engine.run(3000, records, listen)
    engine.close()
    assert out
    assert records.startswith(bytes(out))


def test_a_port_may_name_its_baud_rate() -> None:
    assert baud_of("/dev/ttyACM0") == ("/dev/ttyACM0", 921_600)
    assert baud_of("COM3?baud=115200", 57_600) == ("COM3", 115_200)
    assert baud_of("nmposix://?rate=9600") == ("nmposix://?rate=9600", 921_600)  # a URL's options are its own
    for wrong in ("?baud=fast", "?baud=0", "?baud", "?parity=even", "?baud=9600&parity=even"):
        with pytest.raises(TargetError, match=r"e.g. /dev/ttyACM0\?baud=115200"):
            baud_of(f"/dev/ttyACM0{wrong}")


@pytest.mark.skipif(sys.platform == "win32", reason="needs pseudo-terminals")
def test_a_port_is_opened_at_the_baud_rate_that_it_names() -> None:
    import termios

    host, board = os.openpty()
    try:
        port = open_port(f"{os.ttyname(board)}?baud=115200")
        assert termios.tcgetattr(board)[5] == termios.B115200
        port.close()
    finally:
        os.close(host)
        os.close(board)


def test_a_target_may_name_its_baud_rate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("neuromorph_mcu.locks.lock_folder", lambda: tmp_path)  # of tests that run beside this one
    backend, target = find("mcu:/dev/no-such-port?baud=115200")
    with pytest.raises(TargetError, match=r"cannot open the port /dev/no-such-port:"):
        backend.open(target)


HOLDER = """
import sys
from neuromorph_mcu.engine import McuEngine

engine = McuEngine("mcu:socket", sys.argv[1])
print("open", flush=True)
sys.stdin.readline()
"""


def test_a_board_that_another_process_has_is_not_taken_away(server: Server) -> None:
    """It is told who has it; the lock goes with that process, however it ends."""
    holder = subprocess.Popen(
        [sys.executable, "-c", HOLDER, server.url], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    try:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "open\n"
        behind_a_bad_line = f"fault://?seed=1&url={server.url}"
        for url in (server.url, behind_a_bad_line):
            with pytest.raises(Locked, match=f"mine is locked: process {holder.pid} on .* \\(a session of -c\\)"):
                McuEngine("mine", url)
        assert str(holder.pid) in locked_by(server.url, "it")
    finally:
        holder.kill()
        holder.communicate(timeout=20)
    engine = McuEngine("mine", server.url)
    assert f"process {os.getpid()}" in locked_by(server.url, "it")
    engine.close()
    engine.close()
    assert locked_by(server.url, "it") == ""


def test_a_port_that_cannot_be_opened_is_told_once_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    step = "`neuromorph boards scan` shows the ports at which boards answer"
    with pytest.raises(TargetError) as refused:
        open_port("/dev/no-such-port")
    assert str(refused.value) == f"cannot open the port /dev/no-such-port: {os.strerror(errno.ENOENT)}; {step}"
    monkeypatch.setattr("os.open", Mock(side_effect=PermissionError(errno.EACCES, os.strerror(errno.EACCES))))
    with pytest.raises(TargetError, match=f"tty: {os.strerror(errno.EACCES)}; on Linux, .* group dialout$"):
        open_port("/dev/tty")
    monkeypatch.undo()
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"socket://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TargetError) as refused:
        open_port(url)
    assert str(refused.value) == f"cannot open the port {url}: {os.strerror(errno.ECONNREFUSED)}"


def test_a_port_that_cannot_be_opened_is_not_held() -> None:
    with socket.create_server(("127.0.0.1", 0)) as closed:
        url = f"socket://127.0.0.1:{closed.getsockname()[1]}"
    with pytest.raises(TargetError, match="cannot open the port"):
        McuEngine("mine", url)
    assert locked_by(url, "it") == ""


def test_boards_that_belong_to_their_process_are_shared_with_nobody() -> None:
    own = (
        "model",
        "loop://",
        "nmemu://unicorn_m4",
        "nmposix://?flash=x",
        "nmqemu://microbit",
        "fault://?seed=1&url=nmemu://unicorn_m4",
    )
    assert {device_of(url) for url in own} == {""}
    assert {device_of(url) for url in ("COM3", "com3", "COM3?baud=115200", "fault://?url=COM3&seed=2")} == {"COM3"}


@pytest.mark.parametrize("url", ["socket://127.0.0.1", "socket://:5", "socket://127.0.0.1:http"])
def test_a_socket_needs_host_and_port(url: str) -> None:
    with pytest.raises(TargetError, match=r"needs a host and the number of its port: socket://127\.0\.0\.1:5555"):
        open_port(url)


def test_an_option_that_a_board_in_qemu_does_not_have_is_refused() -> None:
    with pytest.raises(TargetError, match="there is no option foo"):
        open_port("nmqemu://microbit?foo=1")
