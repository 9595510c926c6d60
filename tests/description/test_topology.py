"""Topologies: which pairs, and in which layout the Graph holds them."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import sparse

import neuromorph as nm
from neuromorph.elaborate import elaborate
from neuromorph.graph import Projection
from neuromorph.plasticity import STDP
from neuromorph.topology import Topology
from neuromorph.units import ms

LEARN = STDP(a_plus=0.01, a_minus=0.01, tau_plus=20 * ms, tau_minus=20 * ms, w_max=1.0)


def connect(n_pre: int, n_post: int, *, same: bool = False, seed: int = 1, **settings: object) -> Projection:
    net = nm.Network(name="net", seed=seed)
    post = net.population(n_post, nm.LIF(tau_m=20 * ms), name="post")
    pre = post if same else net.input(n_pre, name="pre")
    settings.setdefault("weights", 0.5)
    net.connect(pre, post, name="syn", **settings)  # type: ignore[arg-type]
    return elaborate(net).projections[0]


def pairs(proj: Projection) -> list[tuple[int, int]]:
    assert proj.indptr is not None
    assert proj.indices is not None
    return [(i, int(j)) for i in range(proj.indptr.size - 1) for j in proj.indices[proj.indptr[i] : proj.indptr[i + 1]]]


def degrees(proj: Projection, n_post: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Targets of each source, sources of each target."""
    assert proj.indptr is not None
    assert proj.indices is not None
    return np.diff(proj.indptr), np.bincount(proj.indices, minlength=n_post)


def test_all_to_all_is_dense() -> None:
    proj = connect(3, 2)
    assert (proj.layout, proj.weights.tolist()) == ("dense", [[0.5, 0.5]] * 3)


def test_static_all_to_all_without_self_loops_is_dense_with_a_zero_diagonal() -> None:
    proj = connect(3, 3, same=True, topology=nm.AllToAll(self_loops=False), weights=-1.0)
    assert (proj.layout, proj.sign) == ("dense", "inh")
    assert proj.weights.tolist() == [[0, -1, -1], [-1, 0, -1], [-1, -1, 0]]


def test_plastic_all_to_all_without_self_loops_is_sparse_for_a_zero_weight_would_learn() -> None:
    proj = connect(3, 3, same=True, topology=nm.AllToAll(self_loops=False), plasticity=LEARN)
    assert proj.layout == "sparse"
    assert pairs(proj) == [(0, 1), (0, 2), (1, 0), (1, 2), (2, 0), (2, 1)]


def test_one_to_one() -> None:
    proj = connect(4, 4, topology=nm.OneToOne(), weights=[0.1, 0.2, 0.3, 0.4])
    assert pairs(proj) == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert proj.weights.tolist() == [0.1, 0.2, 0.3, 0.4]


@pytest.mark.parametrize("p", [0.0, 0.1, 0.5, 1.0])
def test_fixed_probability_connects_that_share_of_pairs(p: float) -> None:
    n = 200 * 150
    proj = connect(200, 150, topology=nm.FixedProbability(p))
    assert proj.layout == "sparse"
    assert abs(proj.weights.size - p * n) <= 5 * np.sqrt(n * p * (1 - p))
    if p == 0.5:  # no row or column is favoured
        rows, columns = degrees(proj, 150)
        assert np.abs(rows - 75).max() < 5 * np.sqrt(150 * 0.25)
        assert np.abs(columns - 100).max() < 5 * np.sqrt(200 * 0.25)


def test_more_probability_keeps_the_pairs_that_were_there() -> None:
    few = set(pairs(connect(50, 60, topology=nm.FixedProbability(0.1))))
    many = set(pairs(connect(50, 60, topology=nm.FixedProbability(0.3))))
    assert few < many


def test_fixed_in_degree_gives_each_target_k_distinct_sources() -> None:
    proj = connect(40, 500, topology=nm.FixedInDegree(7))
    rows, columns = degrees(proj, 500)
    assert np.all(columns == 7)
    assert len(set(pairs(proj))) == 3500
    # Each source is taken by 87.5 targets on average, SD sqrt(500 * 0.175 * 0.825).
    assert np.abs(rows - 87.5).max() < 5 * np.sqrt(500 * 0.175 * 0.825)


@pytest.mark.parametrize(
    "topology", [nm.FixedProbability(0.9, self_loops=False), nm.FixedInDegree(29, self_loops=False)]
)
def test_self_loops_can_be_left_out_of_drawn_pairs(topology: Topology) -> None:
    found = pairs(connect(30, 30, same=True, topology=topology))
    assert found
    assert all(i != j for i, j in found)


def test_drawing_in_blocks_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    settings: list[Topology] = [nm.FixedProbability(0.3, self_loops=False), nm.FixedInDegree(5, self_loops=False)]
    whole = [pairs(connect(23, 23, same=True, topology=t)) for t in settings]
    monkeypatch.setattr("neuromorph.topology.BLOCK", 50)
    assert [pairs(connect(23, 23, same=True, topology=t)) for t in settings] == whole


def test_explicit_pairs_are_sorted_and_carry_their_values() -> None:
    proj = connect(
        3, 3, topology=nm.Explicit([2, 0, 0], [0, 2, 1]), weights=[0.1, 0.2, 0.3], delay=[1 * ms, 2 * ms, 3 * ms]
    )
    assert pairs(proj) == [(0, 1), (0, 2), (2, 0)]
    assert proj.weights.tolist() == [0.3, 0.2, 0.1]
    assert np.asarray(proj.delays).tolist() == [3, 2, 1]


def test_no_pairs_at_all_are_a_projection_without_synapses() -> None:
    proj = connect(3, 2, topology=nm.Explicit([], []))
    assert (proj.weights.size, proj.layout) == (0, "sparse")


@pytest.mark.parametrize(
    "form", [sparse.coo_matrix, sparse.csr_matrix, sparse.csc_matrix, sparse.csr_array, sparse.lil_matrix]
)
def test_a_scipy_matrix_gives_pairs_and_weights(form: type) -> None:
    proj = connect(2, 3, weights=form(np.array([[0.0, 0.5, 0.0], [0.25, 0.0, -1.0]])))
    assert pairs(proj) == [(0, 1), (1, 0), (1, 2)]
    assert proj.weights.tolist() == [0.5, 0.25, -1.0]
    assert proj.sign == "mixed"


def test_stored_zeros_of_a_sparse_matrix_are_synapses() -> None:
    proj = connect(2, 2, weights=sparse.csr_matrix(([0.0, 1.0], [0, 1], [0, 1, 2]), shape=(2, 2)))
    assert proj.weights.tolist() == [0.0, 1.0]


def test_an_array_of_all_pairs_serves_a_sparse_topology() -> None:
    weights = np.arange(12.0).reshape(4, 3)
    proj = connect(4, 3, topology=nm.FixedProbability(0.5), weights=weights)
    assert proj.weights.tolist() == [weights[i, j] for i, j in pairs(proj)]
