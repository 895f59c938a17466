"""Each query strategy on a pool where the right answer is known."""

from dataclasses import replace

import numpy as np
import pytest

from uniultra.active.pool import Pool
from uniultra.active.registry import order, strategy
from uniultra.active.strategies import clasp_pe, coreset, stochastic_batches, typiclust
from uniultra.active.strategies.draws import mixed
from uniultra.errors import RequestError


def pool(n=12, labelled=(), seed=0, **scores):
    marked = np.zeros(n, bool)
    marked[list(labelled)] = True
    known = {name: np.asarray(values, float) for name, values in scores.items() if name != "batch"}
    known.setdefault("features", np.random.default_rng(1).normal(size=(n, 3)))
    return Pool(
        labelled=marked,
        rng=np.random.default_rng(seed),
        batch=scores.get("batch", 4),
        **known,
    )


def clusters(sizes, dimensions=4):
    """Tight clusters far from each other; the first member of each is its middle."""
    rng = np.random.default_rng(3)
    centres = 20 * np.eye(len(sizes), dimensions)
    parts = [
        centre + np.concatenate([np.zeros((1, dimensions)), rng.uniform(0.5, 1, (size - 1, dimensions))])
        for centre, size in zip(centres, sizes, strict=True)
    ]
    return np.concatenate(parts), np.repeat(np.arange(len(sizes)), sizes)


def test_typiclust_takes_one_of_each_cluster():
    features, cluster = clusters([9, 7, 8, 6])
    chosen = order("typiclust", pool(30, features=features, batch=4))[:4]
    assert sorted(cluster[chosen]) == [0, 1, 2, 3]
    assert cluster[chosen[0]] == 0, "the largest cluster comes first"


def test_typiclust_prefers_the_dense_middle():
    rng = np.random.default_rng(0)
    dense = rng.normal(0, 0.1, (20, 2))
    loose = rng.normal(0, 5.0, (10, 2)) + 3
    features = np.concatenate([loose, dense])
    assert order("typiclust", pool(30, features=features, batch=1))[0] >= 10


def test_typiclust_leaves_clusters_with_labels_for_later():
    features, cluster = clusters([9, 7, 8, 6])
    chosen = typiclust.rank(pool(30, labelled=[0, 9], features=features, batch=2))
    assert sorted(cluster[chosen[:2]]) == [2, 3]
    assert not {0, 9} & set(chosen)


def test_typicality_of_a_lone_unit_is_a_number():
    assert np.isfinite(typiclust.typicality(np.zeros((1, 2)))).all()
    assert np.isfinite(typiclust.typicality(np.zeros((5, 2)))).all(), "equal pictures lie at no distance"


def test_coreset_goes_farthest_first():
    features = np.asarray([[0.0], [1.0], [2.0], [10.0], [4.0]])
    assert order("coreset", pool(5, labelled=[0], features=features)).tolist() == [3, 4, 2, 1]


def test_coreset_begins_in_the_middle_without_labels():
    features = np.asarray([[0.0], [5.2], [10.0]])
    assert coreset.rank(pool(3, features=features))[0] == 1


@pytest.mark.parametrize(
    ("name", "score", "largest"),
    [
        ("entropy", "entropy", True),
        ("boundary_entropy", "boundary", True),
        ("disagreement", "disagreement", True),
        ("iou_head", "iou", False),
    ],
)
def test_uncertainty_comes_in_order(name, score, largest):
    values = np.random.default_rng(5).permutation(12) / 12
    expected = np.argsort(-values if largest else values)
    found = order(name, pool(12, labelled=[3], **{score: values}))
    assert found.tolist() == [n for n in expected if n != 3]


def test_ties_are_broken_by_chance():
    drawn = {order("entropy", pool(12, seed=s, entropy=np.ones(12)))[0] for s in range(20)}
    assert len(drawn) > 3


