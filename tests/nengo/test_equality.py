"""Every state of every step of random programs is the same on nengo-loihi's emulator.

Few here; the same test over many programs: pytest tests/nengo --nengo-programs 200
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable

import pytest

from neuromorph.errors import UnsupportedError
from neuromorph.testing.equality import disagreement
from neuromorph.testing.peers import contents, fit_nengo, peer_case


@pytest.mark.timeout(3600)
def test_the_emulator_equals_the_reference_or_says_where_loihi_1_wraps(
    nengo, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    programs, seed, wraps = int(request.config.getoption("nengo_programs", 10)), 0, 0
    found: Counter[str] = Counter()
    while found["programs"] < programs:
        case = peer_case(seed, fit_nengo)
        seed += 1
        try:
            difference = disagreement(case, nengo)
        except UnsupportedError as error:
            wraps += "of Loihi 1" in str(error)
            continue
        assert not difference, difference
        found["programs"] += 1
        found["steps"] += case.draw.steps
        found["spikes"] += case.reference.counters["spikes"]
        found.update(contents(case.draw.program))
    assert seed - programs == wraps < programs
    title = f"{programs} programs equal on {nengo.target}; {wraps} stopped where Loihi 1 wraps"
    record_property(title, "\n".join(f"{found[name]:>9}  {name}" for name in sorted(found)))
