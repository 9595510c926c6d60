"""Handwritten digits, learned without labels by spikes: one winner per image, its weights move towards that image.

64 pixels (8x8 real images, ``sklearn.datasets.load_digits``) send one graded spike per image. 100 cells integrate them
on top of a slow common ramp, so the best match fires first; it inhibits the others at once and, through a relay cell, a
step later. Its weights move towards the image (`InstarSTDP`), and its threshold rises, so that all cells find work.
Learning and threshold adaptation are then switched off by the schedule, in the program itself; cells are labelled from
training images and tested on held-out ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

import neuromorph as nm
from neuromorph.errors import TargetError
from neuromorph.plasticity import InstarSTDP, ThresholdAdaptation
from neuromorph.units import ms

if TYPE_CHECKING:
    from neuromorph.trace import Trace

__all__ = ["Digits", "Score", "inputs", "network"]

STEPS, RAW_STEPS = 19, 28  # per image; raw ones take longer where they are faint
PIXELS = 64
PAYLOAD_MAX = 254
NORM = 740.0  # of an image's payloads: contrast normalisation, as in the retina
RAW = 12.0  # payload per grey level (0..16) of images that are not normalised: on average the same norm
W_MAX = 4.427e-4  # of the threshold, per unit of payload
ADAPTATION, RAW_ADAPTATION = 0.0028, 0.015  # step of a winner's threshold, of the threshold
CLASSES = 10
TRAIN, TEST = 1257, 540  # images of a 70/30 split


@dataclass(frozen=True)
class Digits:
    """What is shown, in which order.

    Parameters
    ----------
    split : int
        Seed of the stratified 70/30 split.
    train : int or None
        Images to learn from and to label with (None: all 1,257).
    test : int or None
        Held-out images (None: all 540).
    passes : int
        How often the training images are shown while learning.
    raw : bool
        Show the images as they are, not at one contrast. Then cells with large weights answer to everything, unless
        homeostasis holds them back.
    homeostasis : bool
        Whether thresholds adapt.
    """

    split: int = 0
    train: int | None = None
    test: int | None = None
    passes: int = 1
    raw: bool = False
    homeostasis: bool = True

    @cached_property
    def _data(self) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
        try:
            from sklearn.datasets import load_digits
            from sklearn.model_selection import train_test_split
        except ImportError as error:
            raise TargetError("the digits example needs scikit-learn: pip install 'neuromorph[examples]'") from error
        images, labels = load_digits(return_X_y=True)
        a, b, la, lb = train_test_split(images, labels, test_size=0.3, stratify=labels, random_state=self.split)
        return a[: self.train], b[: self.test], la[: self.train], lb[: self.test]

    @property
    def train_labels(self) -> NDArray[np.int64]:
        """Digits of the training images; used to label cells after learning, never before."""
        return self._data[2]

    @property
    def test_labels(self) -> NDArray[np.int64]:
        """Digits of the held-out images."""
        return self._data[3]

    @cached_property
    def payloads(self) -> NDArray[np.int64]:
        """Graded spikes of all images in the order shown, shape (images, 64): learning, then labelling, then test.

        ``p = clip(round(NORM x / |x|), 1, 254)``, of raw images ``clip(round(RAW x), 1, 254)``: a payload of 1 clears
        the trace of a dark pixel.
        """
        train, test = self._data[:2]
        order = np.random.default_rng([self.split, 1])
        shown = [train[order.permutation(len(train))] for _ in range(self.passes)]
        images = np.concatenate([*shown, train, test])
        gain = RAW if self.raw else NORM / np.linalg.norm(images, axis=1, keepdims=True)
        scaled = np.rint(gain * images)
        return np.asarray(np.clip(scaled, 1, PAYLOAD_MAX), dtype=np.int64)

    @property
    def learning_images(self) -> int:
        """Images shown while learning is on."""
        return self.passes * min(self.train or TRAIN, TRAIN)

    @property
    def images(self) -> int:
        """Images shown in all: learning, labelling, test."""
        return self.learning_images + min(self.train or TRAIN, TRAIN) + min(self.test or TEST, TEST)

    @property
    def image_steps(self) -> int:
        """Steps of one image."""
        return RAW_STEPS if self.raw else STEPS

    @property
    def steps(self) -> int:
        """Steps of the whole protocol, and one to see the last image's spikes."""
        return self.images * self.image_steps + 1

    def spikes(self) -> nm.SpikeTrain:
        """The input: all 64 pixels at the first step of each image."""
        steps = np.repeat(np.arange(self.images) * self.image_steps + 1, PIXELS)
        return nm.SpikeTrain(steps, np.tile(np.arange(PIXELS), self.images), self.payloads.ravel())

    def network(self, cells: int = 100, seed: int | None = None) -> nm.Network:
        """The network; learning ends after the last pass; `seed` (default: the split) draws its weights."""
        net = nm.Network(name="digits", dt=1 * ms, seed=self.split if seed is None else seed)
        pixels = net.input(PIXELS, name="pixels", graded=True)
        step = RAW_ADAPTATION if self.raw else ADAPTATION
        adaptation = ThresholdAdaptation(increment=step, tau=4.096) if self.homeostasis else None
        # tau_m: no leak to speak of within an image; bias: the ramp, 2.2% of the threshold per step.
        cell = nm.LIF(
            tau_m=4.096, v_th=1.0, bias=91.0, reset_every=self.image_steps * ms, reset_offset=2 * ms,
            homeostasis=adaptation,
        )  # fmt: skip
        winners = net.population(cells, cell, name="cells")
        relay = net.population(1, nm.LIF(tau_m=10 * ms, v_th=0.5), name="relay")
        syn = net.connect(
            pixels, winners, weights=nm.Uniform(0.08 * W_MAX, 0.78 * W_MAX), graded=True, name="syn",
            plasticity=InstarSTDP(eta=0.125, tau=200 * ms, w_max=W_MAX, graded=True),
        )  # fmt: skip
        net.connect(winners, winners, weights=-0.0567, name="inhibition")
        net.connect(winners, relay, weights=1.0, name="to_relay")
        net.connect(relay, winners, weights=-0.4533, name="from_relay")
        learned = self.learning_images * self.image_steps * ms
        net.phase(start=learned, plasticity={syn: False}, adaptation={winners: False} if adaptation else None)
        net.probe(winners, "spikes")
        net.probe(syn, "w", every=50 * self.image_steps * ms)
        return net

    def score(self, trace: Trace) -> Score:
        """Label the cells from the training images, then read the held-out ones; a silent image is an error.

        Each cell votes with its share of each digit among the labelling images that it answered to.
        """
        spikes = trace.spikes("cells.spikes")
        image = (np.asarray(spikes.steps) - 2) // self.image_steps
        kept = (image >= 0) & (image < self.images)
        counts = np.zeros((self.images, spikes.n), np.int64)
        np.add.at(counts, (image[kept], np.asarray(spikes.indices)[kept]), 1)
        _, labelling, test = np.split(counts, [self.learning_images, self.learning_images + len(self.train_labels)])
        votes = np.stack([labelling[self.train_labels == c].sum(0) for c in range(CLASSES)], axis=1)
        share = votes / np.maximum(votes.sum(1, keepdims=True), 1)
        silent = test.sum(1) == 0
        read = np.where(silent, -1, (test @ share).argmax(1))
        labels = np.where(votes.sum(1) > 0, votes.argmax(1), -1)
        return Score(float(np.mean(read == self.test_labels)), int(silent.sum()), labels)


@dataclass(frozen=True, slots=True)
class Score:
    """Share of held-out images read right, how many gave no spike, and the digit of each cell (-1: none)."""

    accuracy: float
    silent: int
    labels: NDArray[np.int64]


DEFAULT = Digits(train=300, test=120)
"""What `neuromorph run digits` and `compare digits` show: a part, so that it takes seconds on the slowest engine."""


def network(seed: int = 1) -> nm.Network:
    """The network of the default protocol."""
    return DEFAULT.network(seed=seed)


def inputs(net: nm.Network) -> dict[str, nm.SpikeTrain]:  # noqa: ARG001
    """Its input: the images, in the same order whatever the network's seed."""
    return {"pixels": DEFAULT.spikes()}


duration = DEFAULT.steps * ms
"""Seconds of the default protocol."""
