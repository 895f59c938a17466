"""Weights are safetensors, whole, and of the network they are loaded into."""

import pytest
import torch

from uniultra.errors import ModelError
from uniultra.models import build, weights


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    return tmp_path


def test_saved_weights_come_back(own_folder):
    torch.manual_seed(3)
    model = build("uniultra_mini")
    path = own_folder / "uniultra_mini.safetensors"
    weights.save(path, model, {"note": "x"}, torch.float32)
    loaded, digest = weights.load("uniultra_mini")
    assert digest == weights.file_sha256(path)
    assert weights.metadata(path) == {"note": "x"}
    assert not loaded.training
    for (name, a), b in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert [p.name for p in own_folder.iterdir()] == [path.name]


def test_another_networks_weights_are_refused(own_folder):
    weights.save(own_folder / "uniultra_mini.safetensors", torch.nn.Linear(2, 2), {})
    with pytest.raises(ModelError, match="another network"):
        weights.load("uniultra_mini")


def test_one_wrong_shape_is_refused():
    model = build("uniultra_mini", 64)
    tensors = dict(model.state_dict())
    tensors["no_mem_embed"] = torch.zeros(1, 1, 7)
    with pytest.raises(ModelError, match="no_mem_embed"):
        weights.load_into(model, tensors)


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_files_of_another_kind_are_refused_without_their_path(own_folder, content):
    (own_folder / "uniultra_mini.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="safetensors") as caught:
        weights.load("uniultra_mini")
    assert str(own_folder) not in str(caught.value)


def test_missing_weights_say_what_to_do(own_folder):
    with pytest.raises(ModelError, match="UNIULTRA_WEIGHTS"):
        weights.load("uniultra_l")
