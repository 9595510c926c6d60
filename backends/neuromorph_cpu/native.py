"""`cpu`: the C engine of ``firmware/core``, built for this machine and called in process through ctypes."""

from __future__ import annotations

import ctypes
import platform
import sys
import time
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path

import numpy as np

from neuromorph.errors import CapacityError, ImageError, TargetError, ValidationError

__all__ = ["NativeEngine", "library", "library_path", "verify"]

LIBRARIES = Path(__file__).parent / "_lib"
SUFFIX = {"darwin": "dylib", "win32": "dll"}.get(sys.platform, "so")
RULES = {
    1: "magic, header or format version", 2: "length", 3: "checksum or hash", 4: "profile or features",
    5: "section table", 6: "section sizes and counts", 7: "an index out of its table", 8: "a value out of range",
    9: "memory", 10: "deadline", 11: "security counter",
}  # fmt: skip
FEATURES_ALL = 0x1FFFF
E_IMAGE, E_ARENA, E_ARG, E_INPUT, E_STATE, E_SPACE, E_STEPS = range(-1, -8, -1)
OUTPUT_BYTES = 1 << 20
CHUNK_MIN, CHUNK_MAX, CHUNK_SECONDS = 64, 1 << 20, 0.1
"""Steps of a call, and how long one may take: until it returns, there is no progress and no interrupt."""
_u8p = ctypes.POINTER(ctypes.c_uint8)


class _Report(ctypes.Structure):
    _fields_ = (
        ("rule", ctypes.c_uint8),
        ("offset", ctypes.c_uint32),
        ("arena", ctypes.c_uint32),
        ("step_us", ctypes.c_uint32),
    )


class _Speed(ctypes.Structure):
    """`nm_speed`: instructions per microsecond, then tenths of one per element."""

    _fields_ = tuple(
        (name, ctypes.c_uint16)
        for name in ("per_us", "neuron", "dense", "sparse", "delayed", "pair", "interpreted", "trace", "release")
    )


class _Limits(ctypes.Structure):
    _fields_ = (
        ("image_max", ctypes.c_uint32),
        ("arena_max", ctypes.c_uint32),
        ("features", ctypes.c_uint32),
        ("counter_least", ctypes.c_uint32),
        ("speed", ctypes.POINTER(_Speed)),
    )


class _Counters(ctypes.Structure):
    _fields_ = (
        ("spikes", ctypes.c_uint64),
        ("synaptic_events", ctypes.c_uint64),
        ("plastic_updates", ctypes.c_uint64),
    )


class _Item(ctypes.Structure):
    _fields_ = (
        ("kind", ctypes.c_uint8),
        ("code", ctypes.c_uint8),
        ("width", ctypes.c_uint8),
        ("object", ctypes.c_uint16),
        ("count", ctypes.c_uint32),
    )


def _machine() -> str:
    name = platform.machine().lower()
    return {"amd64": "x86_64", "arm64": "aarch64"}.get(name, name)


def library_path(level: int | None = None) -> Path:
    """The shared library for this processor; `level` 3 asks for x86-64-v3, 2 for v2, None chooses by CPUID."""
    base = LIBRARIES / f"nm_{_machine()}.{SUFFIX}"
    fast = LIBRARIES / f"nm_{_machine()}_v3.{SUFFIX}"
    if level == 3 or (level is None and fast.exists() and base.exists() and _has_v3(base)):
        return fast
    return base


def _has_v3(base: Path) -> bool:
    return int(ctypes.CDLL(str(base)).nm_host_cpu_level()) >= 3


