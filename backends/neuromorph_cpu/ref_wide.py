"""`cpu:ref` in profile wide: docs/semantics.md, section 6, where it differs from sections 3 and 4."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from neuromorph_cpu.ref import CODES, Ints, Reference, hashed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from neuromorph.program import Projection
    from neuromorph.rule import Product, Rule

__all__ = ["WideReference"]

FRACTION = {"w": 7, "d": 7, "t": 7, "q": 7, "1": 0, "x0": 0, "y0": 0}
"""Fractional bits of variables; traces have 8, modulators are read with 9."""
TRACE_FRAC, MODULATOR_FRAC, CONSTANT_FRAC = 8, 9, 6
FULL = 1 << 16  # a factor at the end of its width
ACC_MAX = 1 << 30
PAYLOAD_MAX = 255


def brought(value: Ints, have: int, want: int) -> Ints:
    """From `have` fractional bits to `want`; what is finer is floored."""
    return value << (want - have) if want >= have else value >> (have - want)


class WideReference(Reference):
    """A program of profile wide and its state."""

    resource_end = FULL

    ACC_FRAC = 14

    # ------------------------------------------------------------------------------------------- traces

    def _impulse(self, proj: Projection, trace: str, values: Ints, r: Ints | int) -> Ints:  # noqa: ARG002
        held = proj.rule.traces[trace]  # type: ignore[union-attr]
        return self._clip("trace", values + (held.ii << TRACE_FRAC) + held.fi, 0, self.numbers.trace_max)

    def _graded_trace(
        self, proj: Projection, rule: Rule, payload: Ints, spiking: NDArray[np.bool_]
    ) -> NDArray[np.bool_]:
        """x1 takes half the payload; all spikes count for tx."""
        x1 = self.state[proj.name, "x1"]
        q = self._clip("payload", payload, 0, PAYLOAD_MAX) << (TRACE_FRAC - 1)
        start = x1 if rule.graded_trace == "add_saturate" else 0
        new = self._clip(f"graded trace, {rule.graded_trace}", start + q, 0, self.numbers.trace_max)
        self.state[proj.name, "x1"] = np.where(spiking, new, x1)
        return spiking

    def _history(self, proj: Projection, rule: Rule, trace: str) -> Ints:
        """h[0..t_epoch] of a trace, shape (t_epoch + 1, n)."""
        loss, shift = rule.traces[trace].wide
        h = [self.state[proj.name, trace]]
        spike_time = self.state[proj.name, "t" + trace[0]]
        for k in range(1, rule.t_epoch + 1):
            r = self._hash1(proj, CODES[trace], self.t - rule.t_epoch + k, spike_time.size) >> (32 - shift)
            value = h[-1] - ((h[-1] * loss + r) >> shift)
            h.append(np.where(spike_time == k, self._impulse(proj, trace, value, 0), value))
        return np.array(h)

    # ------------------------------------------------------------------------------------------- what rules read

    def _modulator_history(self, proj: Projection, rule: Rule, name: str) -> Ints:
        """A modulator, the same at each step of the epoch, shape (t_epoch + 1, n_post)."""
        modulator = self.program.modulators[name]
        value = brought(self.state[name, "m"], modulator.frac, MODULATOR_FRAC)
        value = self._clip("modulator, read", value, -FULL, FULL - 1)
        return np.broadcast_to(value, (rule.t_epoch + 1, self._sizes(proj)[1]))

    # ------------------------------------------------------------------------------------------- sums of products

    def _sum(
        self, proj: Projection, rule: Rule, series: tuple[Product, ...], acc: Ints,
        synaptic: dict[str, Ints | None], histories: dict[str, Ints],
    ) -> Ints:  # fmt: skip
        """The accumulator plus the products, saturating after each."""
        for product in series:
            active, read = self._reader(proj, rule, product, synaptic, histories)
            p = np.zeros_like(acc) + (product.mant << 26)
            for k, factor in enumerate(product.factors):
                bits = 16 - factor.bits

                def held(variable: str, bits: int = bits) -> Ints:
                    have = TRACE_FRAC if variable in rule.traces else FRACTION.get(variable, MODULATOR_FRAC)
                    return brought(read(variable), have, bits)  # noqa: B023

                constant = (factor.constant << CONSTANT_FRAC) + factor.fine
                value = held(factor.variable) + (constant << (bits - CONSTANT_FRAC))
                if factor.second:
                    value = value + factor.sign * held(factor.second)
                value = self._function(factor, value)
                if factor.function in ("sgn", "on"):
                    value = value << bits
                else:
                    value = self._clip("factor", value, -FULL, FULL - 1)
                p = (value * product.mant) << 10 if k == 0 else (p * value) >> 16
            shift = product.exp + min(sum(f.bits for f in product.factors), 11) - 5
            change = self._clip("product", brought(p, 0, shift), -ACC_MAX, ACC_MAX)
            acc = self._clip("accumulator", acc + change * active, -ACC_MAX, ACC_MAX - 1)
        return acc

    def _rounded(self, proj: Projection, variable: str, acc: Ints) -> Ints:
        """Stochastic rounding of the accumulator and the clip to the variable's range."""
        low, high = self._range(proj, variable)
        if variable == "tag_2" or (variable == "w" and proj.sign_mode == "exc"):
            acc = self._clip(f"sign of {variable}", acc, 0, ACC_MAX)
        elif variable == "w" and proj.sign_mode == "inh":
            acc = self._clip("sign of w", acc, -ACC_MAX, 0)
        stream = 16 * self.index[proj.name] + CODES[variable]
        r = hashed(self.program.seed, stream, self.t, *self._pairs(proj)) >> 18
        return self._clip(variable, (acc >> 14) + self._round_up(variable, r, acc & 16383), low, high)
