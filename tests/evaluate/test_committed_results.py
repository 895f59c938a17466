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
    for dataset, pictures in by_set(accuracy.pictures["model"]).items():
        again, committed = set_score(pictures, accuracy.model.trained_on), accuracy.sets[dataset]
        assert again.means == pytest.approx(committed.means, abs=1e-12)
    for other, alternative in accuracy.alternatives.items():
        paired = differences(accuracy.pictures["model"], accuracy.pictures[other])
        for dataset, estimates in alternative.differences.items():
            means = {key: estimate.mean for key, estimate in estimates.items()}
            again = {key: estimate.mean for key, estimate in paired[dataset].items()}
            assert again == pytest.approx(means, abs=1e-12)


@pytest.mark.parametrize(("name", "record"), [("suite_seeds", Suite), ("campaigns", Simulation)])
def test_suite_and_campaigns(folder, name, record):
    text = (folder / f"{name}.json").read_text(encoding="utf-8")
    result = record.model_validate_json(text)
    assert result.model_dump_json(indent=1) + "\n" == text
    if record is Simulation:
        assert all(f"{name}, click:" in table(result) for name in result.sets)


def test_the_pages_are_made_of_the_results(folder):
    for name, text in tables.pages().items():
        assert text == (folder / name).read_text(encoding="utf-8"), f"{name}: run training/tables.py"


def test_the_benchmarks_name_their_machine_as_we_read_it(project_root):
    read = set()
    for path in (project_root / "training/benchmark/results").glob("*.json"):
        result = json.loads(path.read_text(encoding="utf-8"))
        if "machine" in result:
            assert Machine.model_validate(result["machine"]).versions["torch"]
            read.add(path.stem)
    assert read == {"adaptation", "annotators", "encoders", "kills", "training_load"}
