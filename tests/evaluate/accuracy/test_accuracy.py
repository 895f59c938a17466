"""The whole command on generated pictures with a tiny network; what it refuses, and what it writes."""

import json

import pytest

from uniultra.cli import main
from uniultra.errors import ImageError, ModelError, RequestError
from uniultra.evaluate.accuracy import accuracy, results
from uniultra.evaluate.accuracy.accuracy import AccuracyRequest, measure
from uniultra.evaluate.accuracy.comparisons import set_score
from uniultra.evaluate.accuracy.gallery import ranked
from uniultra.evaluate.accuracy.page import render
from uniultra.evaluate.obedience import obedience
from uniultra.evaluate.outputs import check_json
from uniultra.evaluate.records import PictureScore
from uniultra.evaluate.summaries import by_set
from uniultra.evaluate.systems import system
from uniultra.train.provenance import trained_on


@pytest.fixture(autouse=True)
def few_scenes(monkeypatch):
    def test(answers, cases, scenes):
        return obedience(answers, cases, scenes=2)

    monkeypatch.setattr(accuracy, "obedience", test)


def test_the_command_writes_json_page_and_pictures(data, tiny, tmp_path, capsys):
    model, other = tiny(), tiny("other.safetensors", seed=1)
    output, shown = tmp_path / "new" / "out.json", tmp_path / "shown"
    words = ["benchmark", "accuracy", "--data", str(data / "manifest.csv"), "--split", "val"]
    words += ["--model", str(model), "--baseline", f"untrained={other}", "--seeds", "2", "--device", "cpu"]
    assert main.main([*words, "--json", str(output), "--pictures", str(shown)]) == 0
    found = json.loads(output.read_text())
    known = found["sets"]["known"]
    assert known["n"] == 3 and known["n_empty"] == 1 and known["seen"] is True
    assert found["sets"]["strange"]["seen"] is False
    for key in ("dice@1", "dice@2", "dice@3", "dice@5", "dice@10", "dice_box", "dice_box_noisy",
                "dice_scribble", "ellipse_box", "noc80", "noc85", "noc90", "nof90"):  # fmt: skip
        assert isinstance(known[key], float) and len(known["intervals"][key]) == 2
    assert found["model"]["sha256"] and found["model"]["image_size"] == 64
    assert found["component_rule"] == "largest 8-connected component of the label"
    assert found["obedience"]["n_scenes"] == 2 and found["cost"]["gmac_encode"] > 0
    assert set(found["alternatives"]) == {"ellipse", "untrained"}
    assert found["alternatives"]["ellipse"]["sets"]["known"]["dice_box"] == known["ellipse_box"]
    assert found["alternatives"]["untrained"]["differences"]["known"]["dice_box"]["low"] is not None
    assert {p.name for p in shown.iterdir()} == {"known.png", "strange.png", "dltrack_fascicle.png"}
    page = output.with_suffix(".md").read_text()
    assert "## known, seen in training" in page and "## strange, not seen in training" in page
    assert f"{known['dice@1']:.3f}" in page and "untrained" in page
    assert "known" in capsys.readouterr().out
    again = results.read(output)
    for name, scores in by_set(again.pictures["model"]).items():
        assert set_score(scores, again.model.trained_on) == again.sets[name]  # anyone can recompute
    assert render(again) == page


def test_alternatives_are_asked_the_same(data, tiny, tmp_path):
    pytest.importorskip("cv2")
    found, _, _ = measure(AccuracyRequest(data, "val", str(tiny()), ("strange",), 1, True, device="cpu"))
    assert {"ellipse", "grabcut", "random_walker"} <= set(found.alternatives)
    assert "unet" in found.alternatives or found.missing["unet"]
    for name in ("grabcut", "random_walker"):
        one = found.alternatives[name].sets["strange"]
        assert one.means["dice_box"] > 0.9 and one.means["dice@5"] > 0.8  # bright on dark
        assert found.alternatives[name].differences["strange"]["dice_box"].mean < 0


def test_a_model_comes_by_name_file_or_folder(tiny, tmp_path):
    path = tiny()
    by_file, by_folder = system(str(path)), system(str(path.parent))
    assert by_file.model == by_folder.model and by_file.model.name == "uniultra_mini"
    assert trained_on(path) == ("known",)
    training = '{"recipe": {"datasets": {"x": 1}}}'
    listed = tiny("listed.safetensors", trained_on='["one", "two"]', training=training)
    assert trained_on(listed) == ("one", "two")
    silent = tiny("silent.safetensors", note="nothing")
    assert trained_on(silent) is None
    with pytest.raises(ModelError, match=r"NAME\.safetensors"):
        system(str(silent))
    assert system(str(silent), family="uniultra_mini").model.name == "uniultra_mini"
    with pytest.raises(ModelError, match="got 3"):
        system(str(path.parent))


def test_refusals(data, tiny, tmp_path, monkeypatch):
    model = str(tiny())
    for request, match in (
        (AccuracyRequest(tmp_path / "nowhere", "val", model), "manifest.csv"),
        (AccuracyRequest(data, "test", model), "no rows"),
        (AccuracyRequest(data, "val", model, sets=("absent",)), "known, strange, dltrack_fascicle"),
    ):
        with pytest.raises(ImageError, match=match):
            measure(request)
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "none"))
    for name, match in {"sam2_t": "weights get", "nothing": "Unknown", "no.safetensors": "not found"}.items():
        with pytest.raises(ModelError, match=match):
            measure(AccuracyRequest(data, "val", name))
    with pytest.raises(RequestError, match="taken"):
        measure(AccuracyRequest(data, "val", model, baselines=(("ellipse", model),), device="cpu"))


def test_a_place_that_cannot_be_written_is_refused_first(tmp_path):
    (tmp_path / "file").write_text("")
    (tmp_path / "folder.json").mkdir()
    for path, match in (
        (tmp_path / "out.txt", ".json"),
        (tmp_path / "file" / "out.json", "cannot be created"),
        (tmp_path / "folder.json", "cannot be written"),
    ):
        with pytest.raises(RequestError, match=match):
            check_json(path)
    words = ["benchmark", "accuracy", "--data", "x", "--json", str(tmp_path / "out.txt")]
    assert main.main(words) == 2
    with pytest.raises(RequestError, match="benchmark accuracy"):
        results.read(tmp_path / "file")


def test_best_median_and_worst():
    scores = [
        PictureScore(dataset="a", id=str(n), group="g", values={"dice@1": value})
        for n, value in enumerate((0.3, 0.9, None, 0.5, 0.7))
    ]
    assert [one.id for one in ranked(scores, "dice@1")] == ["1", "4", "0"]
