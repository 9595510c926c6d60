"""Stimulus: the inputs of a whole protocol, for runs that are done in parts or on several machines."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from neuromorph.program import Program
    from neuromorph.records import Events

__all__ = ["Stimulus"]


@dataclass(frozen=True, slots=True)
class Stimulus:
    """All that the inputs of a program send from its step 1 on, whatever the runs that it is done in.

    Attributes
    ----------
    events : dict
        By the input's number in the program: `neuromorph.records.Events`.
    """

    events: dict[int, Events]

    @classmethod
    def of(cls, program: Program, inputs: Mapping[Any, Any], steps: int, start: int = 0) -> Stimulus:
        """The spikes of sources, by handle or name, as in a run of `steps` after step `start`.

        Raises
        ------
        ValidationError
            As in `Session.run`.
        """
        from neuromorph.inputs import gather

        found = gather(program.populations, inputs, start, steps, program.dt, program.seed)
        numbers = {name: k for k, name in enumerate(program.populations)}
        return cls({numbers[name]: events for name, events in found.items()})

    def records(self, start: int, steps: int) -> bytes:
        """Input records of steps start + 1 to start + steps."""
        from neuromorph.records import Events, encode_records

        part = {}
        for number, events in self.events.items():
            a, b = np.searchsorted(events.steps, (start, start + steps), side="right")
            payloads = None if events.payloads is None else events.payloads[a:b]
            part[number] = Events(events.steps[a:b], events.indices[a:b], payloads)
        return encode_records(part)
