"""A whole suite in small: a base and systems on it, with prompts and without; it goes on where it stopped."""

import json
from pathlib import Path
from typing import get_args

import pytest
import yaml

from suite.page import render
from suite.plan import SuitePlan
from suite.runner import SuiteRun
from suite.schema import Paper, Suite
from uniultra.errors import ModelError
from uniultra.train.trainer import Trainer

PLAN = yaml.safe_load("""
task: tiny
scored: [tiny, organ]
protocol: {clicks: 5, jitters: 1}
zero_shot: [sam2_t]
against: {sam2_mini: decoder}
defaults: &small {image_size: 64, batch: 2, validate_every: null, augment: false, average: null}
bases:
  sam2_mini:
    recipe: {<<: *small, model: sam2_mini, datasets: {organ: 1.0}, holdout: 0.5, steps: 2}
systems:
  decoder:
    title: decoder only
    paper: baseline
    base: sam2_mini
    method: decoder
    seeds: [1, 2]
    recipe: {model: sam2_mini, trains: decoder}
  uniultra:
    title: UniUltra
    paper: uniultra
    base: sam2_mini
    method: CH-Adapters
    seeds: [1, 2]
    recipe: {model: uniultra_mini, trains: adapter, loss: uniultra}
  autosamus:
    title: AutoSAMUS
    paper: autosamus
    base: sam2_mini
    after: uniultra
    method: generator
    seeds: [2]
    recipe: {model: autosamus_mini, objective: auto, target: whole, loss: samus}
""")
PLAN["defaults"] |= {"datasets": {"tiny": 1.0}, "images": 4, "targets": 1}


@pytest.fixture(scope="module")
def suite(training_data, tmp_path_factory):
    """The small suite, and the work folder that it left."""
    work = tmp_path_factory.mktemp("work")
    return SuiteRun(SuitePlan.model_validate(PLAN), training_data, work).run(), work


def test_every_system_is_trained_scored_and_counted(suite):
    found, _ = suite
    seeds = {"decoder": [1, 2], "uniultra": [1, 2], "autosamus": [2]}
    assert [(r.system, r.seed) for r in found.runs] == [(name, s) for name in seeds for s in seeds[name]]
    assert all(run.spent.images_seen == 4 and run.spent.seconds > 0 for run in found.runs)
    by_name = {system.name: system for system in found.systems}
    assert by_name["uniultra"].adapter == 37_352
    assert by_name["decoder"].trained < by_name["uniultra"].trained < by_name["uniultra"].parameters
    assert by_name["decoder"].trained + 37_352 == by_name["uniultra"].trained
    assert by_name["autosamus"].trained == 8_861_312 and by_name["autosamus"].prompts == ()
    prompts = {s.system: set(s.scores[0].prompts) for s in found.summaries}
    assert prompts["decoder"] == {"click_1", "click_3", "click_5", "box", "box_jitter"}
    assert prompts["autosamus"] == {"none", "none_largest"}
    assert {c.system for c in found.comparisons} == {"uniultra"}
    assert [base.name for base in found.bases] == ["sam2_mini"], "no official weights are on this machine"
    assert found.bases[0].scores and found.tasks[0].tested == 1


def test_a_run_starts_at_its_base_and_another_seed_ends_elsewhere(suite):
    _, work = suite
    results = [json.loads((work / "runs" / "decoder" / s / "result.json").read_text()) for s in "12"]
    assert all(r["recipe"]["start"] == "sam2_mini.safetensors" for r in results), "a name, not a path"
    files = [(work / "runs" / "decoder" / s / "sam2_mini.safetensors").read_bytes() for s in "12"]
    assert files[0] != files[1]


def test_what_was_done_is_not_done_again(suite, training_data, monkeypatch):
    found, work = suite

    def never(self):
        raise AssertionError("a training was run again")

    monkeypatch.setattr(Trainer, "run", never)
    again = SuiteRun(SuitePlan.model_validate(PLAN), training_data, work).run()
    assert again.runs == found.runs and again.summaries == found.summaries
    kept = work / "runs" / "decoder" / "1" / "scores.json"
    kept.write_text('{"protocol": {}, "pictures": [{"answers": {}}]}')  # of another version
    rescored = SuiteRun(SuitePlan.model_validate(PLAN), training_data, work).run(["decoder"])
    assert rescored.runs[0].scores[0].prompts == found.runs[0].scores[0].prompts
    changed = {**PLAN, "defaults": {**PLAN["defaults"], "images": 6}}
    with pytest.raises(AssertionError, match="again"):
        SuiteRun(SuitePlan.model_validate(changed), training_data, work).run(["decoder"])


def test_the_result_is_a_file_and_a_page(suite):
    found, _ = suite
    assert Suite.model_validate_json(found.model_dump_json()) == found
    page = render(found)
    assert "UniUltra" in page and "decoder only" in page and "AutoSAMUS" in page


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"against": {"sam2_mini": "nobody"}}, "nobody"),
        ({"bases": {}}, "sam2_mini"),
        ({"surprise": 1}, "surprise"),
        ({"defaults": {**PLAN["defaults"], "learning_rate": 1}}, "learning_rate"),
    ],
)
def test_a_plan_that_cannot_be_followed_is_refused(tmp_path, change, words):
    path = tmp_path / "plan.yaml"
    path.write_text(json.dumps({**PLAN, **change}))
    with pytest.raises(ModelError, match=words):
        SuitePlan.read(path)


def test_the_shipped_plan_is_read(project_root):
    plan, start = SuitePlan.read(project_root / "training" / "suite_seeds.yaml"), Path("base.safetensors")
    assert {s.paper for s in plan.systems.values()} == set(get_args(Paper))
    on_gpu = SuitePlan.read(project_root / "training" / "suite_seeds.yaml", "cuda:0")
    assert on_gpu.recipe("samus", 1, start).images == 19200 and on_gpu.systems["samus"].seeds == (1, 2, 3)
    assert on_gpu.recipe("samus", 1, start).loss == "samus", "the rest is as on the processor"
    assert plan.recipe("samus", 1, start).images < 1000
    for name, base in plan.bases.items():
        assert plan.task not in base.recipe["datasets"], f"{name} would see the task"
        assert not {"liver_mass", "carotid_lumen", "dltrack_fascicle"} & set(base.recipe["datasets"])
