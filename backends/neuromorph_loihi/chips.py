"""Loihi 1 and Loihi 2 as data: each limit with where it comes from, or that it is assumed, and why."""

from __future__ import annotations

from dataclasses import dataclass

from neuromorph.image import FEATURES

__all__ = ["LOIHI_1", "LOIHI_2", "Chip", "Limit"]

DAVIES = "Davies et al., IEEE Micro 38(1), 2018, doi:10.1109/MM.2018.112130359"
NENGO = "what nengo-loihi 1.1 checks (block.py, validate.py, hardware/validate.py, hardware/nxsdk_objects.py)"
BRIAN = "Michaelis et al., Front. Neuroinform. 16, 2022 (Brian2Loihi), doi:10.3389/fninf.2022.1015624"
BRIEF = "Intel, technology brief on Loihi 2 and Lava, 2021"
SAME = f"assumed as on Loihi 1, not published for Loihi 2; {NENGO}"
MICROCODE = "assumed: Loihi 2 runs neuron models in microcode, which can hold what docs/semantics.md allows"


@dataclass(frozen=True, slots=True)
class Limit:
    """A number and its source."""

    value: int
    source: str


@dataclass(frozen=True, slots=True)
class Chip:
    """What a system of equal chips holds.

    Attributes
    ----------
    target, model, board : str
        The target's name, the chip, and the system that `chips` counts.
    chips, cores : Limit
        Chips of the system; neuron cores of a chip.
    compartments, input_axons, output_axons : Limit
        Per core: neurons, entries for arriving axons, entries for axons that leave.
    synapse_bits, memory_bits : Limit
        Per core: memory of synapses; memory of synapses and neuron states together.
    decay_configs, threshold_configs, synapse_formats, trace_configs : Limit
        Per core: different (du, dv, refractory), (vth, vth_lo), formats of synapses, presynaptic traces.
    learning_entries : Limit
        Entries for arriving axons that an axon takes on a core that learns.
    state_bits : Limit
        Memory of one state variable or own parameter of a neuron.
    delay_max, dv_max, vth_min, refractory_max, bias_mantissa, bias_exponent : Limit
        Ranges of parameters, in the terms of docs/semantics.md.
    weight_exp_min, weight_exp_max : Limit
        Range of a projection's exponent.
    tag_2 : Limit
        1: a rule may have ``dd``.
    input_bits : Limit
        Of the current that arrives at a neuron in one step, besides its sign; 0: those of u.
    modulators : Limit
        Of a rule; they take the place of the post traces, so that it has none of these.
    lacks : frozenset of str
        Features of docs/image.md that it does not hold.
    why_lacks : str
        The source of `lacks`.
    """

    target: str
    model: str
    board: str
    chips: Limit
    cores: Limit
    compartments: Limit
    input_axons: Limit
    output_axons: Limit
    synapse_bits: Limit
    memory_bits: Limit
    decay_configs: Limit
    threshold_configs: Limit
    synapse_formats: Limit
    trace_configs: Limit
    learning_entries: Limit
    state_bits: Limit
    delay_max: Limit
    dv_max: Limit
    vth_min: Limit
    refractory_max: Limit
    bias_mantissa: Limit
    bias_exponent: Limit
    weight_exp_min: Limit
    weight_exp_max: Limit
    tag_2: Limit
    modulators: Limit
    input_bits: Limit
    lacks: frozenset[str]
    why_lacks: str

    @property
    def features(self) -> frozenset[str]:
        """Features of docs/image.md that it holds."""
        return frozenset(FEATURES) - self.lacks - EXTENSIONS


