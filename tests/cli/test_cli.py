"""The commands a person types, run as they would."""

import json

import numpy as np
import pytest
import SimpleITK as sitk
from PIL import Image

from uniultra.synthesis.scene import scene


@pytest.fixture
def picture(tmp_path):
    path = tmp_path / "lesion.png"
    Image.fromarray(scene(np.random.default_rng(1), 192).picture).save(path)
    return path


def test_segment_writes_a_mask_in_the_images_geometry_and_an_overlay(picture, tmp_path, run):
    mask, overlay = tmp_path / "mask.nrrd", tmp_path / "overlay.png"
    prompts = ["--point", "90,80", "--negative", "5,5", "--box", "120,110,40,50"]
    outputs = ["-o", str(mask), "--overlay", str(overlay)]
    code, said, _ = run("segment", picture, *prompts, *outputs, "--device", "cpu")
    written = sitk.ReadImage(str(mask))
    assert written.GetSize() == (192, 192, 1) and written.GetPixelID() == sitk.sitkUInt8
    pixels = sitk.GetArrayFromImage(written)
    assert set(np.unique(pixels)) <= {0, 1}
    assert code == 0 and f"{pixels.sum()} pixels" in said
    with Image.open(overlay) as shown:
        assert shown.size == (192, 192) and np.asarray(shown)[5, 5].tolist() == [240, 70, 70]


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--point", "500,80"], "192 x 192"),
        (["--frame", "3", "--point", "9,9"], "0 to 0"),
        ([], "at least one"),
        (["--point", "9,9,0", "--negative", "5,5,1"], "one frame"),
        (["--point", "9,9,2", "--frame", "0"], "one frame"),
        (["--point", "9,9", "--model", "other"], "uniultra_mini"),
    ],
)
def test_what_cannot_be_done_is_said_in_one_line(picture, tmp_path, run, arguments, text):
    code, _, said = run("segment", picture, "-o", tmp_path / "m.nrrd", "--device", "cpu", *arguments)
    assert code == 2 and text in said and len(said.splitlines()) == 1
    assert not (tmp_path / "m.nrrd").exists()


def test_an_overlay_that_cannot_be_written_is_said(picture, tmp_path, run):
    outputs = ["-o", str(tmp_path / "m.nrrd"), "--overlay", str(tmp_path / "absent" / "o.png")]
    code, _, said = run("segment", picture, "--point", "90,80", "--device", "cpu", *outputs)
    assert code == 2 and "another folder" in said


@pytest.mark.parametrize("value", ["1", "1,2,3,4", "a,b"])
def test_malformed_points_are_a_usage_error(picture, tmp_path, value, run):
    with pytest.raises(SystemExit) as stopped:
        run("segment", picture, "-o", tmp_path / "m.nrrd", "--point", value)
    assert stopped.value.code == 2


def test_models_lists_flat_objects(run):
    code, said, _ = run("models", "--json")
    assert code == 0
    listed = {m["name"]: m for m in json.loads(said)}
    mini = listed["uniultra_mini"]
    assert mini["parameters_encoder"] == 857_608 and mini["parameters_adapter"] == 37_352
    assert mini["available"] and len(mini["sha256"]) == 64 and "box" in mini["prompts"]
    assert {"uniultra", "samus", "autosamus", "lgmedseg"} < {m["system"] for m in listed.values()}
    assert not any(isinstance(v, dict) for m in listed.values() for v in m.values())
    code, said, _ = run("models")
    assert code == 0 and "0.86 M" in said


def test_doctor_finds_nothing_wrong_here_and_says_what_is(run, monkeypatch):
    code, said, _ = run("doctor")
    assert code == 0 and "!!" not in said
    monkeypatch.setattr("uniultra.doctor.metadata.requires", lambda _: ["numpy>=99", "no-such-package<2"])
    code, said, _ = run("doctor")
    assert code == 1 and "pip install 'numpy>=99'" in said and "pip install 'no-such-package<2'" in said


def test_doctor_names_unusable_weights(run, monkeypatch, tmp_path):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    (tmp_path / "uniultra_mini.safetensors").write_bytes(b"junk")
    code, said, _ = run("doctor")
    assert code == 1 and "unusable" in said


def test_serve_passes_settings_on_and_names_a_wrong_one(tmp_path, run, monkeypatch):
    settings = ["--conf", "labels", "head,femur", "--conf", "max_upload_mb", "none"]
    code, _, said = run("serve", "--studies", tmp_path, *settings)
    assert code == 2 and "--conf max_upload_mb" in said
    given = {}
    monkeypatch.setattr("uniultra.serve.server.run_server", lambda studies, **options: given.update(options))
    assert run("serve", "--studies", tmp_path, *settings[:3])[0] == 0
    assert given["conf"] == {"device": "auto", "labels": "head,femur"} and given["host"] == "127.0.0.1"
