"""Every committed result is read by the code of today, which makes the same numbers and pages of it."""

import json

import pytest

import tables
from suite.schema import Suite
from uniultra.evaluate.accuracy import results
from uniultra.evaluate.accuracy.comparisons import differences, set_score
from uniultra.evaluate.campaigns.report import table
from uniultra.evaluate.campaigns.schema import Simulation
from uniultra.evaluate.machine import Machine
from uniultra.evaluate.summaries import by_set

SETS = ("", "_alternatives", "_breast_lesion", "_fetal_head", "_nobusi")
ACCURACY = [f"accuracy{end}" for end in SETS]
# Results of scripts that have no schema but their own.
PLAIN = {"classical", "closer", "models", "trainings"}


@pytest.fixture(scope="module")
def folder(project_root):
    return project_root / "training" / "results"


def test_no_result_is_left_out(folder):
    assert {path.stem for path in folder.glob("*.json")} == {*ACCURACY, *PLAIN, "campaigns", "suite_seeds"}


@pytest.mark.parametrize("name", ACCURACY)
def test_accuracy(folder, name, tmp_path):
    accuracy = results.read(folder / f"{name}.json")
    results.write(accuracy, tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == (folder / f"{name}.json").read_bytes()
    # Anyone can compute the means again from the pictures.
    scores = by_set(accuracy.pictures["model"])
    for dataset, pictures in scores.items():
        again, committed = set_score(pictures, accuracy.model.trained_on), accuracy.sets[dataset]
        assert again.means == pytest.approx(committed.means, abs=1e-12)
    for other, alternative in accuracy.alternatives.items():
        paired = differences(accuracy.pictures["model"], accuracy.pictures[other])
        for dataset, estimates in alternative.differences.items():
            assert {key: found.mean for key, found in paired[dataset].items()} == pytest.approx(
                {key: found.mean for key, found in estimates.items()}, abs=1e-12
            )


def test_the_suite(folder):
    text = (folder / "suite_seeds.json").read_text(encoding="utf-8")
    suite = Suite.model_validate_json(text)
    assert suite.model_dump_json(indent=1) + "\n" == text


def test_the_pages_are_made_of_the_results(folder):
    for name, text in tables.pages().items():
        assert text == (folder / name).read_text(encoding="utf-8"), f"{name}: run training/tables.py"


def test_campaigns(folder):
    text = (folder / "campaigns.json").read_text(encoding="utf-8")
    simulation = Simulation.model_validate_json(text)
    assert simulation.model_dump_json(indent=1) + "\n" == text
    assert all(f"{name}, click:" in table(simulation) for name in simulation.sets)


def test_the_benchmarks_name_their_machine_as_we_read_it(project_root):
    read = set()
    for path in (project_root / "training/benchmark/results").glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if "machine" in result:
            assert Machine.model_validate(result["machine"]).versions["torch"]
            read.add(path.stem)
    assert read == {"adaptation", "annotators", "encoders", "kills", "training_load"}
