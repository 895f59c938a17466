"""A campaign replayed on generated pictures, from the manifest to the picture of the curves."""

import json

import numpy as np
import pytest
import torch
from active_scenes import ENTRY, BlobNetwork
from benchmark_cases import write_manifest

from uniultra.adapt.settings import FitSettings
from uniultra.errors import RequestError
from uniultra.evaluate.campaigns import simulation
from uniultra.evaluate.campaigns.report import draw, table
from uniultra.evaluate.campaigns.schema import CampaignProtocol, Simulation
from uniultra.evaluate.campaigns.simulation import SimulationRequest, divided, simulate
from uniultra.evaluate.plots import check_picture
from uniultra.evaluate.records import MeasuredModel
from uniultra.evaluate.systems import System
from uniultra.models import build
from uniultra.weights import tensors

SIDE = 64


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """`split`: a set with train and test rows, one label empty; `organ`: only test rows, two per patient."""
    rng = np.random.default_rng(4)
    parts = [("split", "train")] * 7 + [("split", "test")] * 3 + [("organ", "test")] * 20
    pictures = []
    y, x = np.mgrid[:SIDE, :SIDE]
    for n, (dataset, split) in enumerate(parts):
        cx, cy, r = rng.integers(18, 46), rng.integers(18, 46), rng.integers(7, 13)
        mask = (x - cx) ** 2 + (y - cy) ** 2 <= r**2
        picture = np.clip(rng.normal(60, 20, (SIDE, SIDE)) + 120 * mask, 0, 255).astype(np.uint8)
        pictures.append((dataset, str(n), split, f"patient{n // 2}", picture, mask & (n != 2), None))
    return write_manifest(tmp_path_factory.mktemp("simulated"), pictures)


@pytest.fixture
def model(monkeypatch):
    """A fast network in place of a registered model."""
    measured = MeasuredModel(name="blobs", sha256="0" * 64, image_size=SIDE, trained_on=None)
    blobs = System("blobs", None, ("point",), measured, BlobNetwork(), ENTRY)
    monkeypatch.setattr(simulation, "system", lambda *_: blobs)
    return "blobs"


@pytest.fixture
def real_model(tmp_path):
    """Weights of a small network, untrained."""
    file = tmp_path / "uniultra_mini.safetensors"
    torch.manual_seed(0)
    tensors.save(file, build("uniultra_mini", SIDE), {"trained_on": json.dumps(["split"])})
    return str(file)


def learner(calls):
    """Stands in for training: records its calls and returns the base unchanged."""

    def fit(network, pictures, seed):
        calls.append((len(pictures), seed))
        return network

    return fit


def request(data, model, work, *strategies, **changes):
    protocol = CampaignProtocol(strategies=strategies or ("default", "random"), batch=2, rounds=3, seeds=2)
    return SimulationRequest(data, protocol.model_copy(update=changes), work, ("split",), model, "cpu")


def run(data, model, work, *strategies, **changes):
    """Simulate without training; the result, and the calls of the stand-in."""
    calls = []
    requested = request(data, model, work, *strategies, **changes)
    return simulate(requested, fit=learner(calls), progress=False), calls


def test_the_whole_way(data, real_model, tmp_path):
    fit = FitSettings(steps=2, batch=2, targets=1, scenes=2, average=None)
    requested = request(data, real_model, tmp_path / "work", "default", rounds=2, seeds=1, fit=fit)
    found = simulate(requested, progress=False)
    one = found.sets["split"]
    assert (one.pool, one.pool_empty, one.held_out, one.budgets) == (7, 1, 3, (2, 4))
    assert one.seen is True and found.model.sha256
    for result in one.strategies.values():
        assert np.shape(result.curves["click"].seeds) == (1, 2)
        assert result.seconds_fit > 0 and 0 < result.foreground < 1
    assert Simulation.model_validate_json(found.model_dump_json()) == found
    draw(found, tmp_path / "curves.svg")
    text = (tmp_path / "curves.svg").read_text()
    assert "default" in text and "split (7 to choose from)" in text
    draw(found, tmp_path / "again.svg")
    assert text == (tmp_path / "again.svg").read_text(), "the same results give the same file"
    assert "labels to 95 %" in table(found)


