"""Errors. Each says what, where (the user's own name), the limit and the value, and the next step."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from neuromorph.trace import Trace

__all__ = [
    "CapacityError",
    "ImageError",
    "LinkError",
    "NeuromorphError",
    "RuleError",
    "TargetError",
    "UnsupportedError",
    "ValidationError",
]


class NeuromorphError(Exception):
    """Base of every error that this package raises on purpose.

    Attributes
    ----------
    trace : Trace or None
        What an interrupted run had recorded until then.
    """

    trace: Trace | None = None


class ValidationError(NeuromorphError, ValueError):
    """A parameter, shape or value that cannot be right, refused where it was written."""


def pointed(text: str, column: int) -> str:
    """A rule's text with a mark below a column, counted from 0."""
    return f"at column {column + 1}:\n  {text}\n  {' ' * column}^"


class RuleError(ValidationError):
    """A learning rule that does not parse or cannot be meant.

    Attributes
    ----------
    text : str
        The rule as written.
    column : int
        Position of the error in `text`, counted from 0.
    """

    def __init__(self, message: str, text: str, column: int) -> None:
        self.text, self.column = text, column
        super().__init__(f"{message}, {pointed(text, column)}")


class UnsupportedError(NeuromorphError):
    """A target does not have what the program asks for."""


class KnownDifferenceError(UnsupportedError):
    """A machine stopped where it is known to differ from the others, and is allowed to (docs/peers.md); says why."""


class CapacityError(NeuromorphError):
    """A limit of a target is exceeded; says need and limit."""


class ImageError(NeuromorphError):
    """An image or a state file that was rejected.

    Attributes
    ----------
    rule : int
        The verifier's rule (1..11), 0 where none applies.
    offset : int
        The byte that broke it.
    """

    def __init__(self, message: str, rule: int = 0, offset: int = 0) -> None:
        self.rule, self.offset = rule, offset
        super().__init__(message)


class LinkError(NeuromorphError):
    """The link to a device is silent, broken, or lost its session."""


class TargetError(NeuromorphError):
    """A target could not be started, or failed while it ran."""
