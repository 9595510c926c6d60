"""The hardware map, finding boards, flashing them: with fakes, and with emulated boards behind real programs."""

from __future__ import annotations

import json
import os
import re
import stat
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from neuromorph.cli import main
from neuromorph.errors import LinkError, TargetError, ValidationError
from pytest_neuromorph.flashers import FLASHERS, plan
from pytest_neuromorph.roster import Entry, choose, offers, read_map
from pytest_neuromorph.scan import Found, Port, ask, merged, scan, usb_ports

for _module in ("serial", "filelock", "tomlkit"):
    pytest.importorskip(_module, reason="needs the extra hil: pip install 'neuromorph[hil]'")

PICO = """
# The rack beside the window.
[[board]]
id = "pico"  # left
usb = "2E8A:000A:E66164"
transport = "serial:///dev/ttyACM0"
board = "pico"
flasher = "uf2"
fixtures = ["power"]
power = "uhubctl -p 2 -a {action}"
notes = "the cable is loose"
"""


def hello(board: str = "pico", uid: bytes = b"\x01\x02") -> Any:
    """What a board says, as far as a map needs it."""
    return SimpleNamespace(board=board, uid=uid.ljust(16, b"\0"), build="abc", core="cortex_m0", pool=1000)


@pytest.fixture
def ports(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """Sets the USB ports of this computer: (device, vid, pid, serial)."""

    def plug(*found: tuple[str, int | None, int | None, str | None]) -> None:
        fakes = [SimpleNamespace(device=d, vid=v, pid=p, serial_number=s, description="a port") for d, v, p, s in found]
        monkeypatch.setattr("serial.tools.list_ports.comports", lambda: iter(fakes))

    return plug


# ---------------------------------------------------------------------------------------------- the map


def test_a_map_is_read_and_a_board_found_by_its_usb_id(tmp_path: Path, ports: Callable[..., None]) -> None:
    (tmp_path / "boards.toml").write_text(PICO)
    ports(("/dev/ttyACM7", 0x2E8A, 0x000A, "E66164"))
    (pico,) = read_map(tmp_path / "boards.toml")
    assert (pico.id, pico.target, pico.kind, pico.url) == ("pico", "mcu:/dev/ttyACM7", "serial", "/dev/ttyACM7")
    assert pico.fixtures == {"power", "fault_link"}
    assert pico.missing == ""
    ports()
    (pico,) = read_map(tmp_path / "boards.toml")
    assert pico.missing == "not plugged in: no USB port 2E8A:000A:E66164"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[[board", "is no TOML"),
        ("[bord]\nid = 1", "a list of [[board]] tables"),
        ('[[board]]\nid = "a"', "board 1: a board needs an id, and a transport or usb"),
        ('[[board]]\nid = "a"\ntransport = "x"\nspeed = 9', "unknown field 'speed'"),
        ('[[board]]\nid = "a"\ntransport = "x"\nbaud = "fast"', "baud = 'fast' must be of type int"),
        ('[[board]]\nid = "a b"\ntransport = "x"', "the id 'a b'"),
        ('[[board]]\nid = "a"\ntransport = "/dev/x"\nfixtures = ["power"]', "needs a command in `power`"),
        ('[[board]]\nid = "a"\ntransport = "x"\n[[board]]\nid = "a"\ntransport = "y"', "'a' is used twice"),
    ],
)
def test_a_wrong_map_is_refused_with_the_place(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "boards.toml").write_text(text)
    with pytest.raises(ValidationError) as error:
        read_map(tmp_path / "boards.toml")
    assert message in str(error.value)
    assert "boards.toml" in str(error.value)


def test_the_example_of_a_map_can_be_read() -> None:
    boards = read_map(Path(__file__).parents[2] / "hil" / "boards.example.toml")
    assert {board.flasher for board in boards} >= set(FLASHERS)


def test_the_boards_of_the_example_have_firmware() -> None:
    folder = Path(__file__).parents[2]
    boards = read_map(folder / "hil" / "boards.example.toml")
    named = {board.board for board in boards if board.board}
    assert named == {"pico", "netduinoplus2"}
    assert all((folder / "firmware" / "boards" / name).is_dir() for name in named)
    placeholders = " ".join(word for board in boards if not board.board for word in board.flash_args)
    assert not re.search(r"\{(elf|hex|bin|uf2)\}", placeholders)  # of what nobody has built
    assert [(board.board, len(bytes.fromhex(board.uid))) for board in boards if board.uid] == [("netduinoplus2", 16)]


def test_choosing_boards() -> None:
    mapped = (Entry("pico", "mcu:/dev/x", "serial", shared=True), Entry("stm", "mcu:/dev/y", "serial", shared=True))
    assert [e.id for e in choose(mapped)] == ["pico", "stm"]
    assert {e.kind for e in choose(())} <= {"unicorn", "posix"}
    assert [e.id for e in choose(mapped, ids=["stm"])] == ["stm"]
    assert [e.id for e in choose(mapped, ["serial"])] == ["pico", "stm"]
    assert {e.kind for e in choose(mapped, ["all"])} >= {"unicorn", "serial"}
    assert [e.id for e in choose(mapped, ["cpu", "pico"])] == ["cpu", "pico"]
    with pytest.raises(TargetError, match=r"'pica'.*pico"):
        choose(mapped, ids=["pica"])


def test_what_a_board_offers() -> None:
    entry = Entry("p1", "mcu:/dev/x", "serial", board="pico", fixtures=frozenset({"power"}))
    assert all(offers(entry, target) for target in (None, "serial", "p1", "mcu:/dev/x", "pico"))
    assert not offers(entry, "qemu")
    assert offers(entry, None, ["power"])
    assert not offers(entry, None, ["power", "reset"])


def test_two_names_for_one_device_have_one_lock(tmp_path: Path) -> None:
    (tmp_path / "tty").touch()
    (tmp_path / "by-id").symlink_to(tmp_path / "tty")
    keys = {Entry("a", "", "serial", transport=f"serial://{tmp_path}/{name}").key for name in ("tty", "by-id")}
    assert keys == {str(tmp_path / "tty")}


# ---------------------------------------------------------------------------------------------- finding


def test_usb_ports_have_ids_and_others_are_left_out(ports: Callable[..., None]) -> None:
    ports(("/dev/ttyS0", None, None, None), ("/dev/ttyUSB1", 0x403, 0x6001, None), ("/dev/ttyACM0", 0x2E8A, 10, "E6"))
    assert [(p.device, p.usb) for p in usb_ports()] == [
        ("/dev/ttyACM0", "2E8A:000A:E6"), ("/dev/ttyUSB1", "0403:6001:"),
    ]  # fmt: skip


def test_a_scan_asks_everyone_and_tells_who_did_not_answer() -> None:
    def ask(device: str) -> Any:
        if device == "b":
            raise LinkError("no answer to HELLO within 3 s")
        return hello(), 921_600

    found = scan([Port("a"), Port("b")], ask)
    assert found[0].hello.board == "pico"  # type: ignore[union-attr]
    assert (found[1].hello, found[1].problem) == (None, "no answer to HELLO within 3 s")


@pytest.fixture
def slow_board(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Every port leads to one emulated board, which understands 115200 baud only."""
    pytest.importorskip("unicorn", reason="needs the extra mcu: pip install 'neuromorph[mcu]'")
    from neuromorph_mcu.urls.protocol_nmemu import Serial

    class Slow(Serial):
        def write(self, data: Any) -> int:
            return super().write(data if self.baudrate == 115_200 else b"\x55" * len(data))

    monkeypatch.setattr("neuromorph_mcu.locks.lock_folder", lambda: tmp_path / "locks")  # tests run beside this one
    monkeypatch.setattr(
        "neuromorph_mcu.ports.open_port", lambda _url, baud: Slow("nmemu://unicorn_m0", baud, timeout=0.02)
    )


@pytest.mark.usefixtures("slow_board")
def test_a_board_at_another_baud_rate_is_found_and_the_map_says_so(tmp_path: Path, ports: Callable[..., None]) -> None:
    ports()
    (found,) = scan([Port("/dev/ttyACM9")])
    assert (found.problem, found.baud) == ("", 115_200)
    path = tmp_path / "boards.toml"
    path.write_text(merged(None, [found])[0])
    (board,) = read_map(path)
    assert (board.url, board.baud) == ("/dev/ttyACM9", 115_200)
    text, changes = merged(path, [replace(found, baud=921_600)])
    assert changes == (f"{board.id}: baud = 921600",)
    assert "baud = 921600" in text


@pytest.mark.usefixtures("slow_board")
def test_a_port_that_names_its_baud_rate_is_asked_at_that_one() -> None:
    named, wrong = scan([Port("/dev/ttyACM9?baud=115200"), Port("/dev/ttyACM9?baud=9600")])
    assert (named.problem, named.port.device, named.baud) == ("", "/dev/ttyACM9", 115_200)
    assert wrong.problem.count("no answer") == 1
    (silent,) = scan([Port("/dev/ttyACM9")], lambda name: ask(name, [9600, 19_200]))
    assert "(at 9600 baud); " in silent.problem


def test_merging_keeps_what_people_wrote_and_follows_a_board_to_its_new_port(
    tmp_path: Path, ports: Callable[..., None]
) -> None:
    ports()
    path = tmp_path / "boards.toml"
    path.write_text(PICO)
    moved = Found(Port("/dev/ttyACM5", "2E8A:000A:E66164"), hello())
    new = Found(Port("/dev/ttyUSB0", "0403:6001:FT99"), hello("stm32f405", b"\x09"))
    silent = Found(Port("/dev/ttyUSB1", "0403:6001:FT11"), problem="no answer")
    text, changes = merged(path, [moved, new, silent])
    assert "# The rack beside the window." in text
    assert "# left" in text
    assert 'notes = "the cable is loose"' in text
    assert 'transport = "serial:///dev/ttyACM5"' in text
    assert set(changes) == {
        "pico: transport = serial:///dev/ttyACM5", f"pico: uid = {hello().uid.hex()}",
        "new: stm32f405-ft99 at /dev/ttyUSB0",
    }  # fmt: skip
    path.write_text(text)
    assert [entry.id for entry in read_map(path)] == ["pico", "stm32f405-ft99"]
    assert merged(path, [moved, new]) == (text, ())


ADAPTERS = (("/dev/ttyUSB0", 0x403, 0x6001, "A50285BI"), ("/dev/ttyUSB1", 0x403, 0x6001, "A50285BI"))
"""Cheap adapters all have the same serial number."""


@pytest.mark.parametrize("uids", [(b"\1", b"\2"), (b"", b"")], ids=["with numbers", "without"])
def test_two_boards_on_adapters_with_one_usb_id_stay_two(
    tmp_path: Path, ports: Callable[..., None], uids: tuple[bytes, bytes]
) -> None:
    ports(*ADAPTERS)
    path = tmp_path / "boards.toml"
    found = [Found(port, hello(uid=uid)) for port, uid in zip(usb_ports(), uids, strict=True)]
    text, changes = merged(path, found)
    assert len(changes) == 2
    path.write_text(text)
    assert [(b.url, b.missing) for b in read_map(path)] == [("/dev/ttyUSB0", ""), ("/dev/ttyUSB1", "")]
    assert merged(path, found) == (text, ())


def test_a_board_keeps_its_entry_on_another_adapter_and_a_new_one_on_its_adapter_gets_its_own(
    tmp_path: Path, ports: Callable[..., None]
) -> None:
    ports()
    path = tmp_path / "boards.toml"
    path.write_text(merged(None, [Found(Port("/dev/a", "0403:6001:A"), hello(uid=b"\1"))])[0])
    text, changes = merged(path, [Found(Port("/dev/b", "0403:6001:B"), hello(uid=b"\1"))])
    assert changes == ("pico-a: usb = 0403:6001:B", "pico-a: transport = serial:///dev/b")
    path.write_text(text)
    _, changes = merged(path, [Found(Port("/dev/b", "0403:6001:B"), hello(uid=b"\2"))])
    assert changes == ("new: pico-b at /dev/b",)


def test_a_usb_id_that_two_ports_have_finds_none_of_them(tmp_path: Path, ports: Callable[..., None]) -> None:
    path = tmp_path / "boards.toml"
    path.write_text('[[board]]\nid = "a"\nusb = "0403:6001:A50285BI"\ntransport = "/dev/serial/by-id/adapter"\n')
    ports(*ADAPTERS)
    (board,) = read_map(path)
    assert board.missing == (
        "2 ports have the USB id 0403:6001:A50285BI: name one as its transport: /dev/ttyUSB0, /dev/ttyUSB1"
    )


def test_ports_that_share_an_id_are_named_by_their_socket(tmp_path: Path) -> None:
    from pytest_neuromorph.scan import _stable_name

    for folder in ("by-id", "by-path"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "link").symlink_to("/dev/ttyUSB1")
    assert _stable_name("/dev/ttyUSB1", True, tmp_path) == f"{tmp_path}/by-id/link"
    assert _stable_name("/dev/ttyUSB1", False, tmp_path) == f"{tmp_path}/by-path/link"
    assert _stable_name("/dev/ttyUSB0", False, tmp_path) == "/dev/ttyUSB0"


def test_a_port_where_nobody_answers_is_a_comment_to_fill_in(tmp_path: Path, ports: Callable[..., None]) -> None:
    ports(("/dev/ttyACM3", 0x2E8A, 0x000A, "E66164"))

    def ask(device: str) -> Any:
        raise LinkError("no answer to HELLO within 3 s") if "ACM" in device else TargetError("no permission")

    path = tmp_path / "boards.toml"
    found = scan([*usb_ports(), Port("/dev/ttyUSB0", "0403:6001:FT99"), Port("/dev/ttyACM4")], ask)
    text, changes = merged(path, found)
    assert changes == ("no answer: /dev/ttyACM3: a comment to fill in",)
    path.write_text(text)
    assert read_map(path) == ()
    assert merged(path, found) == (text, ())
    path.write_text(re.sub("^# (?=.* = |\\[)", "", text, flags=re.MULTILINE))
    (board,) = read_map(path)
    assert (board.id, board.usb, board.board, board.flasher) == ("new", "2E8A:000A:E66164", "pico", "uf2")


def test_two_boards_without_serial_numbers_get_two_names() -> None:
    text, _ = merged(None, [Found(Port(f"/dev/tty{k}"), hello(uid=b"")) for k in range(2)])
    assert 'id = "pico"' in text
    assert 'id = "pico-2"' in text


def test_the_command_finds_an_emulated_board_and_writes_the_map(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("unicorn", reason="needs the extra mcu: pip install 'neuromorph[mcu]'")
    monkeypatch.chdir(tmp_path)
    ports = ("--port", "nmemu://unicorn_m0", "--port", "nmemu://nothing")
    assert main(["boards", "scan", "--merge", "--json", *ports]) == 0
    data = json.loads(capsys.readouterr().out)
    assert [one.get("board", "") for one in data["found"]] == ["unicorn_m0", ""]
    assert "no emulated board" in data["found"][1]["problem"]
    (board,) = read_map(tmp_path / "boards.toml")
    assert (board.board, board.url) == ("unicorn_m0", "nmemu://unicorn_m0")
    assert main(["boards", "--json"]) == 0
    listed = {row["id"]: row for row in json.loads(capsys.readouterr().out)["boards"]}
    assert listed[board.id]["locked"] == ""
    assert "mcu:m4" in listed


# ---------------------------------------------------------------------------------------------- flashing


@pytest.fixture
def programs(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str, str], None]:
    """Puts a program on PATH, written in Python; `said.txt` gets its arguments."""
    if sys.platform == "win32":
        pytest.skip("the programs of this test are scripts")
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")

    def install(name: str, code: str) -> None:
        path = folder / name
        said = f"import sys, pathlib; pathlib.Path({str(tmp_path / 'said.txt')!r}).write_text(' '.join(sys.argv[1:]))"
        path.write_text(f"#!{sys.executable}\n{said}\n{code}\n")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)

    return install


def firmware(tmp_path: Path) -> Path:
    path = tmp_path / "firmware.bin"
    path.write_bytes(b"\1\2\3")
    return path


def test_any_program_can_flash(tmp_path: Path, programs: Callable[[str, str], None]) -> None:
    programs("burn", "")
    entry = Entry(
        "b", "", "serial", transport="/dev/x", flasher="command", flash_args=("burn", "-p", "{port}", "{bin}")
    )
    (step,) = plan(entry, firmware(tmp_path))
    assert not (tmp_path / "said.txt").exists()  # a plan does nothing
    step.do()
    assert (tmp_path / "said.txt").read_text() == f"-p /dev/x {tmp_path}/firmware.bin"


def test_a_program_that_fails_is_told_with_what_it_said(tmp_path: Path, programs: Callable[[str, str], None]) -> None:
    programs("burn", "print('no such chip'); sys.exit(3)")
    (step,) = plan(Entry("b", "", "serial", flasher="command", flash_args=("burn", "{elf}")), firmware(tmp_path))
    with pytest.raises(TargetError, match=r"b: burn .*ended with status 3:\nno such chip"):
        step.do()


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({}, "no flasher"),
        ({"flasher": "uf3"}, "flasher 'uf3' is unknown"),
        ({"flasher": "uf2"}, "names no `board`"),
        ({"flasher": "uf2", "board": "nowhere"}, "no firmware nowhere.uf2"),
        ({"flasher": "command", "board": "x"}, "needs the program"),
        ({"flasher": "command", "board": "x", "flash_args": ("no-such-program",)}, "no-such-program is not on PATH"),
        ({"flasher": "command", "board": "x", "flash_args": ("{chip}",)}, "unknown placeholder"),
    ],
)
def test_what_cannot_be_flashed_is_refused_before_anything_is_done(fields: dict[str, Any], message: str) -> None:
    with pytest.raises((ValidationError, TargetError)) as error:
        plan(Entry("b", "", "serial", **fields))
    assert message in str(error.value)


def test_uf2_is_copied_to_the_one_drive_of_a_boot_loader(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pytest_neuromorph import flashers

    places = [tmp_path / "media" / "user" / name for name in ("RPI-RP2", "MUSIC")]
    for place in places:
        place.mkdir(parents=True)
    (places[0] / "INFO_UF2.TXT").touch()
    monkeypatch.setattr(flashers, "drives", lambda found=flashers.drives: found((tmp_path / "media",)))
    (step,) = plan(Entry("pico", "", "serial", flasher="uf2"), firmware(tmp_path))
    step.do()
    assert (places[0] / "firmware.bin").read_bytes() == b"\1\2\3"
    (places[1] / "INFO_UF2.TXT").touch()
    with pytest.raises(TargetError, match="several boards"):
        step.do()
    (step,) = plan(Entry("pico", "", "serial", flasher="uf2", flash_args=("MUSIC",)), firmware(tmp_path))
    step.do()
    assert (places[1] / "firmware.bin").exists()


def test_pyocd_is_run_as_a_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, programs: Callable[[str, str], None]
) -> None:
    """The module of this environment, else the program that is there."""
    from pytest_neuromorph import flashers

    programs("pyocd", "")
    entry = Entry("stm", "", "serial", flasher="pyocd", flash_args=("--target", "stm32f405rg"))
    (step,) = plan(entry, firmware(tmp_path))
    assert step.what.endswith(f"pyocd flash --target stm32f405rg {tmp_path}/firmware.bin")
    monkeypatch.setattr(flashers, "_has_module", lambda _: False)
    (step,) = plan(entry, firmware(tmp_path))
    step.do()
    assert (tmp_path / "said.txt").read_text() == f"flash --target stm32f405rg {tmp_path}/firmware.bin"


def test_the_command_shows_what_it_would_do_and_does_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    programs: Callable[[str, str], None],
) -> None:
    pytest.importorskip("unicorn", reason="needs the extra mcu: pip install 'neuromorph[mcu]'")
    programs("burn", "")
    monkeypatch.chdir(tmp_path)
    Path("boards.toml").write_text(
        '[[board]]\nid = "m0"\ntransport = "nmemu://unicorn_m0"\nboard = "unicorn_m0"\nflasher = "command"\n'
        'flash_args = ["burn", "{elf}"]\n'
    )
    assert main(["flash", "m0", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith("would burn ")
    assert not Path("said.txt").exists()
    assert main(["flash", "m0", "--json"]) == 0
    data = json.loads(capsys.readouterr().out)
    assert data["done"]
    assert data["firmware"].startswith("unicorn_m0 ")
    assert Path("said.txt").read_text().endswith("unicorn_m0.elf")
    assert main(["flash", "m1"]) == 2
    assert "no board 'm1'" in capsys.readouterr().err


def test_a_new_board_is_flashed_without_a_map(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    programs: Callable[[str, str], None],
) -> None:
    from neuromorph_mcu import boards

    programs("burn", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("neuromorph_mcu.locks.lock_folder", lambda: tmp_path / "locks")  # tests run beside this one
    monkeypatch.setattr(boards, "FIRMWARE", tmp_path)
    for name in ("pico.elf", "pico.uf2", "microbit.elf", "unicorn_m0.elf"):
        (tmp_path / name).touch()
    assert main(["flash", "--firmware", "pico", "--dry-run"]) == 0
    assert capsys.readouterr().out.startswith(f"would copy {tmp_path}/pico.uf2 to the boot loader's drive")
    how = ["--flasher", "command", "--arg", "burn", "--arg", "{port}", "--arg", "{elf}"]
    assert main(["flash", "--firmware", "microbit", "--port", "/dev/no-such-port?baud=115200", *how]) == 0
    assert Path("said.txt").read_text() == f"/dev/no-such-port {tmp_path}/microbit.elf"
    assert "microbit was written; nobody answers yet" in capsys.readouterr().out
    for command, message in (
        (["flash", "pico"], "there is no hardware map boards.toml; `neuromorph boards scan --merge` writes one"),
        (["flash"], "name a BOARD of the map, or --firmware NAME: microbit, pico"),
        (["flash", "--firmware", "unicorn_m0"], "no firmware 'unicorn_m0'"),
    ):
        assert main(command) == 2
        assert message in capsys.readouterr().err
