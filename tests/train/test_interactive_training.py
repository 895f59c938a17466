"""A step trains the first answer and one later one, whatever it costs to get there."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.models import entry
from uniultra.prompts import Box, Point, PromptSet
from uniultra.train import objective as module
from uniultra.train.batches import Batch, protocol_of
from uniultra.train.initial_network import starting_network
from uniultra.train.losses import best_mask, mask_loss, quality_loss
from uniultra.train.objectives import build_objective

SIDE = 64


def drawn(recipe, step=0, prompts=None):
    """Four targets on two pictures."""
    masks = np.zeros((4, SIDE, SIDE), bool)
    for n in range(4):
        masks[n, 6 + 8 * n : 30 + 8 * n, 10 : 30 + 6 * n] = True
    pictures = torch.rand(2, 3, SIDE, SIDE, generator=torch.Generator().manual_seed(1))
    truth = F.interpolate(torch.from_numpy(masks).float()[:, None], scale_factor=0.5, mode="area")
    weight, picture = torch.tensor([1.0, 0.5, 1.0, 1.0]), torch.tensor([0, 0, 1, 1])
    batch = Batch((recipe.seed, step), pictures, masks, truth, weight, picture, (0, 1, 2, 3))
    protocol = protocol_of(recipe)
    first = prompts or [protocol.first(masks[n], masks[n], batch.rng(n, 0)) for n in range(4)]
    return replace(batch, prompts=tuple(first))


def goal_of(recipe):
    return build_objective(starting_network(recipe), entry(recipe.model), recipe).train()


@pytest.fixture
def asked(monkeypatch):
    """Whether each question to the network was with gradients, and how many clicks it had."""
    seen = []

    def listen(network, embedding, picture, encoded, **how):
        clicks = sum(int((e.labels < 2).sum()) for e in encoded)
        seen.append((torch.is_grad_enabled(), clicks))
        return decode(network, embedding, picture, encoded, **how)

    decode = module.decode_by_length
    monkeypatch.setattr(module, "decode_by_length", listen)
    return seen


def test_two_answers_have_gradients_however_far_a_step_goes(small, asked):
    recipe = small(prompts="interactive", corrections=8, targets=2)
    goal = goal_of(recipe)
    step = next(n for n in range(99) if goal._trained(drawn(recipe, n)) == (0, 4))
    goal(drawn(recipe, step))["loss"].backward()
    assert [with_gradients for with_gradients, _ in asked] == [True, False, False, False, True]
    clicks = [count for _, count in asked]
    assert all(after > before for before, after in pairwise(clicks))
    assert all(p.grad is not None for p in goal.network.sam_mask_decoder.transformer.parameters())


def test_early_corrections_are_trained_more_often_and_all_are(small):
    recipe = small(prompts="interactive", corrections=8)
    goal, batch = goal_of(recipe), drawn(recipe)
    turns = Counter(goal._trained(replace(batch, key=(1, n)))[1] for n in range(1500))
    assert set(turns) == set(range(1, 9)) and turns[1] > 2 * turns[5] > 2 * turns[8]
    assert 2.8 < sum(turn * count for turn, count in turns.items()) / 1500 < 3.4


def test_a_part_of_a_batch_takes_the_same_turns_and_prompts(small, asked):
    """Two processes with half a batch each do what one does with the whole."""
    recipe = small(prompts="interactive", corrections=3, targets=2, multimask=1.0, trains="decoder")
    goal, batch = goal_of(recipe), drawn(recipe, 5)
    whole = goal(batch)
    half = len(asked)
    halves = []
    for part in (slice(0, 2), slice(2, 4)):
        mine = replace(
            batch,
            pictures=batch.pictures[part.start // 2 :][:1],
            masks=batch.masks[part],
            truth=batch.truth[part],
            weight=batch.weight[part],
            picture=torch.zeros(2, dtype=torch.long),
            numbers=batch.numbers[part],
            prompts=batch.prompts[part],
            share=float(2 * batch.weight[part].sum() / batch.weight.sum()),
        )
        halves.append(goal(mine))
    assert [one[0] for one in asked[:half]] == [one[0] for one in asked[half : 2 * half]]
    for name in whole:
        both = (halves[0][name] + halves[1][name]) / 2
        torch.testing.assert_close(both, whole[name], rtol=1e-4, atol=1e-5)


def test_turns_and_corrections_exclude_each_other(small):
    with pytest.raises(ModelError, match="exclude"):
        small(turns=2, corrections=8)


CLICKS = [PromptSet(points=(Point(20, 15),)), PromptSet(points=(Point(18, 25),))]
OTHERS = [PromptSet(box=Box(10, 22, 40, 46)), PromptSet(points=(Point(3, 3, positive=False),))]


def test_only_the_best_of_three_masks_learns_from_a_lone_click(small):
    recipe = small(prompts="interactive", turns=1, multimask=1.0, targets=2)
    goal = goal_of(recipe)
    batch = drawn(recipe, prompts=CLICKS + OTHERS)
    coords = [[[p.x, p.y], [0, 0]] for one in CLICKS for p in one.points]
    with torch.no_grad():
        embedding = goal.encode(batch).repeat(torch.tensor([0, 0]))
        drawings = torch.stack([torch.from_numpy(e.drawing) for e in goal.encoded(CLICKS)])
        logits, iou = goal.network.decode_all(
            embedding, torch.tensor(coords), torch.tensor([[1.0, -1.0]] * 2), drawings
        )
        best = best_mask(logits[:, 1:], batch.truth[:2])
        chosen = logits[[0, 1], 1 + best][:, None], iou[[0, 1], 1 + best][:, None]
        alone = batch.weight[:2]
        expected = mask_loss(*chosen, batch.truth[:2], alone)
        expected += quality_loss(logits[:, 1:], iou[:, 1:], batch.truth[:2], alone)
    found = goal(batch)
    torch.testing.assert_close(found["best"], expected * 1.5 / 3.5, rtol=1e-4, atol=1e-4)
    found["loss"].backward()
    heads = goal.network.sam_mask_decoder.output_hypernetworks_mlps
    learnt = [bool(head.layers[0].weight.grad.any()) for head in heads]
    assert learnt == [True, *(n in best.tolist() for n in range(3))]
    last = goal.network.sam_mask_decoder.iou_prediction_head.layers[-1].weight.grad
    assert last.flatten(1).any(1).all()  # every mask's predicted IoU


def test_without_a_lone_click_the_three_masks_learn_nothing(small):
    recipe = small(prompts="interactive", turns=1, multimask=1.0, targets=2)
    goal = goal_of(recipe)
    found = goal(drawn(recipe, prompts=OTHERS + OTHERS))
    found["loss"].backward()
    assert found["best"] == 0
    heads = goal.network.sam_mask_decoder.output_hypernetworks_mlps
    assert not any(p.grad is not None and p.grad.any() for head in heads[1:] for p in head.parameters())


def test_border_and_best_are_parts_of_the_loss_only_where_wanted(small):
    plain = goal_of(small(prompts="interactive"))
    assert set(plain(drawn(plain.recipe))) == {"loss", "mask", "click"}
    recipe = small(prompts="interactive", border_weight=0.5, multimask=2.0, click_weight=1.0, targets=2)
    goal = goal_of(recipe)
    found = goal(drawn(recipe, prompts=CLICKS + OTHERS))
    total = found["mask"] + found["click"] + 0.5 * found["border"] + 2 * found["best"]
    torch.testing.assert_close(found["loss"].detach(), total)
    assert found["border"] > 0


def test_the_four_masks_are_the_single_one_and_the_three(small):
    network = starting_network(small()).eval()
    coords, labels = torch.tensor([[[20.0, 30.0], [0.0, 0.0]]]), torch.tensor([[1.0, -1.0]])
    with torch.no_grad():
        embedding = network.encode(torch.rand(1, 3, SIDE, SIDE))
        dense = torch.rand(1, 4, 16, 16)
        every, scores = network.decode_all(embedding, coords, labels, dense)
        one, three = (network.decode(embedding, coords, labels, dense, many) for many in (False, True))
    assert every.shape[1] == 4
    assert torch.equal(every[:, :1], one[0]) and torch.equal(every[:, 1:], three[0])
    assert torch.equal(scores[:, :1], one[1]) and torch.equal(scores[:, 1:], three[1])
