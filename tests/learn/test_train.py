"""A short real training lowers the loss, stops and goes on exactly, and leaves usable weights."""

import csv
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from uniultra.errors import ImageError, ModelError
from uniultra.learn.data import manifest, real_sample
from uniultra.learn.prompting import correction, first_prompt
from uniultra.learn.synthetic import scene
from uniultra.learn.train import Recipe, Trainer, pick_targets
from uniultra.models import build, weights

RECIPE = Recipe(
    "uniultra_mini", {"tiny": 1.0}, steps=6, decay_steps=2, batch=2, targets=2, scenes=4, warmup=1, rate=1e-3
)


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """A data set of generated pictures in the layout of a manifest."""
    folder = tmp_path_factory.mktemp("data")
    lines = []
    for n in range(6):
        drawn = scene(np.random.default_rng(100 + n), 128)
        Image.fromarray(drawn.picture).save(folder / f"{n}.png")
        Image.fromarray(drawn.targets[:2].any(0)).save(folder / f"{n}_mask.png")
        split = "test" if n == 5 else "train"
        lines.append(
            {"dataset": "tiny", "id": str(n), "split": split, "image": f"{n}.png", "mask": f"{n}_mask.png"}
        )
    with (folder / "manifest.csv").open("w", newline="") as stream:
        writer = csv.DictWriter(stream, lines[0])
        writer.writeheader()
        writer.writerows(lines)
    return folder


def test_the_manifest_gives_only_the_split_asked_for(data):
    assert [r.id for r in manifest(data, ["tiny"], ["train"])] == list("01234")
    with pytest.raises(ImageError, match="no rows"):
        manifest(data, ["other"], ["train"])
    with pytest.raises(ImageError, match=r"manifest\.csv"):
        manifest(data / "nowhere", ["tiny"], ["train"])


def test_a_sample_keeps_labels_first_and_clicks_off_the_label_for_the_rest(data):
    sample = real_sample(manifest(data, ["tiny"], ["train"])[0], 128, seed=1)
    assert 1 <= sample.labelled < len(sample.targets)
    everything = list(range(len(sample.targets)))
    targets, clickable = sample.masks(everything)
    truth = targets[: sample.labelled].any(0)
    assert not (clickable[sample.labelled :] & truth).any()
    chosen = pick_targets(sample, 3, np.random.default_rng(0))
    assert len(set(chosen)) == len(chosen) <= 3 and any(n < sample.labelled for n in chosen)


def test_training_goes_on_exactly_where_it_was_killed(data, tmp_path):
    torch.manual_seed(0)
    whole = Trainer(RECIPE, data, tmp_path / "whole")
    whole.run()
    cut = Trainer(RECIPE, data, tmp_path / "cut")
    for _ in range(3):
        cut._train_step()
        cut.step += 1
    cut._checkpoint()
    Trainer(RECIPE, data, tmp_path / "cut").run()
    first = weights.read(tmp_path / "whole" / "uniultra_mini.safetensors")
    second = weights.read(tmp_path / "cut" / "uniultra_mini.safetensors")
    for name in first:
        torch.testing.assert_close(first[name], second[name], msg=name)


def test_training_lowers_the_loss_and_its_weights_load(data, tmp_path):
    trainer = Trainer(replace(RECIPE, steps=40, decay_steps=1), data, tmp_path)
    losses = []
    for _ in range(30):
        trainer.step = 5  # the same draw of pictures, targets and first prompts each time
        losses.append(trainer._train_step())
    assert np.mean(losses[-3:]) < 0.75 * losses[0], losses
    trainer.step = 39
    weights.load_into(build("uniultra_mini"), weights.read(trainer.run()))


def test_prompts_of_training_belong_to_their_target():
    rng = np.random.default_rng(0)
    drawn = scene(np.random.default_rng(4), 128)
    target, click = drawn.targets[0], drawn.clickable[0]
    for _ in range(60):
        prompts = first_prompt(target, click, rng)
        prompts.check(target.shape)
        assert all(target[int(p.y), int(p.x)] == p.positive for p in prompts.points)
        refined = correction(prompts, np.roll(target, 9, 0), target, rng)
        assert len(refined.points) == len(prompts.points) + 1
        last = refined.points[-1]
        assert target[int(last.y), int(last.x)] == last.positive


@pytest.mark.parametrize("text", ["model: x\nsteps: 3\nsurprise: 1", "model: uniultra_mini", "- a"])
def test_a_malformed_recipe_is_refused(tmp_path, text):
    path = tmp_path / "recipe.yaml"
    path.write_text(text)
    with pytest.raises(ModelError):
        Recipe.read(path)


def test_shipped_recipes_are_read(project_root):
    recipe = Recipe.read(project_root / "training" / "uniultra_mini.yaml")
    assert set(recipe.datasets) == {"hc18_fetal_head", "dltrack_aponeurosis", "busi_breast"}
