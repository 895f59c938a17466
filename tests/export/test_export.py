"""An exported model needs nothing of this library, answers like it, and is never left half right."""

import json

import pytest
import torch

from uniultra.cli.main import main
from uniultra.errors import ModelError
from uniultra.export import formats
from uniultra.export.export import export_network
from uniultra.models import build, entry
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import batch, encode
from uniultra.prompts.types import Box, Point, PromptSet
from uniultra.weights import loading, tensors

SIDE = 64


@pytest.fixture
def network():
    torch.manual_seed(0)
    return build("uniultra_mini", SIDE).eval()


def asked(network, picture):
    """What the network is given and answers for three objects of different prompts."""
    sets = [
        PromptSet((Point(20, 30),)),
        PromptSet((Point(9, 8), Point(50, 50, positive=False)), Box(4, 4, 40, 30)),
    ]
    prompts = batch([encode(one, Fit(SIDE, SIDE, SIDE)) for one in (*sets, sets[0])])
    with torch.no_grad():
        return prompts, network.decode(network.encode(picture), *prompts)


def test_onnx_alone_answers_like_the_network(network, tmp_path):
    import onnxruntime

    picture = torch.randn(1, 3, SIDE, SIDE)
    about = export_network(network, entry("uniultra_mini"), tmp_path)
    assert {p.name for p in tmp_path.iterdir()} == {"encoder.onnx", "decoder.onnx", "export.json"}
    assert json.loads((tmp_path / "export.json").read_text()) == about
    prompts, wanted = asked(network, picture)
    encoder, decoder = (onnxruntime.InferenceSession(tmp_path / f"{n}.onnx") for n in ("encoder", "decoder"))
    embedding = encoder.run(None, {"pictures": picture.numpy()})
    names = list(about["files"]["decoder.onnx"]["inputs"])
    fed = dict(zip(names, (*embedding, *(t.numpy() for t in prompts)), strict=True))
    for answer, truth in zip(decoder.run(None, fed), wanted, strict=True):
        torch.testing.assert_close(torch.from_numpy(answer), truth, atol=1e-4, rtol=1e-4)
    assert about["files"]["decoder.onnx"]["inputs"]["coords"] == ["objects", "points", 2]
    assert about["files"]["encoder.onnx"]["opset"] >= 18


def test_torchscript_alone_answers_like_the_network(network, tmp_path):
    picture = torch.randn(1, 3, SIDE, SIDE)
    before = asked(network, picture)[1]
    export_network(network, entry("uniultra_mini"), tmp_path, "torchscript")
    prompts, wanted = asked(network, picture)
    assert all(torch.equal(a, b) for a, b in zip(before, wanted, strict=True))  # it is as it was
    with torch.no_grad():
        answers = torch.jit.load(tmp_path / "decoder.pt")(
            *torch.jit.load(tmp_path / "encoder.pt")(picture), *prompts
        )
    for answer, truth in zip(answers, wanted, strict=True):
        torch.testing.assert_close(answer, truth, atol=1e-5, rtol=1e-5)


def test_a_network_without_prompts_is_decoded_from_its_embedding(tmp_path):
    network = build("autosamus_mini", SIDE).eval()
    about = export_network(network, entry("autosamus_mini"), tmp_path, "torchscript")
    assert about["prompts"] is None
    assert set(about["files"]["decoder.pt"]["inputs"]) == {"image", "high_0", "high_1"}
    picture = torch.randn(1, 3, SIDE, SIDE)
    with torch.no_grad():
        answer = torch.jit.load(tmp_path / "decoder.pt")(*torch.jit.load(tmp_path / "encoder.pt")(picture))
        truth = network.decode(network.encode(picture))
    torch.testing.assert_close(answer[0], truth[0], atol=1e-5, rtol=1e-5)


def test_the_command_writes_what_a_program_must_know(tmp_path, capsys):
    assert main(["export", "uniultra_mini", "-o", str(tmp_path / "out"), "--format", "torchscript"]) == 0
    assert "encoder.pt" in capsys.readouterr().out
    about = json.loads((tmp_path / "out" / "export.json").read_text())
    model = entry("uniultra_mini")
    assert about["weights_sha256"] == loading.load("uniultra_mini")[1]
    assert about["licence"] == model.licence
    assert about["input"]["side"] == 256 and tuple(about["input"]["mean"]) == model.mean
    for name, file in about["files"].items():
        assert tensors.file_sha256(tmp_path / "out" / name) == file["sha256"]
        assert 0 <= file["max_abs_difference"] < 1e-3


def test_weights_that_are_not_here_are_asked_for(tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    assert main(["export", "lora_mini", "-o", str(tmp_path / "out")]) == 2
    assert "not on this machine" in capsys.readouterr().err
    assert not (tmp_path / "out").exists()


def off_by(change):
    """A reader of files whose answers are changed."""

    def read(path):
        run = torch.jit.load(path)
        return lambda inputs: tuple(change(t) for t in run(*inputs))

    return read


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t + 0.1, "differ from torch"),
        (lambda t: t * float("nan"), "differ from torch"),
        (lambda t: t[:, :1, :2], "of shape"),
    ],
)
def test_a_file_that_differs_is_not_left(network, tmp_path, monkeypatch, change, said):
    monkeypatch.setattr(formats, "_read_torchscript", off_by(change))
    with pytest.raises(ModelError, match=said):
        export_network(network, entry("uniultra_mini"), tmp_path, "torchscript")
    assert not list(tmp_path.iterdir())


def test_what_is_missing_is_named(network, tmp_path, monkeypatch):
    found = formats.find_spec
    monkeypatch.setattr(formats, "find_spec", lambda name: None if name == "onnxscript" else found(name))
    with pytest.raises(ModelError, match=r"onnxscript.*uniultra\[export\]"):
        export_network(network, entry("uniultra_mini"), tmp_path)
    monkeypatch.delattr(torch.jit, "trace")
    with pytest.raises(ModelError, match="onnx"):
        export_network(network, entry("uniultra_mini"), tmp_path, "torchscript")
