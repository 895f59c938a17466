"""`uniultra weights get | add | list` as a person types them."""

import io
import os
import re
import sys
from dataclasses import replace

import file_server
import official_layouts
import pytest
import torch
from factories import raising

from uniultra.cli import main
from uniultra.models import build, registry
from uniultra.models.registry import entry
from uniultra.weights import loading, tensors


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


def test_get_shows_the_licence_fetches_converts_and_makes_the_model_available(folder, offered, capsys):
    assert not loading.available("mobile_sam")
    assert main.main(["weights", "get", "mobile_sam", "--yes"]) == 0
    said = capsys.readouterr()
    assert "Apache-2.0" in said.out and "mobile_sam.safetensors is in the weights folder" in said.out
    assert "100%" in said.err and str(folder) not in said.out
    assert [path.name for path in folder.iterdir()] == ["mobile_sam.safetensors"]
    notes = tensors.metadata(folder / "mobile_sam.safetensors")
    assert notes["source_sha256"] == entry("mobile_sam").url_sha256
    assert notes["url"] == entry("mobile_sam").url and notes["licence"] == "Apache-2.0"
    model, _ = loading.load("mobile_sam", 64)
    with torch.no_grad():
        assert model.encode(torch.randn(1, 3, 64, 64)).image.shape == (1, 256, 4, 4)


@pytest.mark.parametrize("answer", ["", "n\n", "nonsense\n"])
def test_without_a_yes_nothing_is_fetched(folder, offered, capsys, monkeypatch, answer):
    monkeypatch.setattr(sys, "stdin", Terminal(answer or "\n"))
    assert main.main(["weights", "get", "mobile_sam"]) == 2
    said = capsys.readouterr()
    assert "Accept this licence" in said.out and "not accepted" in said.err
    assert not offered.asked and not folder.exists()


def test_a_yes_at_the_terminal_is_enough(folder, offered, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal("Yes\n"))
    assert main.main(["weights", "get", "mobile_sam"]) == 0
    assert loading.available("mobile_sam")


def test_without_a_terminal_the_licence_has_to_be_accepted_beforehand(folder, offered, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    assert main.main(["weights", "get", "mobile_sam"]) == 2
    assert "--yes" in capsys.readouterr().err
    assert not offered.asked


def test_a_terminal_that_closes_is_a_no(folder, offered, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", Terminal(""))
    assert main.main(["weights", "get", "mobile_sam"]) == 2
    assert "not accepted" in capsys.readouterr().err and not offered.asked


def test_a_cut_download_goes_on_with_the_same_command(folder, offered, monkeypatch, capsys):
    from uniultra.weights import download

    monkeypatch.setattr(download.Limits, "__init__", _quick(download.Limits))
    offered.cuts = [5_000_000, 0]
    assert main.main(["weights", "get", "mobile_sam", "--yes"]) == 2
    assert "Run the same command again" in capsys.readouterr().err
    assert main.main(["weights", "get", "mobile_sam", "--yes"]) == 0
    assert offered.asked[-1]["Range"] == "bytes=5000000-"


def _quick(limits):
    original = limits.__init__

    def init(self, *arguments, **more):
        original(self, *arguments, **({"attempts": 2, "backoff": 0.0} | more))

    return init


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
def test_what_no_program_can_fetch_is_explained(folder, capsys, name, text):
    assert main.main(["weights", "get", name, "--yes"]) == 2
    said = capsys.readouterr().err

    assert re.search(text, said) and len(said.splitlines()) == 1


def test_shared_weights_are_fetched_under_their_owners_name(folder, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO())
    assert main.main(["weights", "get", "sam_b_256"]) == 2
    assert capsys.readouterr().out.startswith("sam_b:")


def test_add_takes_the_published_layout_and_our_own(folder, released, tmp_path, capsys):
    assert main.main(["weights", "add", "mobile_sam", str(released)]) == 0
    made = folder / "mobile_sam.safetensors"
    first = tensors.read(made)
    assert "mobile_sam.safetensors is in the weights folder" in capsys.readouterr().out
    ours = tmp_path / "ours.safetensors"
    made.rename(ours)
    assert main.main(["weights", "add", "mobile_sam", str(ours)]) == 0
    again = tensors.read(made)
    assert first.keys() == again.keys() and all(torch.equal(first[k], again[k]) for k in first)


def test_add_refuses_another_models_file_and_hostile_ones(folder, released, tmp_path, capsys):
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
        assert main.main(["weights", "add", name, str(path)]) == 2
        said = capsys.readouterr().err
        assert text in said and str(tmp_path) not in said
    assert not (tmp_path / "ran").exists() and not folder.exists()


def test_a_full_disk_is_said(folder, released, capsys, monkeypatch):
    monkeypatch.setattr(tensors, "save_tensors", raising(OSError(28, "No space left on device")))
    assert main.main(["weights", "add", "mobile_sam", str(released)]) == 2
    assert "No space left on device" in capsys.readouterr().err


def test_samus_release_brings_its_settings(folder, tmp_path, monkeypatch):
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
    assert main.main(["weights", "add", "samus", str(tmp_path / "x.pth")]) == 0
    model, _ = loading.load("samus")
    assert model.image_encoder.samus.config == samus.SAMUSConfig(start="paper")


def test_add_takes_a_bundle_and_list_names_everything(folder, tmp_path, capsys):
    from uniultra.adapters.registry import kind
    from uniultra.weights import bundle

    torch.manual_seed(0)
    tensors.save(folder / "sam2_mini.safetensors", build("sam2_mini"), {}, torch.float32)
    base, _ = loading.load("sam2_mini")
    network = kind("samus_hiera").inject(base, None)
    bundle.save(tmp_path / "mine", network, "samus_mini")
    assert main.main(["weights", "add", "lora_mini", str(tmp_path / "mine")]) == 2
    assert "of 'samus_mini' and not of 'lora_mini'" in capsys.readouterr().err
    for _ in range(2):
        assert main.main(["weights", "add", "samus_mini", str(tmp_path / "mine")]) == 0
    assert loading.find("samus_mini") == folder / "samus_mini"
    capsys.readouterr()
    assert main.main(["weights", "list"]) == 0
    lines = {line.split()[0]: line for line in capsys.readouterr().out.splitlines()}
    assert set(lines) == set(registry.names())
    assert "here (samus_mini)" in lines["samus_mini"] and "Apache-2.0" in lines["sam2_t"]
    assert "uniultra weights get sam_b " in lines["sam_b_256"]
    assert "here (uniultra_mini.safetensors)" in lines["uniultra_mini"]
