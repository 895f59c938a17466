"""`uniultra weights get | add | list` as a person types them."""

import io
import os
import re
import sys
from dataclasses import replace
from functools import partial

import file_server
import official_layouts
import pytest
import torch
from factories import raising

from uniultra.models import build, registry
from uniultra.models.registry import entry
from uniultra.weights import download, loading, tensors


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
        monkeypatch.delenv(name, raising=False)
    return tmp_path / "weights"


@pytest.fixture(scope="module")
def released(tmp_path_factory):
    """A checkpoint in MobileSAM's published layout."""
    path = tmp_path_factory.mktemp("released") / "mobile_sam.pt"
    torch.save(official_layouts.filled(official_layouts.layouts()["mobile_sam"]), path)
    return path


@pytest.fixture
def offered(released, monkeypatch):
    """MobileSAM's official address, for this test on this machine."""
    script = file_server.Script(released.read_bytes())
    with file_server.serving(script, "/mobile_sam.pt") as url:
        model = replace(entry("mobile_sam"), url=url, url_sha256=tensors.file_sha256(released))
        monkeypatch.setitem(registry._ENTRIES, "mobile_sam", model)
        yield script


class Terminal(io.StringIO):
    def isatty(self):
        return True


def test_get_shows_the_licence_fetches_converts_and_makes_the_model_available(folder, offered, run):
    assert not loading.available("mobile_sam")
    code, said, warned = run("weights", "get", "mobile_sam", "--yes")
    assert code == 0 and "Apache-2.0" in said and "mobile_sam.safetensors is in the weights folder" in said
    assert "100%" in warned and str(folder) not in said
    assert [path.name for path in folder.iterdir()] == ["mobile_sam.safetensors"]
    notes = tensors.metadata(folder / "mobile_sam.safetensors")
    assert notes["source_sha256"] == entry("mobile_sam").url_sha256
    assert notes["url"] == entry("mobile_sam").url and notes["licence"] == "Apache-2.0"
    model, _ = loading.load("mobile_sam", 64)
    with torch.no_grad():
        assert model.encode(torch.randn(1, 3, 64, 64)).image.shape == (1, 256, 4, 4)


@pytest.mark.parametrize("answer", ["\n", "n\n", "nonsense\n", ""])
def test_without_a_yes_nothing_is_fetched(folder, offered, run, monkeypatch, answer):
    """The empty answer is of a terminal that closes."""
    monkeypatch.setattr(sys, "stdin", Terminal(answer))
    code, said, warned = run("weights", "get", "mobile_sam")
    assert code == 2 and "Accept this licence" in said and "not accepted" in warned
    assert not offered.asked and not folder.exists()


def test_a_yes_at_the_terminal_is_enough(folder, offered, monkeypatch, run):
    monkeypatch.setattr(sys, "stdin", Terminal("Yes\n"))
    assert run("weights", "get", "mobile_sam")[0] == 0
    assert loading.available("mobile_sam")


def test_without_a_terminal_the_licence_has_to_be_accepted_beforehand(folder, offered, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    code, _, said = run("weights", "get", "mobile_sam")
    assert code == 2 and "--yes" in said
    assert not offered.asked


def test_a_cut_download_goes_on_with_the_same_command(folder, offered, monkeypatch, run):
    monkeypatch.setattr(download, "Limits", partial(download.Limits, attempts=2, backoff=0.0))
    offered.cuts = [5_000_000, 0]
    code, _, said = run("weights", "get", "mobile_sam", "--yes")
    assert code == 2 and "Run the same command again" in said
    assert run("weights", "get", "mobile_sam", "--yes")[0] == 0
    assert offered.asked[-1]["Range"] == "bytes=5000000-"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("samus", "github.com/xianlin7/SAMUS.*weights add samus FILE"),
        ("sam_med2d", "github.com/OpenGVLab/SAM-Med2D.*weights add sam_med2d FILE"),
        ("uniultra_l", "published.*weights get sam2_l"),
        ("sam2_mini", "published.*train RECIPE"),
        ("nope", "Unknown model"),
    ],
)
def test_what_no_program_can_fetch_is_explained(folder, run, name, text):
    code, _, said = run("weights", "get", name, "--yes")
    assert code == 2 and re.search(text, said) and len(said.splitlines()) == 1


