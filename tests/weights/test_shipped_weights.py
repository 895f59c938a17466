"""The shipped files: what they are made of, and that the default obeys its prompts on test pictures."""

from pathlib import Path

import pytest

from uniultra.evaluate.accuracy.accuracy import AccuracyRequest, measure
from uniultra.evaluate.accuracy.schema import Accuracy
from uniultra.evaluate.evaluate import evaluate
from uniultra.evaluate.obedience import LIMITS, Obedience
from uniultra.predict import Predictor
from uniultra.train.provenance import trained_on
from uniultra.weights import bundle, loading, tensors

LIMIT = 48_000_000
UNSEEN = {"liver_mass", "carotid_lumen"}
FILES = ("uniultra_mini", "uniultra_mini.nobusi")
TASKS = {"autosamus_mini.fetal_head": "hc18_fetal_head", "autosamus_mini.breast_lesion": "busi_breast"}


def shipped(name: str) -> Path:
    return loading.shipped_folder() / f"{name}{tensors.SUFFIX}"


def test_all_of_them_together_are_small_enough_and_listed():
    folder = loading.shipped_folder()
    assert sum(path.stat().st_size for path in folder.rglob(f"*{tensors.SUFFIX}")) <= LIMIT
    assert {p.stem for p in folder.glob(f"*{tensors.SUFFIX}")} == set(FILES)
    assert {p.parent.name for p in folder.glob(f"*/*{tensors.SUFFIX}")} == set(TASKS)


@pytest.mark.parametrize("name", FILES)
def test_a_file_is_the_one_that_was_released(name):
    lines = (loading.shipped_folder() / loading.SUMS).read_text(encoding="ascii").splitlines()
    released = {file: digest for digest, file in map(str.split, lines)}
    assert tensors.file_sha256(shipped(name)) == released[shipped(name).name]


def test_what_they_were_trained_on_is_what_their_cards_say():
    assert set(trained_on(shipped("uniultra_mini"))) == {
        "hc18_fetal_head",
        "dltrack_aponeurosis",
        "busi_breast",
    }
    assert set(trained_on(shipped("uniultra_mini.nobusi"))) == {"hc18_fetal_head", "dltrack_aponeurosis"}
    for task, data in TASKS.items():
        sets = set(trained_on(loading.shipped_folder() / task))
        assert data in sets and not sets & UNSEEN


@pytest.mark.parametrize("name", [*FILES, *TASKS])
def test_each_has_a_card(name):
    card = (loading.shipped_folder() / f"{name}.md").read_text(encoding="utf-8")
    for word in ("CC BY 4.0", "Research use", "uniultra train training/default.yaml", "licence"):
        assert word in card, word
    assert ("CC0" in card) == (name != "uniultra_mini.nobusi")


@pytest.mark.parametrize("task", TASKS)
def test_a_task_keeps_no_copy_of_the_trunk(task):
    folder = loading.shipped_folder() / task
    held = set(tensors.read(folder / f"weights{tensors.SUFFIX}"))
    assert held and not held & set(tensors.read(shipped("uniultra_mini")))
    assert bundle.describe(folder)[0].model == "autosamus_mini"


def test_it_obeys_its_prompts_on_part_of_every_test_set(shared_dir):
    """Part of the pictures, so that it fits everyday testing; the slow test takes them all."""
    predictor = Predictor("uniultra_mini", device="cpu")
    scores, obedience = evaluate(predictor, shared_dir / "data", limit=10, scenes=20)
    assert not obedience.failures, obedience
    assert set(scores) >= {"hc18_fetal_head", "busi_breast", "dltrack_aponeurosis", *UNSEEN}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_the_committed_numbers_are_what_the_weights_reach(shared_dir, project_root, name):
    file = "accuracy_nobusi" if name.endswith("nobusi") else "accuracy"
    committed = Accuracy.model_validate_json((project_root / f"training/results/{file}.json").read_bytes())
    wanted = AccuracyRequest(
        shared_dir / "data" / "manifest.csv", model=str(shipped(name)), sets=tuple(UNSEEN)
    )
    found, _, _ = measure(wanted)
    for data in UNSEEN:
        assert found.sets[data].means["dice_box"] == pytest.approx(
            committed.sets[data].means["dice_box"], abs=0.005
        )


def test_a_missed_limit_is_named():
    good = Obedience.of(dict(zip(LIMITS, (0.1, 0.1, 0.99, 0.99, 0.5), strict=True)), 10, 10)
    assert good.failures == ()
    bad = Obedience.of(dict(zip(LIMITS, (0.3, 0.4, 0.5, 0.5, 0.1), strict=True)), 10, 10)
    assert bad.failures == tuple(LIMITS)
