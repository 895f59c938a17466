"""A batch depends on seed and step alone, however it is divided."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from uniultra.datasets.manifest import read_manifest
from uniultra.datasets.samples import Preparation, real_sample, synthetic_sample
from uniultra.errors import ModelError
from uniultra.train.batches import Batches, assemble, pick_targets, validation


@pytest.fixture(scope="module")
def samples(training_data):
    how = Preparation(64)
    real = [real_sample(row, how) for row in read_manifest(training_data, ["tiny"], ["train"])]
    return [*real, *(synthetic_sample(64, n) for n in range(3))]


def recipe_of(small, **changes):
    return small(
        **{"batch": 5, "targets": 2, "prompts": "corrected", "synthetic": 0.4, "scenes": 3, "pseudo": True}
        | changes
    )


def test_parts_of_a_batch_put_together_are_the_batch(small, samples):
    recipe = recipe_of(small)
    whole = Batches(samples, recipe, prompted=True)[7]
    for world in (2, 3):
        parts = [Batches(samples, recipe, prompted=True, rank=r, world=world)[7] for r in range(world)]
        assert torch.equal(torch.cat([p.pictures for p in parts]), whole.pictures)
        assert torch.equal(torch.cat([p.truth for p in parts]), whole.truth)
        assert torch.equal(torch.cat([p.weight for p in parts]), whole.weight)
        assert sum((p.numbers for p in parts), ()) == whole.numbers
        prompts = sum((p.prompts for p in parts), ())
        assert [p.points for p in prompts] == [p.points for p in whole.prompts]
        assert [p.box for p in prompts] == [p.box for p in whole.prompts]


def test_steps_differ_and_repeat(small, samples):
    batches = Batches(samples, recipe_of(small), prompted=True)
    first, again, other = batches[3], batches[3], batches[4]
    assert torch.equal(first.pictures, again.pictures) and not torch.equal(first.pictures, other.pictures)
    later = Batches(samples, recipe_of(small, seed=2), prompted=True)[3]
    assert not torch.equal(first.pictures, later.pictures)
    draws = {first.rng(n, turn).random() for n in range(2) for turn in range(2)}
    assert len(draws) == 4 and first.rng(1, 1).random() == again.rng(1, 1).random()


def test_a_batch_holds_what_the_recipe_says(small, samples):
    recipe = recipe_of(small, pseudo_weight=0.25)
    batch = Batches(samples, recipe, prompted=True)[0]
    assert batch.pictures.shape == (5, 3, 64, 64) and 0 <= batch.pictures.min() <= batch.pictures.max() <= 1
    count = len(batch.masks)
    assert batch.truth.shape == (count, 1, 32, 32) and len(batch.prompts) == count
    assert set(batch.weight.tolist()) <= {1.0, 0.25} and batch.picture.bincount().max() <= 2
    for mask, prompt in zip(batch.masks, batch.prompts, strict=True):
        prompt.check(mask.shape)
        assert all(mask[int(p.y), int(p.x)] == p.positive for p in prompt.points)
    plain = Batches(samples, recipe_of(small, augment=False, synthetic=0), prompted=False)[0]
    assert plain.prompts == ()
    pictures = [torch.from_numpy(s.picture).float() / 255 for s in samples]
    assert all(any(torch.equal(seen[0], known) for known in pictures) for seen in plain.pictures)


def test_targets_pushed_off_the_picture_leave_a_blank_of_no_weight(small):
    recipe = recipe_of(small)
    nothing = torch.zeros(1, 64, 64)
    drawn = [(torch.zeros(3, 64, 64), nothing, nothing, [1.0])]
    batch = assemble(drawn, [3], (1, 0), recipe, None)
    assert batch.weight.tolist() == [0.0] and batch.masks.any() and batch.numbers == (6,)
    whole = assemble(drawn, [3], (1, 0), recipe_of(small, target="whole", pseudo=False, synthetic=0), None)
    assert whole.weight.tolist() == [1.0] and not whole.masks.any(), "nothing to find is a target"


def test_validation_asks_the_same_each_time(small, samples):
    recipe = recipe_of(small, batch=2, validate_images=3)
    first, again = (list(validation(samples, recipe, prompted=True)) for _ in range(2))
    assert sum(len(b.pictures) for b in first) == 3
    assert [p.points for b in first for p in b.prompts] == [p.points for b in again for p in b.prompts]
    other = validation(samples, recipe.model_copy(update={"seed": 9}), prompted=True)
    assert all(torch.equal(a.pictures, b.pictures) for a, b in zip(first, other, strict=True))


def test_whole_targets_join_the_components(training_data):
    row = read_manifest(training_data, ["tiny"], ["train"])[0]
    parts = real_sample(row, Preparation(64, pseudo=False))
    whole = real_sample(row, Preparation(64, whole=True, pseudo=False))
    together = parts.masks(range(parts.labelled))[0].any(0)
    assert len(whole.targets) == whole.labelled == 1
    assert (whole.masks([0])[0][0] & together).sum() == together.sum()


def test_a_padded_picture_keeps_its_shape(training_data, tmp_path):
    from PIL import Image

    row = read_manifest(training_data, ["tiny"], ["train"])[0]
    for source, name in ((row.image, "wide.png"), (row.mask, "wide_mask.png")):
        with Image.open(source) as opened:
            opened.resize((128, 64)).save(tmp_path / name)
    wide = replace(row, image=tmp_path / "wide.png", mask=tmp_path / "wide_mask.png")
    sample = real_sample(wide, Preparation(64, "pad", pseudo=False))
    assert sample.picture[:32].any() and not sample.picture[32:].any()
    assert not sample.masks(range(sample.labelled))[0][:, 32:].any()


def test_labels_come_first_among_the_chosen_targets(training_data):
    sample = real_sample(read_manifest(training_data, ["tiny"], ["train"])[0], Preparation(128))
    assert 1 <= sample.labelled < len(sample.targets)
    targets, clickable = sample.masks(range(len(sample.targets)))
    assert not (clickable[sample.labelled :] & targets[: sample.labelled].any(0)).any()
    chosen = pick_targets(sample, 3, np.random.default_rng(0))
    assert len(set(chosen)) == len(chosen) <= 3 and any(n < sample.labelled for n in chosen)


def test_unknown_prompts_are_refused(small, samples):
    with pytest.raises(ModelError, match="prompts"):
        Batches(samples, recipe_of(small, prompts="telepathy"), prompted=True)