def test_shared_weights_are_fetched_under_their_owners_name(folder, run, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    code, said, _ = run("weights", "get", "sam_b_256")
    assert code == 2 and said.startswith("sam_b:")


def test_add_takes_the_published_layout_and_our_own(folder, released, tmp_path, run):
    code, said, _ = run("weights", "add", "mobile_sam", released)
    assert code == 0 and "mobile_sam.safetensors is in the weights folder" in said
    made = folder / "mobile_sam.safetensors"
    first = tensors.read(made)
    ours = tmp_path / "ours.safetensors"
    made.rename(ours)
    assert run("weights", "add", "mobile_sam", ours)[0] == 0
    again = tensors.read(made)
    assert first.keys() == again.keys() and all(torch.equal(first[k], again[k]) for k in first)


def test_add_refuses_another_models_file_and_hostile_ones(folder, released, tmp_path, run):
    class Runs:
        def __reduce__(self):
            return (os.system, (f"touch {tmp_path / 'ran'}",))

    hostile = tmp_path / "hostile.pt"
    torch.save({"model": {"a": torch.ones(2)}, "x": Runs()}, hostile)
    for name, path, text in (
        ("sam2_t", released, "SAM2.1"),
        ("samus", released, "SAMUS"),
        ("uniultra_mini", released, "not of 'uniultra_mini'"),
        ("mobile_sam", hostile, "could run code"),
        ("mobile_sam", tmp_path / "absent.pt", "no such"),
        ("mobile_sam", tmp_path, "plain file config.json"),
    ):
        code, _, said = run("weights", "add", name, path)
        assert code == 2 and text in said and str(tmp_path) not in said
    assert not (tmp_path / "ran").exists() and not folder.exists()


def test_a_full_disk_is_said(folder, released, run, monkeypatch):
    monkeypatch.setattr(tensors, "save_tensors", raising(OSError(28, "No space left on device")))
    code, _, said = run("weights", "add", "mobile_sam", released)
    assert code == 2 and "No space left on device" in said


def test_samus_release_brings_its_settings(folder, tmp_path, monkeypatch, run):
    """Its weights need the published forward, which is not our default."""
    from uniultra.adapters import samus
    from uniultra.models import mappings
    from uniultra.networks import sam_image, sam_vit

    small = sam_vit.VitSize(24, 12, 2, window=3)
    layout = official_layouts
    shapes = layout.vit(24, 2, 3, grid=8) | layout.samus_extras(24) | layout.prompts()
    torch.save({f"module.{name}": t for name, t in layout.filled(shapes).items()}, tmp_path / "x.pth")
    base = replace(
        entry("sam_b_overlap"),
        image_size=64,
        builder=lambda side, **_: sam_image.build_sam(side, size=small, overlapped=True),
    )
    monkeypatch.setitem(registry._ENTRIES, "sam_b_overlap", base)
    monkeypatch.setitem(registry._ENTRIES, "samus", replace(entry("samus"), image_size=64))
    assert entry("samus").convert is mappings.SAMUS
    assert run("weights", "add", "samus", tmp_path / "x.pth")[0] == 0
    model, _ = loading.load("samus")
    assert model.image_encoder.samus.config == samus.SAMUSConfig(start="paper")


def test_add_takes_a_bundle_and_list_names_everything(folder, tmp_path, run):
    from uniultra.adapters.registry import kind
    from uniultra.weights import bundle

    torch.manual_seed(0)
    tensors.save(folder / "sam2_mini.safetensors", build("sam2_mini"), {}, torch.float32)
    base, _ = loading.load("sam2_mini")
    network = kind("samus_hiera").inject(base, None)
    bundle.save(tmp_path / "mine", network, "samus_mini")
    code, _, said = run("weights", "add", "lora_mini", tmp_path / "mine")
    assert code == 2 and "of 'samus_mini' and not of 'lora_mini'" in said
    for _ in range(2):
        assert run("weights", "add", "samus_mini", tmp_path / "mine")[0] == 0
    assert loading.find("samus_mini") == folder / "samus_mini"
    code, said, _ = run("weights", "list")
    assert code == 0
    lines = {line.split()[0]: line for line in said.splitlines()}
    assert set(lines) == set(registry.names())
    assert "here (samus_mini)" in lines["samus_mini"] and "Apache-2.0" in lines["sam2_t"]
    assert "uniultra weights get sam_b " in lines["sam_b_256"]
    assert "here (uniultra_mini.safetensors)" in lines["uniultra_mini"]
