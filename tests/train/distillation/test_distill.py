"""Distillation compares what the figure compares, trains the student alone, and hands the decoder over."""

import numpy as np
import pytest
import torch
from moved_networks import SIDE, made
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.networks.sam_image import SamImage
from uniultra.train.batches import Batch
from uniultra.train.distillation.decoder_transfer import take_decoder
from uniultra.train.distillation.distill import DistillObjective, DistillSettings, distance
from uniultra.train.distillation.encoder_features import project, recorded
from uniultra.train.objective import recompute_blocks
from uniultra.train.recipe import Recipe


def batch(count=2, side=SIDE, seed=0):
    pictures = torch.rand(count, 3, side, side, generator=torch.Generator().manual_seed(seed))
    masks = np.zeros((count, side, side), bool)
    half = torch.zeros(count, 1, side // 2, side // 2)
    return Batch((0, 0), pictures, masks, half, torch.ones(count), torch.arange(count), tuple(range(count)))


def recipe(**distill):
    return Recipe.of(
        {
            "model": "uniultra_mini",
            "datasets": {"any": 1},
            "steps": 1,
            "batch": 2,
            "objective": "distill",
            "trains": ["image_encoder."],
            "distill": {"model": "uniultra_mini", **distill},
        }
    )


def pyramid(encoder, pictures):
    """What a forward pass leaves, parts and all."""
    with recorded(encoder, parts=True) as pyramids:
        encoder(pictures)
    return pyramids[0]


@pytest.fixture
def teacher():
    return made("uniultra_mini", 1)


@pytest.fixture
def student():
    return made("uniultra_mini", 2)


@pytest.mark.parametrize("recomputed", [False, True])
def test_block_and_adapter_parts_sum_up_to_the_encoders_own_output(teacher, recomputed):
    pictures = torch.randn(2, 3, SIDE, SIDE)
    encoder = teacher.image_encoder
    with torch.no_grad():
        expected = encoder(pictures)["backbone_fpn"]
    if recomputed:
        recompute_blocks(teacher)
    found = pyramid(encoder, pictures)
    convs = [conv.conv.bias.detach() for conv in reversed(encoder.neck.convs)]
    biases = [convs[0], convs[1], convs[2] + convs[3]]  # the top-down sum brings level 3's along
    for level in range(3):
        assert found.whole[level].shape == (2, 256, SIDE // 4 >> level, SIDE // 4 >> level)
        torch.testing.assert_close(found.whole[level], expected[level], atol=1e-4, rtol=1e-4)
        total = found.block[level] + found.adapter[level] + biases[level].view(1, -1, 1, 1)
        torch.testing.assert_close(total, expected[level], atol=1e-4, rtol=1e-4)
        assert found.adapter[level].std() > 1e-3


def test_the_adapters_part_is_its_last_layers_output_through_the_neck(teacher):
    """Computed once more from the adapters' own outputs, by hand."""
    pictures, trunk = torch.randn(1, 3, SIDE, SIDE), teacher.image_encoder.trunk
    seen = {}
    for end in trunk.stage_ends:
        trunk.ch_adapters.layers[end].register_forward_hook(lambda _m, _i, out, n=end: seen.update({n: out}))
    with torch.no_grad():
        found = pyramid(teacher.image_encoder, pictures).adapter
        parts = [0.5 * seen[end].permute(0, 3, 1, 2) for end in trunk.stage_ends]
        convs = [conv.conv.weight for conv in reversed(teacher.image_encoder.neck.convs)]
        level3 = F.conv2d(parts[3], convs[3])
        level2 = F.conv2d(parts[2], convs[2]) + level3.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(found[2], level2)
    torch.testing.assert_close(found[0], F.conv2d(parts[0], convs[0]))


def test_an_adapter_at_zero_has_no_part():
    torch.manual_seed(0)
    found = pyramid(build("uniultra_mini", SIDE).image_encoder, torch.randn(1, 3, SIDE, SIDE))
    assert all(not level.any() for level in found.adapter)


def test_projecting_is_linear_without_biases(teacher):
    neck = teacher.image_encoder.neck
    a, b = ([torch.randn(1, 16 << n, 16 >> n, 16 >> n) for n in range(4)] for _ in range(2))
    with torch.no_grad():
        both = project(neck, [x + y for x, y in zip(a, b, strict=True)], bias=False)
        apart = zip(project(neck, a, bias=False), project(neck, b, bias=False), strict=True)
        for total, (x, y) in zip(both, apart, strict=True):
            torch.testing.assert_close(total, x + y, atol=1e-4, rtol=1e-4)
        for ours, theirs in zip(project(neck, a), neck(a)[0], strict=True):
            torch.testing.assert_close(ours, theirs)


def test_recording_leaves_no_hook_behind(teacher):
    trunk = teacher.image_encoder.trunk
    watched = [teacher.image_encoder, trunk, *trunk.ch_adapters.layers]
    before = [len(module._forward_hooks) for module in watched]
    with pytest.raises(RuntimeError):
        pyramid(teacher.image_encoder, torch.randn(1, 5, SIDE, SIDE))
    pyramid(teacher.image_encoder, torch.randn(1, 3, SIDE, SIDE))
    assert [len(module._forward_hooks) for module in watched] == before


def test_the_loss_is_the_weighted_sum_over_pairs_and_levels(teacher, student):
    drawn = batch()
    goal = DistillObjective(
        student,
        entry("uniultra_mini"),
        recipe(levels=[1, 2, 0], pairs={"whole": 1, "block": 0.5, "adapter": 3}),
        teacher,
    )
    found = goal(drawn)
    pictures = entry("uniultra_mini").normalise(drawn.pictures)
    with torch.no_grad():
        ours, theirs = (pyramid(n.image_encoder, pictures) for n in (student, teacher))
        expected = 0.0
        for pair, weight in (("whole", 1), ("block", 0.5), ("adapter", 3)):
            mine, target = getattr(ours, pair), getattr(theirs, pair)
            part = weight * (F.mse_loss(mine[0], target[0]) + 2 * F.mse_loss(mine[1], target[1]))
            torch.testing.assert_close(found[pair], part)
            expected = expected + part
    torch.testing.assert_close(found["loss"].detach(), expected)
    torch.testing.assert_close(-goal.score(drawn).mean(), expected)


def test_a_student_equal_to_its_teacher_loses_nothing(teacher):
    goal = DistillObjective(made("uniultra_mini", 1), entry("uniultra_mini"), recipe(), teacher)
    assert goal(batch())["loss"] < 1e-10


def test_the_student_learns_and_the_teacher_stays(teacher, student):
    before = {name: value.clone() for name, value in teacher.state_dict().items()}
    goal = DistillObjective(student, entry("uniultra_mini"), recipe(), teacher).train()
    assert not goal.teacher.training and goal.network.training
    optimizer = torch.optim.Adam(student.image_encoder.parameters(), 2e-3)
    losses = []
    for _ in range(14):
        found = goal(batch())
        optimizer.zero_grad()
        found["loss"].backward()
        optimizer.step()
        losses.append({name: float(part.detach()) for name, part in found.items()})
    for pair in ("loss", "whole", "block", "adapter"):
        assert losses[-1][pair] < 0.8 * losses[0][pair], pair
    assert all(p.grad is not None for p in student.image_encoder.parameters())
    assert all(p.grad is None for p in teacher.parameters())
    assert all(torch.equal(value, before[name]) for name, value in teacher.state_dict().items())


def test_gradients_are_the_same_when_blocks_are_recomputed(teacher):
    found = []
    for recomputed in (False, True):
        student = made("uniultra_mini", 2)
        if recomputed:
            assert recompute_blocks(student) == 12
        DistillObjective(student, entry("uniultra_mini"), recipe(), teacher)(batch())["loss"].backward()
        found.append([p.grad for p in student.image_encoder.parameters()])
    for plain, again in zip(*found, strict=True):
        torch.testing.assert_close(plain, again, atol=1e-5, rtol=1e-4)


def test_the_teacher_may_see_larger_pictures(student):
    teacher = made("uniultra_mini", 1, 2 * SIDE)
    goal = DistillObjective(student, entry("uniultra_mini"), recipe(image_size=2 * SIDE), teacher)
    assert torch.isfinite(goal(batch())["loss"])
    fine = torch.rand(1, 2, 8, 8)
    ours = F.avg_pool2d(fine, 2)
    assert distance(ours, fine).item() < F.mse_loss(ours, fine[..., ::2, ::2]).item()


def test_a_tiny_teacher_and_a_mini_student(student):
    tiny = made("uniultra_t", 3)
    goal = DistillObjective(student, entry("uniultra_mini"), recipe(model="uniultra_t"), tiny)
    found = goal(batch(1))
    found["loss"].backward()
    assert set(found) == {"loss", "whole", "block", "adapter"}
    assert student.image_encoder.trunk.blocks[0].mlp.layers[0].weight.grad.any()


def test_a_tiny_vit_is_taught_sam2s_three_levels():
    student, teacher = made("sam2_tinyvit", 0), made("sam2_mini", 1)
    goal = DistillObjective(
        student, entry("sam2_tinyvit"), recipe(model="sam2_mini", pairs={"block": 0, "adapter": 0}), teacher
    )
    found = goal(batch(1))
    found["loss"].backward()
    assert set(found) == {"loss", "whole"}
    assert all(p.grad is not None for p in student.image_encoder.laterals.parameters())


def test_sams_encoders_are_compared_by_their_embedding():
    def sam(seed):
        torch.manual_seed(seed)
        encoder = torch.nn.Conv2d(3, 256, 16, 16)
        return SamImage(encoder, SIDE, SIDE // 16)

    student, teacher = sam(0), sam(1)
    goal = DistillObjective(student, entry("uniultra_mini"), recipe(), teacher)
    found, pictures = goal(batch()), entry("uniultra_mini").normalise(batch().pictures)
    expected = F.mse_loss(student.image_encoder(pictures), teacher.image_encoder(pictures))
    assert set(found) == {"loss", "whole"}
    torch.testing.assert_close(found["loss"], expected)
    take_decoder(student, teacher)
    for name, value in student.sam_mask_decoder.state_dict().items():
        assert torch.equal(value, teacher.sam_mask_decoder.state_dict()[name])
    with pytest.raises(ModelError, match="no levels"):
        DistillObjective(student, entry("uniultra_mini"), recipe(match="pyramid"), teacher)


def test_what_cannot_be_compared_is_refused(teacher, student):
    bare = made("sam2_mini", 4)
    with pytest.raises(ModelError, match="student has no CH-Adapters"):
        DistillObjective(bare, entry("sam2_mini"), recipe(), teacher)
    plain = DistillObjective(
        bare, entry("sam2_mini"), recipe(pairs={"block": 0, "adapter": 0}), made("sam2_mini", 5)
    )
    assert set(plain(batch())) == {"loss", "whole"}
    with pytest.raises(ModelError, match="are 0"):
        DistillObjective(student, entry("uniultra_mini"), recipe(levels=[0, 0, 0]), teacher)
    with pytest.raises(ModelError, match="surprise"):
        DistillSettings.of({"model": "uniultra_mini", "surprise": 1})
    with pytest.raises(ModelError, match="does not exist"):
        DistillObjective(student, entry("uniultra_mini"), recipe(weights="nowhere.safetensors"))


def ask(network, embedding, dense):
    coords, labels = torch.tensor([[[20.0, 30.0], [0.0, 0.0]]]), torch.tensor([[1.0, -1.0]])
    with torch.no_grad():
        return network.decode(embedding, coords, labels, dense, False)


def test_the_student_answers_with_the_teachers_decoder(teacher, student):
    embedding = teacher.encode(torch.randn(1, 3, SIDE, SIDE))
    drawn = torch.rand(1, 4, 16, 16)
    assert not torch.equal(ask(student, embedding, drawn)[0], ask(teacher, embedding, drawn)[0])
    take_decoder(student, teacher)
    for a, b in zip(ask(student, embedding, drawn), ask(teacher, embedding, drawn), strict=True):
        assert torch.equal(a, b)
    # SAM2's own projections of the fine levels and the memory's stand-in come along.
    pictures = torch.randn(1, 3, SIDE, SIDE)
    student.image_encoder = teacher.image_encoder
    for a, b in zip(student.encode(pictures).high, teacher.encode(pictures).high, strict=True):
        assert torch.equal(a, b)
    assert torch.equal(student.encode(pictures).image, teacher.encode(pictures).image)


def test_a_teacher_of_logits_gives_a_student_of_drawn_prompts_its_first_answers(student):
    teacher = made("sam2_t", 6)
    assert (teacher.map_channels, student.map_channels) == (1, 4)
    embedding = teacher.encode(torch.randn(1, 3, SIDE, SIDE))
    take_decoder(student, teacher)
    drawn = torch.zeros(1, 4, 16, 16)
    drawn[:, 1, 4:6, 4:6] = 1  # a drawn click says nothing new yet
    expected = ask(teacher, embedding, torch.zeros(1, 1, 16, 16))
    for a, b in zip(ask(student, embedding, drawn), expected, strict=True):
        torch.testing.assert_close(a, b, atol=1e-4, rtol=1e-4)
    masked = drawn.clone()
    masked[:, 0] = -1
    masked[:, 0, 6:12, 6:12] = 1
    off = (
        student.sam_prompt_encoder.mask_downscaling(masked) - teacher._dense(10 * masked[:, :1], 1)
    ).detach()
    torch.testing.assert_close(off, off[:, :, :1, :1].expand_as(off), atol=1e-4, rtol=1e-3)


def test_decoders_of_two_families_are_not_mixed(student):
    sam = SamImage(torch.nn.Conv2d(3, 256, 16, 16), SIDE, 4, map_channels=4)
    with pytest.raises(ModelError, match="one family"):
        take_decoder(student, sam)
    with pytest.raises(ModelError, match="one family"):
        take_decoder(made("sam2_t"), student)