STRATEGIES = ("default", "coreset", "clasp_pe", "disagreement", "foreground_random", "iou_head")


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_labels_are_never_asked_twice(data, model, tmp_path, strategy):
    run(data, model, tmp_path, strategy, seeds=1)
    kept = [json.loads(path.read_text()) for path in sorted(tmp_path.rglob(f"{strategy}/*/*.json"))]
    assert [len(set(one["labelled"])) for one in kept] == [2, 4, 6]
    assert kept[1]["labelled"][:2] == kept[0]["labelled"]
    assert kept[0]["then"] == kept[1]["labelled"][2:]


def test_a_stopped_simulation_goes_on_with_the_same_result(data, model, tmp_path):
    class StopError(Exception):
        pass

    calls = []

    def stopping(network, pictures, seed):
        if len(calls) == 5:
            raise StopError
        return learner(calls)(network, pictures, seed)

    whole, _ = run(data, model, tmp_path / "a")
    with pytest.raises(StopError):
        simulate(request(data, model, tmp_path / "b"), fit=stopping, progress=False)
    again, rest = run(data, model, tmp_path / "b")
    assert len(calls) == 5 and len(rest) == 2 + 2 * 2 * 3 - 5, "what was finished is not run again"

    def plain(found):
        return found.model_dump(exclude={"made": True, "sets": {"split": {"strategies": True}}})

    assert plain(again) == plain(whole)
    for name, one in whole.sets["split"].strategies.items():
        assert again.sets["split"].strategies[name].curves == one.curves


def test_more_rounds_later_go_on_too(data, model, tmp_path):
    run(data, model, tmp_path, rounds=2)
    found, calls = run(data, model, tmp_path, rounds=3)
    assert found.sets["split"].budgets == (2, 4, 6)
    assert len(calls) == 2 * 2 * 2, "the last round is run again for what it would have asked next"


def test_other_settings_are_other_rounds(data, model, tmp_path):
    run(data, model, tmp_path, seeds=1)
    _, calls = run(data, model, tmp_path, seeds=1, fit=FitSettings(steps=7))
    assert len(calls) == 1 + 2 * 3


def test_labels_without_a_structure_are_not_trained_on(data, model, tmp_path):
    found, calls = run(data, model, tmp_path, "random", batch=1, rounds=6, seeds=4)
    # Of the campaigns, those whose first label is the empty one have one training less.
    first = [json.loads(p.read_text())["labelled"] for p in tmp_path.rglob("random/*/round-0.json")]
    assert len(calls) == 4 + 4 * 6 - first.count([2])
    assert 0 < found.sets["split"].strategies["random"].empty <= 1


def test_an_organ_without_training_rows_is_divided_by_patient(data):
    pool, held_out = divided(data, "organ")
    assert len(pool) + len(held_out) == 20 and len(held_out) in (8, 9)
    assert not {row.group for row in pool} & {row.group for row in held_out}
    assert divided(data, "organ") == (pool, held_out)
    assert [row.split for row in divided(data, "split")[1]] == ["test"] * 3


def test_what_cannot_be_run_is_refused_first(data, model, tmp_path):
    with pytest.raises(RequestError, match="stochastic_batches"):
        simulate(request(data, model, tmp_path, "best"), progress=False)
    with pytest.raises(RequestError, match="batch"):
        simulate(request(data, model, tmp_path, batch=7), progress=False)
    with pytest.raises(RequestError, match="svg"):
        check_picture(tmp_path / "curves.pdf")


def test_the_command(data, model, tmp_path, monkeypatch, capsys):
    import argparse

    from uniultra.cli.simulate import add_simulate

    real = simulation.simulate
    monkeypatch.setattr(simulation, "simulate", lambda r: real(r, fit=learner([]), progress=False))
    parser = argparse.ArgumentParser()
    add_simulate(parser.add_subparsers())
    line = (
        f"simulate --data {data} --model {model} --sets split --strategy random,coreset --seeds 1 --batch 3"
    )
    files = f"--rounds 2 --set steps=5 --json {tmp_path / 'out.json'} --picture {tmp_path / 'out.svg'}"
    options = parser.parse_args(f"{line} {files} --device cpu".split())
    options.run(options)
    found = Simulation.model_validate_json((tmp_path / "out.json").read_text())
    assert found.protocol.fit.steps == 5 and found.protocol.fit.batch == 4
    assert (tmp_path / "out.svg").is_file() and "coreset" in capsys.readouterr().out
    options.set = ["steps=many"]
    with pytest.raises(RequestError, match="steps=60"):
        options.run(options)