EXTENSIONS = frozenset({"extended_factors", "resource_sums", "short_term"})
"""Of rules and synapses, beyond the learning engine of any chip here."""
LOIHI_1 = Chip(
    target="loihi:1",
    model="Loihi 1",
    board="Nahuku board",
    chips=Limit(32, "Davies et al., Proc. IEEE 109(5), 2021: Nahuku boards of 8 to 32 chips"),
    cores=Limit(128, DAVIES),
    compartments=Limit(1024, f"{DAVIES}; {NENGO}"),
    input_axons=Limit(4096, NENGO),
    output_axons=Limit(4096, NENGO),
    synapse_bits=Limit(16384 * 64, f"{NENGO}; 128 KiB in {DAVIES}"),
    memory_bits=Limit(208 * 8192, f"{BRIEF}: 208 KiB per core of Loihi 1, in fixed parts; so never the limit"),
    decay_configs=Limit(32, NENGO),
    threshold_configs=Limit(16, NENGO),
    synapse_formats=Limit(15, f"{NENGO}: 16, of which number 0 stays unused"),
    trace_configs=Limit(3, NENGO),
    learning_entries=Limit(2, f"{NENGO}: Synapse.idxs_per_synapse"),
    state_bits=Limit(24, f"{DAVIES}: u and v of 24 bits"),
    delay_max=Limit(62, BRIAN),
    dv_max=Limit(4095, NENGO),
    vth_min=Limit(1, NENGO),
    refractory_max=Limit(62, f"{NENGO}: refract_delay 1..63 keeps silence for one step less"),
    bias_mantissa=Limit(4095, "nengo-loihi 1.1, builder/discretize.py: 12 bits and sign"),
    bias_exponent=Limit(7, "nengo-loihi 1.1, builder/discretize.py: 3 bits"),
    weight_exp_min=Limit(-7, NENGO),
    weight_exp_max=Limit(7, NENGO),
    tag_2=Limit(0, f"{DAVIES}: the second tag is the delay itself, so learning it would change the delay"),
    input_bits=Limit(21, "nengo-loihi 1.1, emulator/interface.py: q0 wraps at 21 bits and sign"),
    modulators=Limit(0, f"{DAVIES}: reward traces, whose integers are not published"),
    lacks=frozenset(
        {
            "graded",
            "ternary",
            "adaptive_threshold",
            "threshold_drift",
            "scheduled_reset",
            "modulators",
        }
    ),
    why_lacks=f"{DAVIES}: spikes carry no payload and the neuron is a fixed LIF. Its own threshold adaptation is "
    "another one than ours (docs/semantics.md, 2), and so are its reward traces: no published source gives their "
    "integers",
)
"""Loihi 1, of 2018."""

LOIHI_2 = Chip(
    target="loihi",
    model="Loihi 2",
    board="Kapoho Point board",
    chips=Limit(8, "Intel, announcement of Kapoho Point, 2022"),
    cores=Limit(120, "assumed: Intel's Hala Point, 2024, has 140,544 cores on 1,152 chips, 122 each; 128 in the brief"),
    compartments=Limit(8192, f"{BRIEF}: 1 million neurons per chip, at most 8192 per core"),
    input_axons=Limit(4096, SAME),
    output_axons=Limit(4096, SAME),
    synapse_bits=Limit(16384 * 64, f"{SAME}; {BRIEF} has 120 million synapses per chip, which is 2^20 of one bit"),
    memory_bits=Limit(192 * 8192, f"{BRIEF}: 192 KiB per core, divided freely"),
    decay_configs=Limit(32, SAME),
    threshold_configs=Limit(16, SAME),
    synapse_formats=Limit(15, SAME),
    trace_configs=Limit(3, SAME),
    learning_entries=Limit(2, SAME),
    state_bits=Limit(32, "assumed: 32 bits, the width of our states; 8192 neurons of two then take the 64 KiB left"),
    delay_max=Limit(62, f"assumed as on Loihi 1, not published for Loihi 2; {BRIAN}"),
    dv_max=Limit(4096, "lava-nc 0.10, proc/lif"),
    vth_min=Limit(0, "lava-nc 0.10, proc/lif"),
    refractory_max=Limit(65535, MICROCODE),
    bias_mantissa=Limit((1 << 23) - 1, MICROCODE),
    bias_exponent=Limit(0, MICROCODE),
    weight_exp_min=Limit(-8, f"{BRIAN}: 4 bits with sign; assumed as on Loihi 1"),
    weight_exp_max=Limit(7, f"{BRIAN}: 4 bits with sign; assumed as on Loihi 1"),
    tag_2=Limit(1, "lava-nc 0.10, magma/core/learning: dd of a rule changes tag_2, which delays nothing"),
    input_bits=Limit(0, "lava-nc 0.10, proc/lif: no limit but that of u"),
    modulators=Limit(3, f"lava-nc 0.10, magma/core/learning: Loihi3FLearningRule. Who sends them: {MICROCODE}"),
    lacks=frozenset(),
    why_lacks=f"{BRIEF}: programmable neurons, spikes with a payload, rules with three factors. {MICROCODE}",
)
"""Loihi 2, of 2021."""
