"""The learning run of the digits example is the same on Lava's models.

A part of it here; all of it: pytest tests/lava/test_digits.py --lava-images 1257
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import pytest

import neuromorph as nm
from neuromorph.examples.digits import Digits
from neuromorph.lockstep import Run, check
from neuromorph.targets import find

pytest.importorskip("sklearn", reason="pip install 'neuromorph[examples]'")


@pytest.mark.timeout(3600)
@pytest.mark.parametrize(("target", "images"), [("loihi:lava-fast", 20), ("loihi:lava", 2)])
def test_digits_learn_the_same_on_lava(
    target: str, images: int, request: pytest.FixtureRequest, record_property: Callable[[str, object], None]
) -> None:
    backend, found = find(target)
    missing = backend.available(found)
    if missing:
        pytest.skip(missing)
    if target == "loihi:lava-fast":
        images = int(request.config.getoption("lava_images", images))
    data = Digits(train=images, test=max(1, min(540, images // 2)))
    program = nm.compile(data.network(seed=1), targets=["cpu", target], rounding="shared")

    runs = [Run(name, program, partial(nm.open, program, name)) for name in ("cpu", target)]
    outcome = check(runs, data.steps, {"pixels": data.spikes()})
    assert outcome.equal, outcome.first
    assert len(outcome.traces[0].spikes("cells.spikes").steps) > images
    record_property(f"digits on cpu and {target}", f"{data.steps} steps, {outcome.values_compared} values are equal")
