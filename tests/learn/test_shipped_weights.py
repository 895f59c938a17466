"""The shipped default obeys its prompts: the limits a model must reach to be shipped, on test pictures."""

import json

import pytest

from uniultra.learn.evaluate import LIMITS, Obedience, evaluate
from uniultra.models import weights
from uniultra.models.registry import entry
from uniultra.predict import Predictor

MEGABYTE = 1_000_000


def test_the_shipped_file_is_the_one_the_registry_and_its_card_name(project_root):
    path = weights.shipped_folder() / "uniultra_mini.safetensors"
    assert path.stat().st_size <= 12 * MEGABYTE
    assert weights.file_sha256(path) == entry("uniultra_mini").sha256
    card = path.with_suffix(".md").read_text(encoding="utf-8")
    for word in ("CC BY 4.0", "CC0", "Apache-2.0", "Research use", "uniultra train"):
        assert word in card
    recipe = json.loads(weights.metadata(path)["recipe"])
    assert recipe["model"] == "uniultra_mini"
    assert not {"liver_mass", "carotid_lumen"} & set(recipe["datasets"])


def test_it_obeys_its_prompts_on_part_of_every_test_set(shared_dir):
    """Part of the pictures, so that it fits everyday testing; the slow test takes them all."""
    predictor = Predictor("uniultra_mini", device="cpu")
    scores, obedience = evaluate(predictor, shared_dir / "data", limit=20, scenes=30)
    assert obedience.failures == [], obedience
    assert set(scores) == {
        "hc18_fetal_head",
        "busi_breast",
        "dltrack_aponeurosis",
        "liver_mass",
        "carotid_lumen",
    }


@pytest.mark.slow
def test_the_committed_numbers_are_what_the_weights_reach(shared_dir, project_root):
    committed = json.loads((project_root / "training/results/uniultra_mini.json").read_text())
    scores, obedience = evaluate(Predictor("uniultra_mini", device="cpu"), shared_dir / "data")
    assert obedience.failures == []
    for name, score in scores.items():
        assert score.dice_box == pytest.approx(committed["sets"][name]["dice_box"], abs=0.005)
        assert score.dice_click == pytest.approx(committed["sets"][name]["dice_click"], abs=0.005)
        assert score.n == committed["sets"][name]["n"]


def test_a_missed_limit_is_named():
    good = Obedience(0.1, 0.1, 0.99, 0.99, 0.5, 10, 10)
    assert good.failures == []
    bad = Obedience(0.3, 0.4, 0.5, 0.5, 0.1, 10, 10)
    assert bad.failures == list(LIMITS)
