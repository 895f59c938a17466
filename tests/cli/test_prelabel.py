"""`uniultra campaign prelabel` with a network in memory."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from uniultra.predict import Prediction, Predictor
from uniultra.store.store import LabelStore

MODEL = "autosamus_mini"


@pytest.fixture
def studies(tmp_path, monkeypatch):
    """Two stills and a cine; the model marks what is brighter than 100, whatever its weights."""
    root = tmp_path / "studies"
    root.mkdir()
    picture = np.zeros((16, 20), np.uint8)
    picture[4:8, 5:10] = 200
    for name in ("a", "b"):
        Image.fromarray(picture).save(root / f"{name}.png")
    sitk.WriteImage(
        sitk.GetImageFromArray(np.stack([picture, picture * 0, picture])), str(root / "c.seq.nrrd")
    )
    (root / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n and nothing more")
    (root / "campaign.yaml").write_text("labels:\n- {name: lesion, index: 4}\n- {name: cyst, index: 2}\n")

    def predict(self, source, plane, prompts, *, keep=True):
        assert not keep and len(prompts) == 1
        return [Prediction(source.picture(plane) > 100, 0.9, self.entry.name, None, {})]

    monkeypatch.setattr(Predictor, "predict", predict)
    monkeypatch.setattr(Predictor, "warm_up", lambda self: None)
    return root


@pytest.fixture
def prelabel(run, studies):
    """Runs `uniultra campaign prelabel …` on the studies folder."""
    return lambda *more: run("campaign", "prelabel", "--studies", studies, "--device", "cpu", *more)


def test_every_frame_is_proposed_under_the_structures_index(studies, prelabel):
    code, said, warned = prelabel("--model", MODEL, "--label", "lesion")
    assert code == 1 and "3 images proposed as `original`, 0 passed over" in said and "!! broken: " in warned
    store = LabelStore(studies)
    found = {version.image: version for version in store.versions()}
    assert found.keys() == {"a", "b", "c"} and {v.origin.model for v in found.values()} == {MODEL}
    assert {v.tag for v in found.values()} == {"original"} and found["c"].frames == (0, 1, 2)
    values = sitk.GetArrayFromImage(sitk.ReadImage(str(store.path(found["c"]))))
    assert [int(frame.sum()) for frame in values] == [80, 0, 80] and set(np.unique(values)) == {0, 4}
    assert store.trainable() == []


def test_a_second_run_goes_on_and_people_come_first(studies, prelabel, tmp_path):
    prelabel("--model", MODEL, "--label", "lesion", "--limit", "1")
    store = LabelStore(studies)
    Image.fromarray(np.zeros((16, 20), np.uint8)).save(tmp_path / "mine.png")
    store.save("b", tmp_path / "mine.png", tag="final", annotator="ann")
    _, said, _ = prelabel("--model", MODEL, "--label", "lesion")
    assert "1 images proposed as `original`, 1 passed over" in said
    assert {(v.image, v.tag) for v in LabelStore(studies).versions()} == {
        ("a", "original"),
        ("b", "final"),
        ("c", "original"),
    }


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--model", MODEL], "structures (lesion, cyst)"),
        (["--model", MODEL, "--label", "liver"], "structures (lesion, cyst)"),
        (["--model", "uniultra_mini"], "answers prompts"),
        (["--model", "no_such"], "Unknown model"),
    ],
)
def test_what_cannot_be_done_is_said_before_any_image(studies, prelabel, arguments, text):
    code, _, said = prelabel(*arguments)
    assert code == 2 and text in said and not LabelStore(studies).versions()


def test_status_does_not_count_proposals_as_work(run, studies, prelabel):
    prelabel("--model", MODEL, "--label", "lesion")
    code, said, _ = run("campaign", "status", "--json", "--studies", studies)
    found = json.loads(said)
    assert code == 0 and found["left"] == found["units"] and found["states"] == {} and found["trainable"] == 0
