"""Weights are found by their model's name, whole, and of the network they are loaded into."""

import pytest
import torch

from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.weights import loading, tensors


@pytest.fixture
def own_folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path))
    return tmp_path


def test_saved_weights_come_back(own_folder):
    torch.manual_seed(3)
    model = build("uniultra_mini")
    path = own_folder / "uniultra_mini.safetensors"
    tensors.save(path, model, {"note": "x"}, torch.float32)
    loaded, digest = loading.load("uniultra_mini")
    assert digest == tensors.file_sha256(path)
    assert tensors.metadata(path) == {"note": "x", "image_size": "256"}
    assert not loaded.training
    for (name, a), b in zip(model.state_dict().items(), loaded.state_dict().values(), strict=True):
        assert torch.equal(a, b), name
    assert [p.name for p in own_folder.iterdir()] == [path.name]


def test_weights_remember_the_side_that_they_were_trained_at(own_folder):
    tensors.save(own_folder / "uniultra_mini.large.safetensors", build("uniultra_mini", 512), {})
    assert loading.load("uniultra_mini.large")[0].image_size == 512
    assert loading.load("uniultra_mini.large", 128)[0].image_size == 128
    assert loading.load("uniultra_mini")[0].image_size == 256


def test_another_networks_weights_are_refused(own_folder):
    tensors.save(own_folder / "uniultra_mini.safetensors", torch.nn.Linear(2, 2), {})
    with pytest.raises(ModelError, match="another network"):
        loading.load("uniultra_mini")


def test_one_wrong_shape_is_refused():
    model = build("uniultra_mini", 64)
    state = dict(model.state_dict()) | {"no_mem_embed": torch.zeros(1, 1, 7)}
    with pytest.raises(ModelError, match="no_mem_embed"):
        loading.load_into(model, state)


def test_a_shipped_file_that_changed_on_the_way_is_refused(own_folder, monkeypatch):
    monkeypatch.setattr(loading, "shipped_folder", lambda: own_folder / "shipped")
    path = own_folder / "shipped" / "uniultra_mini.clinic.safetensors"
    tensors.save(path, build("uniultra_mini", 64), {})
    sums = path.parent / loading.SUMS
    sums.write_text(f"{tensors.file_sha256(path)}  {path.name}\n")
    assert loading.load("uniultra_mini.clinic")[1] == tensors.file_sha256(path)
    sums.write_text(f"{'0' * 64}  {path.name}\n")
    with pytest.raises(ModelError, match="damaged"):
        loading.load("uniultra_mini.clinic")
    path.rename(own_folder / path.name)  # a person's own may be any
    assert loading.load("uniultra_mini.clinic")[0].image_size == 64


@pytest.mark.parametrize("content", [b"", b"\x80\x04pickle", b"\xff" * 64])
def test_files_of_another_kind_are_refused_without_their_path(own_folder, content):
    (own_folder / "uniultra_mini.safetensors").write_bytes(content)
    with pytest.raises(ModelError, match="safetensors") as caught:
        loading.load("uniultra_mini")
    assert str(own_folder) not in str(caught.value)


@pytest.mark.parametrize(
    ("name", "command"),
    [
        ("sam2_t", "uniultra weights get sam2_t"),
        ("sam_b_256", "uniultra weights get sam_b"),
        ("samus", "uniultra weights get samus"),
        ("uniultra_l", "uniultra weights get sam2_l, then uniultra train RECIPE"),
        ("samus_mini", "uniultra train RECIPE"),
        ("sam_b.kidney", "uniultra train RECIPE"),
    ],
)
def test_missing_weights_say_which_command_gets_them(own_folder, name, command):
    assert loading.how(name) == command and loading.find(name) is None
    with pytest.raises(ModelError, match=f"Run `{command}`.*UNIULTRA_WEIGHTS"):
        loading.load(name)


def test_weights_of_another_entry_serve_where_they_are_shared(own_folder):
    """SAM's file at 1024 pixels serves its entries at 256, brought to their tables."""
    assert entry("sam_b_256").weights_of == "sam_b"
    (own_folder / "sam_b.safetensors").touch()
    for name in ("sam_b", "sam_b_256", "sam_b_overlap"):
        assert loading.find(name) == own_folder / "sam_b.safetensors"
    # Weights trained for a task are not SAM's own, nor those of another entry.
    assert loading.find("sam_b_256.kidney") is None
    (own_folder / "sam_b_256.safetensors").touch()
    assert loading.find("sam_b_256") == own_folder / "sam_b_256.safetensors"


def test_weights_for_drawn_prompts_load_into_a_network_that_takes_them(own_folder):
    torch.manual_seed(0)
    model = build("sam2_t", 64, map_channels=4)
    tensors.save(own_folder / "sam2_t.safetensors", model, {})
    assert loading.load("sam2_t", 64)[0].map_channels == 4
    assert build("sam2_t", 64).map_channels == 1
