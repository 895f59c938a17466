"""A guided training learns from labels and from a teacher at once, each seeing what it is made for."""

from dataclasses import replace

import numpy as np
import pytest
import torch
from moved_networks import SIDE, made
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.models import entry
from uniultra.networks.sam_image import SamImage
from uniultra.train.batches import Batch, protocol_of
from uniultra.train.distill_run import DistillRecipe
from uniultra.train.distillation.distill import DistillObjective
from uniultra.train.distillation.encoder_features import recorded
from uniultra.train.distillation.guided import GuidedObjective, soft_loss
from uniultra.train.objective import PromptObjective
from uniultra.train.recipe import Recipe


def recipe(distill=None, **changes):
    values = {
        "model": "uniultra_mini",
        "datasets": {"any": 1},
        "steps": 1,
        "batch": 2,
        "targets": 1,
        "objective": "guided",
        "prompts": "interactive",
        "corrections": 3,
        "trains": "all",
        "distill": {"model": "uniultra_mini", **(distill or {})},
    }
    return Recipe.of(values | changes)


def batch(used, side=SIDE):
    masks = np.zeros((2, side, side), bool)
    masks[0, side // 4 : side // 2, side // 4 : side // 2] = True
    masks[1, side // 2 : -4, side // 3 : -9] = True
    truth = F.interpolate(torch.from_numpy(masks).float()[:, None], scale_factor=0.5, mode="area")
    pictures = torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))
    blank = Batch((1, 0), pictures, masks, truth, torch.ones(2), torch.arange(2), (0, 1))
    protocol = protocol_of(used)
    return replace(
        blank, prompts=tuple(protocol.first(masks[n], masks[n], blank.rng(n, 0)) for n in range(2))
    )


def test_the_loss_is_that_of_the_labels_of_the_features_and_of_the_masks():
    used = recipe({"features": 0.5, "logits": 2.0}, turns=1, corrections=0)
    student, teacher = made(seed=1), made(seed=2)
    found = GuidedObjective(student, entry("uniultra_mini"), used, teacher)(batch(used))
    labels = PromptObjective(student, entry("uniultra_mini"), used)(batch(used))
    features = DistillObjective(student, entry("uniultra_mini"), used, teacher)(batch(used))
    assert set(found) == {"loss", "mask", "click", "guide", "features"}
    torch.testing.assert_close(found["mask"], labels["mask"])
    torch.testing.assert_close(found["features"], features["loss"].detach())
    total = found["mask"] + 0.5 * found["features"] + 2 * found["guide"]
    torch.testing.assert_close(found["loss"].detach(), total)
    assert found["guide"] > 0


def test_a_teacher_has_nothing_to_say_to_its_equal():
    used = recipe()
    found = GuidedObjective(made(seed=1), entry("uniultra_mini"), used, made(seed=1))(batch(used))
    assert found["guide"].abs() < 1e-5 and found["features"] < 1e-9 < found["mask"]


@pytest.mark.parametrize("distill", [{"features": 0}, {"logits": 0}])
def test_either_likeness_can_be_left_out(distill):
    used = recipe(distill)
    found = GuidedObjective(made(seed=1), entry("uniultra_mini"), used, made(seed=2))(batch(used))
    assert ("features" in found) == ("features" not in distill)
    assert ("guide" in found) == ("logits" not in distill)


