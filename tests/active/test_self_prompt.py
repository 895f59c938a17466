"""The model prompts itself where it should."""

import numpy as np
import pytest
import torch
from active_scenes import ENTRY, SIDE, BlobNetwork, blob_picture, disk

from uniultra.active.prototypes import peaks, prototypes, similarity
from uniultra.active.scoring import score_unit
from uniultra.active.self_prompt import GRID, PLACES, Prober
from uniultra.active.views import VIEWS, disagreement


@pytest.fixture
def network():
    return BlobNetwork()


@pytest.fixture
def prober(network):
    return Prober(network, ENTRY)


def known(prober, **labelled):
    """Prototypes of names, each from one labelled picture `(picture, mask)`."""
    seen = [(name, *prober.seen(prober.encode(p), mask)) for name, (p, mask) in labelled.items()]
    return prototypes(seen)


def test_without_labels_a_grid_is_asked_and_sure_answers_count(prober):
    picture = blob_picture(bright=[(16, 16, 9)])
    answers = prober.answers(prober.encode(picture), picture.shape, {})
    assert len(answers) == GRID**2 == len({one.click for one in answers})
    best = max(answers, key=lambda one: one.weight)
    assert disk(16, 16, 9)[round(best.click[1]), round(best.click[0])]
    assert best.weight > 10 * min(one.weight for one in answers)


@pytest.mark.parametrize("name", ["bright", "striped"])
def test_with_labels_the_structure_is_found_again(network, prober, name):
    seen = blob_picture(bright=[(16, 16, 9)], striped=[(46, 46, 9)])
    found = known(prober, bright=(seen, disk(16, 16, 9)), striped=(seen, disk(46, 46, 9)))
    new = blob_picture(bright=[(50, 14, 8)], striped=[(14, 50, 8)])
    answers = {one.name: one for one in prober.answers(prober.encode(new), new.shape, found)}
    assert set(answers) == {"bright", "striped"}
    place = {"bright": (50, 14), "striped": (14, 50)}[name]
    assert np.hypot(*np.subtract(answers[name].click, place)) < 5
    assert len(network.clicks) <= 2 * PLACES, "a prototype costs a few clicks, not a grid"


def test_the_answer_that_covers_what_is_alike_counts(prober):
    seen = blob_picture(bright=[(32, 32, 9)])
    found = known(prober, head=(seen, disk(32, 32, 9)))
    # A single bright cell is as bright as the disk, but an answer there covers mostly dark ones.
    new = blob_picture(bright=[(14, 14, 9), (52, 52, 2)])
    [answer] = prober.answers(prober.encode(new), new.shape, found)
    assert np.hypot(*np.subtract(answer.click, (14, 14))) < 6


def test_clicks_and_maps_are_of_the_picture(prober):
    wide = np.repeat(np.repeat(blob_picture(bright=[(16, 48, 9)]), 3, 1), 2, 0)
    seen = blob_picture(bright=[(16, 16, 9)])
    [answer] = prober.answers(prober.encode(wide), wide.shape, known(prober, head=(seen, disk(16, 16, 9))))
    x, y = answer.click
    assert 0 <= x < wide.shape[1] and np.hypot(x / 3 - 16, y / 2 - 48) < 5


def test_padding_is_no_part_of_the_picture(network):
    from dataclasses import replace

    padded = Prober(network, replace(ENTRY, fit="pad"))
    picture = np.full((32, SIDE), 100, np.uint8)
    embedding = padded.encode(picture)
    assert padded.features(embedding, picture.shape).shape[1:] == (8, 16)
    assert padded.pooled(embedding, picture.shape)[0] == pytest.approx(100 / 255, abs=0.01)
    assert all(one.probabilities.shape == (32, 64) for one in padded.answers(embedding, picture.shape, {}))


def test_prototypes_weigh_pictures_alike_and_leave_out_empty_labels(prober):
    picture = blob_picture(bright=[(16, 16, 9)])
    features, share = prober.seen(prober.encode(picture), disk(16, 16, 9))
    once = prototypes([("head", features, share), ("none", features, torch.zeros_like(share))])
    assert list(once) == ["head"] and once["head"].norm() == pytest.approx(1)
    twice = prototypes([("head", features, share)] * 2)
    assert torch.allclose(once["head"], twice["head"], atol=1e-6)


def test_a_structure_smaller_than_a_cell_is_learnt(prober):
    picture = blob_picture(bright=[(30, 30, 1)])
    found = known(prober, calcification=(picture, disk(30, 30, 1)))
    alike = similarity(prober.features(prober.encode(picture), picture.shape), found["calcification"])
    assert peaks(alike, 1)[0] in {(6, 7), (7, 6), (7, 7), (8, 8), (6, 6), (7, 8), (8, 7)}


def test_a_label_that_covers_everything_is_no_trouble(prober):
    picture = blob_picture(bright=[(16, 16, 9)])
    found = known(prober, all=(picture, np.ones(picture.shape, bool)))
    assert torch.isfinite(found["all"]).all()


def test_peaks_are_apart():
    map_ = torch.zeros(9, 9)
    map_[2, 2], map_[2, 3], map_[7, 7] = 3.0, 2.9, 1.0
    assert peaks(map_, 2) == [(2, 2), (7, 7)]


def test_views_of_a_network_that_ignores_them_agree(prober):
    picture = blob_picture(bright=[(20, 30, 9)])
    answers = prober.answers(prober.encode(picture), picture.shape, {})
    for view in VIEWS:
        same = disagreement(prober, answers, picture.shape, view, prober.encode(view.alter(picture)))
        assert same < (0.12 if view.mirrored else 0.3)
    mirror = VIEWS[0]
    # Asked on the picture itself as if it were the mirrored one, clicks land elsewhere.
    assert disagreement(prober, answers, picture.shape, mirror, prober.encode(picture)) > same


def test_scoring_encodes_once_and_each_view_once(network, prober):
    picture = blob_picture(bright=[(20, 30, 9)])
    found = score_unit(prober, picture, {})
    assert network.encoded == 1 + len(VIEWS)
    assert found.features.shape == (4,) and found.summary.disagreement is not None
    again = score_unit(prober, picture, {}, prober.encode(picture), views=False)
    assert network.encoded == 2 + len(VIEWS) and again.summary.disagreement is None
    assert again.summary.entropy == pytest.approx(found.summary.entropy)


def test_pieces_are_small(network):
    sizes = []

    def run(work):
        before = len(network.clicks)
        found = work()
        sizes.append(len(network.clicks) - before)
        return found

    picture = blob_picture(bright=[(20, 30, 9)])
    score_unit(Prober(network, ENTRY, run), picture, {})
    assert sum(sizes) >= GRID**2 and max(sizes) <= 12
