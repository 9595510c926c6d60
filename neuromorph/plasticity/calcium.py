"""Plasticity by the calcium that pre- and postsynaptic spikes let in."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.errors import ValidationError
from neuromorph.parameters import described
from neuromorph.plasticity.base import (
    IdealFactor,
    IdealRule,
    IdealTrace,
    PlasticityRule,
    Term,
    decay_exponent,
    epoch_steps,
    period_exponent,
    require,
)

__all__ = ["CalciumRule"]


@described
@dataclass(frozen=True, kw_only=True)
class CalciumRule(PlasticityRule):
    """Calcium above a high threshold potentiates, above a low one it depresses.

    ``tau_calcium c' = -c``, ``c += c_pre`` at a presynaptic and ``c += c_post`` at a postsynaptic spike;
    ``w' = gamma_p (w_max - w) on(c - theta_p) - gamma_d w on(c - theta_d)``, on(x) = 1 for x > 0, else 0. With `tau`
    the synapse has two stable states: ``w' -= w (1 - W) (W_0 - W) / tau`` with ``W = w / w_max`` moves it to 0 or to
    w_max, whichever side of ``W_0 w_max`` it is on. The noise of the original is left out, and so is the delay of the
    presynaptic calcium.

    Parameters
    ----------
    tau_calcium : float
        Seconds, > 0.
    c_pre, c_post : float
        Calcium of one spike, > 0, in the units of the thresholds.
    theta_p, theta_d : float
        Thresholds of potentiation and depression, > 0.
    gamma_p, gamma_d : float
        Rates in 1/s, >= 0 (not both 0): gamma / tau of the original.
    w_max : float
        Largest weight, > 0; weights stay in 0..w_max (``exc``).
    tau : float, optional
        Seconds, > 0, of the drift to the stable states; None: no drift.
    w_0 : float
        W_0, between 0 and 1.
    period : float, optional
        Time between changes in seconds, held as the nearest power of two of epochs; default: the longest that is at
        most ``tau_calcium / 8``.
    peak : float
        Trace value (in spikes of each side) up to which the machine's 7 bits must not saturate, 1..127.

    Notes
    -----
    Source: Graupner and Brunel (2012), PNAS 109:3991; hippocampal slices, for example: tau_calcium 48.8 ms, c_pre 1,
    c_post 0.275865, theta_d 1, theta_p 1.3. Targets: those that have extended factors (sums of two traces).
    """

    tau_calcium: float
    c_pre: float
    c_post: float
    theta_p: float
    theta_d: float
    gamma_p: float
    gamma_d: float
    w_max: float
    tau: float | None = None
    w_0: float = 0.5
    period: float | None = None
    peak: float = 4.0

    def __post_init__(self) -> None:
        PlasticityRule.__post_init__(self)
        for name in ("c_pre", "c_post", "theta_p", "theta_d", "w_max"):
            require(self, name, 0.0)
        require(self, "tau_calcium", 0.0, unit="s")
        for name in ("gamma_p", "gamma_d"):
            require(self, name, 0.0, closed=True, unit="1/s")
        if self.gamma_p == 0 and self.gamma_d == 0:
            raise ValidationError("CalciumRule.gamma_p and gamma_d are both 0: the rule changes nothing")
        for name in ("tau", "period"):
            if getattr(self, name) is not None:
                require(self, name, 0.0, unit="s")
        require(self, "w_0", 0.0, 1.0)
        require(self, "peak", 1.0, 127.0, closed=True)

        most = self.peak * (self.c_pre + self.c_post)
        for name in ("theta_p", "theta_d"):
            if getattr(self, name) > most:
                raise ValidationError(
                    f"CalciumRule.{name} = {getattr(self, name):g} is over the {most:g} that c can reach with peak = "
                    f"{self.peak:g}; raise peak"
                )

    @property
    def bound(self) -> float:
        """`w_max`."""
        return self.w_max

    def ideal(self, dt: float) -> IdealRule:
        """``on(x1 + y1 - theta)`` with both traces in the same unit."""
        steps = epoch_steps(self, dt)
        epoch = steps * dt
        if self.period is None:
            k = decay_exponent("CalciumRule.tau_calcium", self.tau_calcium, epoch)
        else:
            k = period_exponent("CalciumRule.period", self.period, epoch)
        held, w = epoch * 2**k, IdealFactor("w")
        terms = [
            Term("gamma_p", "u", -held * self.gamma_p, (_above(self.theta_p), IdealFactor("w", -self.w_max)), k, True),
            Term("gamma_d", "u", -held * self.gamma_d, (_above(self.theta_d), w), k),
        ]
        if self.tau is not None:
            slow = decay_exponent("CalciumRule.tau", self.tau, epoch)
            well = (w, IdealFactor("w", -self.w_max), IdealFactor("w", -self.w_0 * self.w_max))
            drift = -epoch * 2**slow / self.tau / self.w_max**2
            terms.append(Term("1 / tau", "u", drift, well, slow))
        traces = {
            "x1": IdealTrace(self.tau_calcium, self.c_pre, self.peak),
            "y1": IdealTrace(self.tau_calcium, self.c_post, self.peak),
        }
        dw = tuple(term for term in terms if term.coefficient)
        return IdealRule(dw, traces, t_epoch=steps, seed=self.seed)


def _above(threshold: float) -> IdealFactor:
    return IdealFactor("x1", -threshold, "on", "y1")