def test_the_student_comes_closer_and_the_teacher_stays():
    used = recipe(corrections=0, turns=1)
    student, teacher = made(seed=1), made(seed=2)
    with torch.no_grad():  # a teacher that is sure of something
        teacher.sam_mask_decoder.output_hypernetworks_mlps[0].layers[-1].weight.mul_(30)
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    goal, drawn = GuidedObjective(student, entry("uniultra_mini"), used, teacher).train(), batch(used)
    goal.weights["mask"] = 0.0  # whatever the labels say
    assert not goal.teacher.training and goal.network.training
    optimizer = torch.optim.Adam(student.parameters(), 2e-3)
    seen = []
    for _ in range(8):
        found = goal(drawn)
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        seen.append({name: float(part.detach()) for name, part in found.items()})
    for name in ("guide", "features"):
        assert seen[-1][name] < 0.9 * seen[0][name], name
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_a_larger_teacher_sees_larger_pictures_and_the_same_prompts(monkeypatch):
    used = recipe({"model": "uniultra_t", "image_size": 2 * SIDE})
    teacher = made("uniultra_t", 3, 2 * SIDE)
    assert teacher.map_channels == 1  # logits instead of drawn prompts
    student = made(seed=1)
    seen = {"teacher": [], "student": []}
    for name, network in (("teacher", teacher), ("student", student)):

        def decode(
            embedding, coords, labels, dense=None, multimask=False, *, own=network.decode, kept=seen[name]
        ):
            kept.append((torch.is_grad_enabled(), coords, labels))
            return own(embedding, coords, labels, dense, multimask)

        monkeypatch.setattr(network, "decode", decode)
    drawn = batch(used)
    goal = GuidedObjective(student, entry("uniultra_mini"), used, teacher)
    goal(drawn)["loss"].backward()
    ours = [one for one in seen["student"] if one[0]]
    assert len(ours) == len(seen["teacher"]) and not any(one[0] for one in seen["teacher"])
    for mine, theirs in zip(ours, seen["teacher"], strict=True):
        real = mine[2] >= 0
        torch.testing.assert_close(theirs[1][real], 2 * mine[1][real] + 0.5)
    assert student.image_encoder.trunk.blocks[0].mlp.layers[0].weight.grad.any()


def test_sams_networks_guide_by_their_embedding():
    def sam(seed):
        torch.manual_seed(seed)
        return SamImage(torch.nn.Conv2d(3, 256, 16, 16), SIDE, SIDE // 16, map_channels=4)

    used = recipe()
    found = GuidedObjective(sam(0), entry("uniultra_mini"), used, sam(1))(batch(used))
    found["loss"].backward()
    assert found["features"] > 0 and found["guide"] > 0


def test_features_are_recorded_of_each_pass():
    network, pictures = made(seed=4), torch.rand(2, 3, SIDE, SIDE)
    with torch.no_grad(), recorded(network.image_encoder, parts=True) as found:
        network.encode(pictures[:1])
        network.encode(pictures)
    first, both = found
    for one, two in zip(first, both, strict=True):
        assert len(one) == len(two) == 3
        for a, b in zip(one, two, strict=True):
            torch.testing.assert_close(a, b[:1], atol=1e-5, rtol=1e-4)


def test_soft_targets_are_met_exactly_by_equal_masks_only():
    theirs = torch.randn(2, 1, 16, 16, generator=torch.Generator().manual_seed(0)) * 3
    one = torch.ones(2)
    for temperature in (1.0, 4.0):
        assert soft_loss(theirs, theirs, one, temperature).abs() < 1e-6
        near, far = (soft_loss(theirs + shift, theirs, one, temperature) for shift in (0.5, 1.5))
        assert 0 < near < far
    coarse = F.avg_pool2d(theirs, 2).requires_grad_()
    loss = soft_loss(coarse, theirs, torch.tensor([1.0, 0.0]), 1.0)
    loss.backward()
    assert coarse.grad[0].any() and not coarse.grad[1].any()


def test_a_distillation_can_be_fine_tuned_with_its_teacher(tmp_path):
    text = "\n".join(
        [
            "student: uniultra_mini",
            "teacher: {model: uniultra_t, image_size: 128, logits: 3}",
            "transfer: {datasets: {tiny: 1}, steps: 3}",
            "finetune: {datasets: {tiny: 1}, steps: 3, objective: guided}",
        ]
    )
    path = tmp_path / "distill.yaml"
    path.write_text(text)
    last = DistillRecipe.read(path).last(tmp_path)
    assert last.objective == "guided" and last.distill["model"] == "uniultra_t"
    assert last.distill["image_size"] == 128 and last.distill["logits"] == 3
    path.write_text(text.replace("guided", "guided, distill: {model: uniultra_s}"))
    assert DistillRecipe.read(path).last(tmp_path).distill == {"model": "uniultra_s"}


def test_guidance_needs_a_teacher():
    with pytest.raises(ModelError, match="model"):
        GuidedObjective(made(), entry("uniultra_mini"), recipe().model_copy(update={"distill": None}))