def test_foreground_random_draws_where_structures_are():
    share = np.zeros(100)
    share[:20] = 0.3
    first = [order("foreground_random", pool(100, seed=s, foreground=share))[:9] for s in range(50)]
    found = np.mean([(chosen < 20).mean() for chosen in first])
    # Two of three places are theirs, and a fifth of the third.
    assert found == pytest.approx(2 / 3 + 1 / 3 / 5, abs=0.08)
    assert len({tuple(chosen) for chosen in first}) == 50


def test_random_is_uniform():
    first = [order("random", pool(10, seed=s))[0] for s in range(500)]
    assert np.bincount(first, minlength=10).min() > 25


def test_classes_divide_what_is_stratified():
    rng = np.random.default_rng(0)
    classes = np.full((90, 3), 1e-6)
    for n in range(3):
        classes[30 * n : 30 * n + 10, n] = 1  # ten units where class n is uncertain
    entropy = rng.uniform(0, 1e-3, 90)
    entropy[20:30] = 1  # a common structure would take all places by itself
    labelled = list(range(80, 90)) * 5
    chosen = clasp_pe.rank(replace(pool(90, labelled, classes=classes, entropy=entropy, batch=1)))[:15]
    taken = [np.isin(chosen, np.arange(30 * n, 30 * n + 10)).sum() for n in range(3)]
    assert min(taken) >= 3 and sum(taken) == 10
    assert np.isin(chosen, np.arange(20, 30)).sum() == 5


def test_noise_decays_over_the_rounds():
    assert clasp_pe.power(0) == 1 and clasp_pe.power(3) < clasp_pe.power(4)
    assert clasp_pe.power(5) == clasp_pe.power(50) == pytest.approx(100)
    values = np.linspace(0.1, 1, 60)
    scores = {"entropy": values, "classes": values[:, None]}

    def agreement(labelled):
        found = [
            order("clasp_pe", pool(60, labelled, seed=s, batch=2, **scores))[:5].tolist() for s in range(30)
        ]
        return np.mean([len({55, 56, 57, 58, 59} & set(one)) for one in found])

    assert agreement(list(range(12))) > 4 > 1.5 > agreement([])


def test_stochastic_batches_go_by_their_mean():
    values = np.random.default_rng(2).uniform(size=20)
    found = order("stochastic_batches", pool(20, boundary=values, batch=5)).reshape(4, 5)
    means = values[found].mean(1)
    assert (np.diff(means) <= 0).all()
    assert all((np.diff(values[batch]) <= 0).all() for batch in found)
    top = set(np.argsort(-values)[:5])
    assert set(found[0]) != top, "a batch is drawn, not picked unit by unit"


def test_a_cine_is_spread_over_batches():
    groups = ["cine"] * 4 + [f"still {n}" for n in range(12)]
    made = replace(pool(16, boundary=np.ones(16), batch=4), groups=groups)
    batches = stochastic_batches.divided(made)
    assert [sum(groups[n] == "cine" for n in batch) for batch in batches] == [1, 1, 1, 1]


def test_the_default_starts_with_typical_pictures():
    features, cluster = clusters([9, 7, 8, 6])
    boundary = np.zeros(30)
    boundary[20] = 1
    scores = {"features": features, "boundary": boundary}
    cold = order("default", pool(30, batch=4, **scores))[:4]
    assert sorted(cluster[cold]) == [0, 1, 2, 3]
    warm = order("default", pool(30, labelled=[0, 1, 2, 3], batch=4, **scores))
    assert 20 in warm[:4], "the batch with the uncertain unit is the most uncertain"


def test_shares_are_held_wherever_the_order_is_cut():
    first, second = np.arange(12), np.arange(12)[::-1]
    found = mixed([first, second], [2 / 3, 1 / 3])
    assert found[:6].tolist() == [0, 11, 1, 2, 10, 3]
    assert sorted(found) == list(range(12))


def test_unknown_names_and_crooked_pools_are_refused():
    with pytest.raises(RequestError, match="boundary_entropy"):
        strategy("best")
    with pytest.raises(RequestError, match="3 units"):
        pool(3, entropy=[1.0, 2.0])