@lru_cache(maxsize=4)
def library(path: Path | None = None) -> ctypes.CDLL:
    """The loaded library with its signatures; TargetError if it was not built."""
    found = path or library_path()
    if not found.exists():
        raise TargetError(
            f"the engine's library {found.name} was not built; run `make build` in a checkout, or reinstall neuromorph"
        )
    lib = ctypes.CDLL(str(found))
    engine, u32, i32 = ctypes.c_void_p, ctypes.c_uint32, ctypes.c_int32
    out = ctypes.POINTER
    signatures: dict[str, tuple[object, tuple[object, ...]]] = {
        "nm_verify": (ctypes.c_int, (ctypes.c_char_p, ctypes.c_size_t, out(_Limits), out(_Report))),
        "nm_init": (ctypes.c_int, (out(engine), ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_size_t)),
        "nm_reset": (None, (engine,)),
        "nm_now": (u32, (engine,)),
        "nm_run": (i32, (engine, u32, ctypes.c_void_p, u32, out(u32), _u8p, u32, out(u32))),
        "nm_record_bound": (u32, (engine,)),
        "nm_items": (u32, (engine,)),
        "nm_item_info": (ctypes.c_int, (engine, u32, out(_Item))),
        "nm_item_read": (ctypes.c_int, (engine, u32, u32, u32, ctypes.c_char_p)),
        "nm_item_write": (ctypes.c_int, (engine, u32, u32, u32, ctypes.c_char_p)),
        "nm_seek": (ctypes.c_int, (engine, u32)),
        "nm_get_counters": (None, (engine, out(_Counters))),
        "nm_set_kernels": (None, (engine, ctypes.c_int)),
        "nm_crc32c": (u32, (u32, ctypes.c_char_p, ctypes.c_size_t)),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(lib, name)
        function.restype, function.argtypes = result, arguments
    return lib


def verify(image: bytes, lib: ctypes.CDLL | None = None) -> int:
    """Check an image with the C verifier (R1..R9; R10 and R11 are for boards) and return the working memory it needs.

    Raises
    ------
    ImageError
        With rule and offset.
    """
    report, limits = _Report(), _Limits(0, 0, FEATURES_ALL)
    code = (lib or library()).nm_verify(image, len(image), ctypes.byref(limits), ctypes.byref(report))
    if code != 0:
        what = RULES.get(report.rule, "unknown rule")
        raise ImageError(
            f"the image breaks rule R{report.rule} ({what}) at byte {report.offset}; compile the network again",
            report.rule,
            report.offset,
        )
    return int(report.arena)


def _aligned(n: int) -> np.ndarray[tuple[int], np.dtype[np.uint8]]:
    """A zeroed buffer of n bytes, aligned to 64."""
    raw = np.zeros(n + 64, np.uint8)
    start = -raw.ctypes.data % 64
    return raw[start : start + n]


class NativeEngine:
    """The C engine behind the `Engine` protocol.

    Parameters
    ----------
    target : str
        Name in messages.
    path : Path, optional
        A certain build of the library; default: the best for this processor.
    kernels : bool
        False: rules run in the interpreter alone, for tests.
    """

    def __init__(self, target: str = "cpu", path: Path | None = None, *, kernels: bool = True) -> None:
        self.target, self._kernels = target, kernels
        self._lib = library(path)
        self._engine = ctypes.c_void_p()
        self._image = self._arena = _aligned(0)

    def load(self, image: bytes) -> None:
        """Verify and start an image (see `Engine.load`)."""
        need = verify(image, self._lib)
        held = _aligned(len(image))
        held[:] = np.frombuffer(image, np.uint8)
        try:
            arena = _aligned(need)
        except MemoryError as error:
            raise CapacityError(f"{self.target}: the program needs {need} bytes of memory; there are fewer") from error
        engine = ctypes.c_void_p()
        code = self._lib.nm_init(
            ctypes.byref(engine), held.ctypes.data, len(image), arena.ctypes.data, ctypes.c_size_t(need)
        )
        if code != 0:
            raise TargetError(f"{self.target}: the engine refused a verified image (code {code})")
        self._lib.nm_set_kernels(engine, int(self._kernels))
        self._image, self._arena, self._engine = held, arena, engine

    def _loaded(self) -> ctypes.c_void_p:
        if not self._engine:
            raise TargetError(f"{self.target}: no program is loaded")
        return self._engine

    def reset(self) -> None:
        """Back to step 0."""
        self._lib.nm_reset(self._loaded())

    def now(self) -> int:
        """The last step done."""
        return int(self._lib.nm_now(self._loaded()))

    def run(
        self,
        steps: int,
        records: bytes,
        on_output: Callable[[bytes], None],
        on_progress: Callable[[int], None] | None = None,
    ) -> None:
        """Run (see `Engine.run`); control returns to Python when the output is full, and several times a second."""
        engine = self._loaded()
        capacity = max(OUTPUT_BYTES, 2 * int(self._lib.nm_record_bound(engine)))
        out = (ctypes.c_uint8 * capacity)()
        used, written = ctypes.c_uint32(), ctypes.c_uint32()
        base, at = ctypes.cast(ctypes.c_char_p(records), ctypes.c_void_p).value or 0, 0
        chunk = CHUNK_MIN
        while True:
            began = time.monotonic()
            done = self._lib.nm_run(
                engine, min(steps, chunk), base + at, len(records) - at,
                ctypes.byref(used), out, capacity, ctypes.byref(written),
            )  # fmt: skip
            if written.value:
                on_output(ctypes.string_at(out, written.value))
            at += used.value
            if done < 0:
                raise _run_error(self.target, done, self.now())
            steps -= done
            chunk = max(chunk // 2, 1) if time.monotonic() - began > CHUNK_SECONDS else min(2 * chunk, CHUNK_MAX)
            if on_progress is not None:
                on_progress(self.now())
            if steps <= 0:
                break
        if at < len(records):
            left = len(records) - at
            raise ValidationError(f"{self.target}: {left} bytes of input lie after the last step {self.now()}")

    def _item(self, item: int) -> _Item:
        info = _Item()
        if self._lib.nm_item_info(self._loaded(), item, ctypes.byref(info)) != 0:
            raise ValidationError(f"{self.target}: there is no state item {item}")
        return info

    def read_item(self, item: int, first: int, count: int) -> bytes:
        """Values of a state item."""
        buffer = ctypes.create_string_buffer(max(1, count * self._item(item).width))
        if self._lib.nm_item_read(self._loaded(), item, first, count, buffer) != 0:
            raise ValidationError(f"{self.target}: item {item} has no values {first}..{first + count - 1}")
        return buffer.raw[: count * self._item(item).width]

    def write_item(self, item: int, first: int, data: bytes) -> None:
        """Write values of a state item."""
        count = len(data) // self._item(item).width
        code = self._lib.nm_item_write(self._loaded(), item, first, count, data)
        if code == E_STATE:
            raise ValidationError(f"{self.target}: a value for state item {item} is out of range; nothing was written")
        if code != 0:
            raise ValidationError(f"{self.target}: item {item} has no values {first}..{first + count - 1}")

    def seek(self, step: int) -> None:
        """Set the step counter."""
        if self._lib.nm_seek(self._loaded(), step) != 0:
            raise ValidationError(f"{self.target}: step {step} is outside 0..2^32 - 1")

    def counters(self) -> dict[str, int]:
        """Work done since the program was loaded."""
        held = _Counters()
        self._lib.nm_get_counters(self._loaded(), ctypes.byref(held))
        return {name: int(getattr(held, name)) for name, _ in _Counters._fields_}

    def close(self) -> None:
        """Forget the program."""
        self._engine = ctypes.c_void_p()


def _run_error(target: str, code: int, step: int) -> Exception:
    if code == E_INPUT:
        return ValidationError(
            f"{target}: the input records for step {step + 1} are malformed, late or name no input"
        )  # fmt: skip
    if code == E_STEPS:
        return TargetError(f"{target}: the step counter ends at 2^32 - 1; save the state and start again at step 0")
    return TargetError(f"{target}: the engine stopped at step {step} with code {code}")
