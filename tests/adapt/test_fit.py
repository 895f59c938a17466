"""Few labels change what a click gives there, and little else."""

import numpy as np
import pytest
import torch
from adapting_parts import TINY, ring

from uniultra.adapt.fit import fit
from uniultra.adapt.holdout import folds, held_out
from uniultra.adapt.pictures import Labelled, samples_of
from uniultra.adapt.scoring import cases_of, scene_cases, scores
from uniultra.adapt.settings import FitSettings
from uniultra.datasets.samples import Preparation
from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.weights import loading

MODEL = entry("uniultra_mini")


@pytest.fixture
def random_network():
    torch.manual_seed(0)
    return build("uniultra_mini", 64).eval()


def test_few_labels_teach_a_structure_and_leave_the_rest(one_thread):
    network, _ = loading.load("uniultra_mini", 128)
    settings = FitSettings(steps=24, batch=4, scenes=8, rate=4e-4, warmup=2, keep=4.0, average=0.9)
    unseen = [case for seed in range(50, 60) for case in cases_of(ring(seed))]
    old = scene_cases(128, 8)
    before, before_old = scores(network, MODEL, unseen), scores(network, MODEL, old)

    adapted = fit(network, [ring(seed) for seed in range(6)], settings, seed=1)

    after, after_old = scores(adapted, MODEL, unseen), scores(adapted, MODEL, old)
    assert after[:, 0].mean() > before[:, 0].mean() + 0.1, (before.mean(0), after.mean(0))
    assert after_old[:, 0].mean() > before_old[:, 0].mean() - 0.05
    again = scores(network, MODEL, unseen)
    np.testing.assert_array_equal(again, before)  # the network it started from is as it was


def test_the_same_seed_gives_the_same_network_and_another_another(random_network, one_thread):
    labels = [ring(0), ring(1)]
    one, same, other = (fit(random_network, labels, TINY, seed=seed) for seed in (3, 3, 4))
    first = "sam_mask_decoder.iou_token.weight"
    assert torch.equal(one.state_dict()[first], same.state_dict()[first])
    assert not torch.equal(one.state_dict()[first], other.state_dict()[first])
    assert not torch.equal(one.state_dict()[first], random_network.state_dict()[first])


def test_only_what_is_named_is_trained_and_only_part_of_the_way(random_network, one_thread):
    start = {name: value.clone() for name, value in random_network.state_dict().items()}
    whole, half = (
        fit(
            random_network,
            [ring(0)],
            TINY.model_copy(update={"trains": "decoder", "share": share}),
            seed=1,
        ).state_dict()
        for share in (1.0, 0.5)
    )
    for name, value in start.items():
        if not name.startswith(("sam_prompt_encoder", "sam_mask_decoder")):
            assert torch.equal(whole[name], value), name
        elif value.is_floating_point():
            torch.testing.assert_close(half[name], (value + whole[name]) / 2)


def test_it_can_be_stopped_from_outside(random_network):
    def stop():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fit(random_network, [ring(0)], TINY, seed=1, going_on=stop)


def test_empty_labels_alone_are_refused(random_network):
    empty = Labelled(ring(0).picture, np.zeros((96, 96), bool), "target", "patient")
    with pytest.raises(ModelError, match="structure"):
        fit(random_network, [empty], TINY, seed=1)


def test_every_structure_and_component_is_a_target_and_the_inner_one_is_not_clicked_as_the_outer():
    picture = ring(0).picture
    outer, inner, two = (np.zeros((96, 96), bool) for _ in range(3))
    outer[10:60, 10:60], inner[30:40, 30:40] = True, True
    two[70:80, 5:25], two[70:80, 70:90] = True, True
    labels = [Labelled(picture, mask, name, "p") for mask, name in ((outer, "a"), (inner, "b"), (two, "c"))]
    [sample] = samples_of(labels, Preparation(96, pseudo=False))
    assert sample.labelled == 4
    targets, clickable = sample.masks(range(4))
    assert targets[0].sum() == 2500 and clickable[0].sum() == 2400
    assert (clickable[1:] == targets[1:]).all()


def test_patients_are_divided_by_their_hash_alone():
    groups = [f"patient {n}" for n in range(200)]
    which = folds(groups, 3)
    turned = folds(groups[::-1], 3)[::-1]
    assert which == turned and {which.count(n) for n in range(3)} <= {66, 67}
    assert folds([*groups, *groups], 3)[200:] == which  # no patient in two
    assert 0.15 < sum(map(held_out, groups)) / 200 < 0.35
    assert held_out("patient 1") == held_out("patient 1")
