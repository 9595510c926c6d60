"""What a machine keeps for the time without power: programs, what they have learned, how to start them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuromorph.engine import Storing

__all__ = ["Store", "Stored", "StoredProgram"]


@dataclass(frozen=True, slots=True)
class StoredProgram:
    """A program in a machine's flash.

    Attributes
    ----------
    digest : str
        The first 24 digits of its logical digest (`Program.digest`).
    size : int
        Bytes of its image.
    step : int or None
        Step of the newest state that is stored with it; None without one.
    states : int
        How many states are stored with it: the newest, and the one before.
    period : float
        Seconds of a step that the machine makes by itself from its start on; 0: it waits for a host.
    every : int
        Steps after which a machine that runs stores its state by itself; 0: never.
    trial : bool
        It was not confirmed yet.
    """

    digest: str
    size: int
    step: int | None
    states: int
    period: float
    every: int
    trial: bool


@dataclass(frozen=True, slots=True)
class Stored:
    """What a machine has stored, and what it made of that when it started.

    Attributes
    ----------
    current, candidate, previous : StoredProgram or None
        The program of each start; one that was stored on trial; the one that the current one replaced, for as long as
        its place is not needed.
    started : bool
        The machine started with a stored program.
    trial : bool
        That program is on trial: without `Store.confirm` it is dropped at the next start.
    reverted : bool
        A program on trial was dropped at this start.
    resumed : bool
        The program went on from a stored state.
    damaged : bool
        Something could not be read, a loss of power while it was written included; what came before it was taken.
    cause : str
        Why the machine started: power, pin, software, watchdog, brown-out or unknown.
    size, sector, largest : int
        Bytes of flash; of what is erased at once; of the largest program or state that an empty flash takes.
    erases : int
        Sectors erased in the life of the flash (but for those that a loss of power kept from being counted).
    failed : int
        States that the machine could not store since it started.
    unreadable : int
        Entries of its journal that it could not read.
    """

    current: StoredProgram | None
    candidate: StoredProgram | None
    previous: StoredProgram | None
    started: bool
    trial: bool
    reverted: bool
    resumed: bool
    damaged: bool
    cause: str
    size: int
    sector: int
    largest: int
    erases: int
    failed: int
    unreadable: int


@dataclass(frozen=True, slots=True)
class Store:
    """The store of a machine; `neuromorph.Session.persist` puts a program and its state there."""

    engine: Storing

    def info(self) -> Stored:
        """What is stored, and what the machine made of it when it started."""
        return self.engine.stored()

    def confirm(self) -> None:
        """Keep the program that is on trial."""
        self.engine.confirm()

    def revert(self) -> None:
        """Drop the newest stored program: the one before it counts again, from the next start on."""
        self.engine.revert()

    def forget(self) -> None:
        """Forget all that is stored; the program that is loaded stays until the power goes."""
        self.engine.forget()
