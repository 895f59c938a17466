"""A stranger's checkpoint is read as tensors or refused; nothing in it ever runs."""

import json
import os
import pickle
import random
import tarfile
import zipfile
from io import BytesIO

import pytest
import torch
from safetensors.torch import save_file

from uniultra.errors import ModelError
from uniultra.weights import archives, checkpoints
from uniultra.weights.checkpoints import read_checkpoint

WEIGHTS = {"a.weight": torch.arange(6.0).view(2, 3), "a.bias": torch.ones(2), "steps": torch.tensor(3)}


class Runs:
    """Runs a command when it is unpickled."""

    def __init__(self, command):
        self.command = command

    def __reduce__(self):
        return (os.system, (self.command,))


def same(found):
    return found.keys() == WEIGHTS.keys() and all(torch.equal(found[k], WEIGHTS[k]) for k in found)


def refused(path, text):
    with pytest.raises(ModelError, match=text) as caught:
        read_checkpoint(path)
    assert str(path.parent) not in str(caught.value)


@pytest.mark.parametrize(
    "content",
    [
        WEIGHTS,
        {"model": WEIGHTS, "epoch": 3},
        {"state_dict": {"model": WEIGHTS}, "optimizer": {"state": {}, "lr": 0.1}},
        {"ema": WEIGHTS},
        {f"module.{name}": tensor for name, tensor in WEIGHTS.items()},
        {name: torch.nn.Parameter(t, False) for name, t in WEIGHTS.items()},
    ],
)
def test_tensors_are_found_where_training_scripts_put_them(tmp_path, content):
    torch.save(content, tmp_path / "x.pth")
    assert same(read_checkpoint(tmp_path / "x.pth"))


def test_safetensors(tmp_path):
    save_file(WEIGHTS, tmp_path / "x.safetensors")
    assert same(read_checkpoint(tmp_path / "x.safetensors"))


def test_an_optimiser_pickled_as_an_object_is_passed_over(tmp_path):
    """As in SAM-Med2D's release."""
    layer = torch.nn.Linear(3, 2)
    optimiser = torch.optim.Adam(layer.parameters(), lr=0.1)
    layer(torch.ones(1, 3)).sum().backward()
    optimiser.step()
    torch.save({"model": WEIGHTS, "optimizer": optimiser}, tmp_path / "x.pth")
    before = {str(g) for g in torch.serialization.get_safe_globals()}
    assert same(read_checkpoint(tmp_path / "x.pth"))
    assert {str(g) for g in torch.serialization.get_safe_globals()} == before
    with pytest.raises(pickle.UnpicklingError):  # nobody else may load one after us
        torch.load(tmp_path / "x.pth", weights_only=True)


@pytest.mark.parametrize("switch", ["", "TORCH_FORCE_NO_WEIGHTS_ONLY_LOAD"])
def test_code_never_runs(tmp_path, monkeypatch, switch):
    if switch:
        monkeypatch.setenv(switch, "1")
    ran = tmp_path / "ran"
    hostile = Runs(f"touch {ran}")
    for number, content in enumerate(({"model": WEIGHTS, "x": hostile}, hostile, [hostile], {"x": hostile})):
        path = tmp_path / f"{number}.pt"
        torch.save(content, path)
        refused(path, "could run code")
        torch.save(content, path, _use_new_zipfile_serialization=False)
        refused(path, "bare pickle")
        path.write_bytes(pickle.dumps(content))
        refused(path, "bare pickle")
    assert not ran.exists()


def test_code_hidden_where_only_the_loader_looks_never_runs(tmp_path):
    """Newer pickle instructions name what they call in another way than the one that PyTorch writes."""
    ran = tmp_path / "ran"
    torch.save(WEIGHTS, tmp_path / "x.pt")
    repacked(
        tmp_path / "x.pt", tmp_path / "y.pt", {"x/data.pkl": pickle.dumps(Runs(f"touch {ran}"), protocol=4)}
    )
    refused(tmp_path / "y.pt", "not of tensors only")
    assert not ran.exists()


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ({"a": 3, "b": torch.ones(1)}, "a is another object"),
        ([torch.ones(2)], "dictionary"),
        ({}, "dictionary"),
        ({"model": {"model": {"model": {"model": {"a": 1}}}}}, "another object"),
        ({"a": torch.tensor([1.0, float("nan")])}, "not finite"),
        ({"a": torch.tensor([1.0, float("inf")])}, "not finite"),
        ({"a": torch.zeros(1).expand(10**12)}, "more numbers"),
        ({"a": torch.zeros(2, dtype=torch.complex64)}, "complex64"),
        ({7: torch.zeros(2)}, "plain text"),
        ({"a\x1b[2J": torch.zeros(2)}, "plain text"),
        ({"a" * 300: torch.zeros(2)}, "plain text"),
        ({"a": torch.zeros(2, dtype=torch.int16)}, "another kind"),
        ({"a": torch.eye(2).to_sparse()}, "torch.sparse"),
    ],
)
def test_what_is_not_a_networks_tensors_is_refused(tmp_path, content, text):
    torch.save(content, tmp_path / "x.pt")
    refused(tmp_path / "x.pt", text)


def test_bounds_on_how_much_there_is(tmp_path, monkeypatch):
    path = tmp_path / "x.pt"
    torch.save(WEIGHTS, path)
    for name, value, text in (("MAX_TENSORS", 2, "at most 2"), ("MAX_BYTES", 10, "at most 0 GiB")):
        with monkeypatch.context() as patch:
            patch.setattr(checkpoints, name, value)
            refused(path, text)
    shared = torch.ones(2000)  # many names for the same numbers
    torch.save({str(i): shared for i in range(50)}, path)
    size = path.stat().st_size
    assert size < 50 * 8000
    monkeypatch.setattr(checkpoints, "MAX_BYTES", size)
    refused(path, "in all")
    monkeypatch.setattr(archives, "MAX_PROGRAM", 10)
    refused(path, "table of contents")


def test_every_cut_off_file_is_refused(tmp_path):
    torch.save(WEIGHTS, tmp_path / "x.pt")
    save_file(WEIGHTS, tmp_path / "x.safetensors")
    for name in ("x.pt", "x.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for length in {*range(0, 64), *range(64, len(whole), 97), len(whole) - 1}:
            (tmp_path / "cut").write_bytes(whole[:length])
            refused(tmp_path / "cut", ".")


def test_changed_bytes_are_read_as_tensors_or_refused(tmp_path):
    """Whatever is changed, the answer is tensors or a sentence, never another exception."""
    torch.save({"model": WEIGHTS}, tmp_path / "x.pt")
    save_file(WEIGHTS, tmp_path / "x.safetensors")
    chance = random.Random(1)
    for name in ("x.pt", "x.safetensors"):
        whole = (tmp_path / name).read_bytes()
        for _ in range(150):
            changed = bytearray(whole)
            for _ in range(chance.randint(1, 8)):
                changed[chance.randrange(len(whole))] = chance.randrange(256)
            (tmp_path / "changed").write_bytes(changed)
            try:
                assert read_checkpoint(tmp_path / "changed")
            except ModelError as error:
                assert str(tmp_path) not in str(error)


def header(text, body=b"\0" * 64):
    return len(text).to_bytes(8, "little") + text + body


@pytest.mark.parametrize(
    "content",
    [
        (1 << 60).to_bytes(8, "little") + b"{" + b"\0" * 64,
        header(b"{" * 50),
        header(json.dumps({"a": {"dtype": "F32", "shape": [1 << 40], "data_offsets": [0, 64]}}).encode()),
        header(json.dumps({"a": {"dtype": "F32", "shape": [16], "data_offsets": [0, 1 << 40]}}).encode()),
        header(json.dumps({"a": {"dtype": "F99", "shape": [16], "data_offsets": [0, 64]}}).encode()),
        header(json.dumps({"__metadata__": {"a": {"b": []}}}).encode()),
    ],
)
def test_lying_safetensors_headers_are_refused(tmp_path, content):
    (tmp_path / "x.safetensors").write_bytes(content)
    refused(tmp_path / "x.safetensors", "safetensors")


def repacked(source, target, changes, compression=zipfile.ZIP_STORED):
    """A copy of an archive with these entries replaced or added."""
    with zipfile.ZipFile(source) as good, zipfile.ZipFile(target, "w", compression) as made:
        for name, content in ({name: good.read(name) for name in good.namelist()} | changes).items():
            made.writestr(name, content)


def test_zip_bombs_and_other_archives_are_refused(tmp_path):
    torch.save(WEIGHTS, tmp_path / "x.pt")
    bomb = {"x/data/9": b"\0" * (64 << 20)}
    repacked(tmp_path / "x.pt", tmp_path / "bomb.pt", bomb, zipfile.ZIP_DEFLATED)
    assert (tmp_path / "bomb.pt").stat().st_size < 1 << 20
    refused(tmp_path / "bomb.pt", "packed")
    script = {"x/code/__torch__.py": "", "x/constants.pkl": ""}
    repacked(tmp_path / "x.pt", tmp_path / "code.pt", script)
    refused(tmp_path / "code.pt", "TorchScript")
    torch.jit.script(torch.nn.Linear(2, 2)).save(str(tmp_path / "script.pt"))
    refused(tmp_path / "script.pt", "TorchScript")
    with zipfile.ZipFile(tmp_path / "other.pt", "w") as archive:
        archive.writestr("readme.txt", "not a checkpoint at all")
    refused(tmp_path / "other.pt", "another zip")


def test_a_zip_that_lies_of_its_sizes_is_refused(tmp_path):
    """The directory claims a gigabyte where a few bytes lie."""
    torch.save(WEIGHTS, tmp_path / "x.pt")
    whole = bytearray((tmp_path / "x.pt").read_bytes())
    at = whole.rindex(b"PK\x01\x02")
    whole[at + 24 : at + 28] = (1 << 30).to_bytes(4, "little")
    (tmp_path / "x.pt").write_bytes(whole)
    refused(tmp_path / "x.pt", "packed|damaged")


def test_files_of_other_kinds_are_named(tmp_path):
    with tarfile.open(tmp_path / "tar.pt", "w") as archive:
        archive.addfile(tarfile.TarInfo("storages"), BytesIO())
    refused(tmp_path / "tar.pt", "tar archive")
    for content, text in (
        (b"<!DOCTYPE html><title>Google Drive - Virus scan warning</title>", "web page"),
        (b"version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 9\n", "Git LFS"),
        (b"\x1f\x8b" + b"\0" * 64, "SHA-256"),
        (b"", "0 bytes"),
    ):
        (tmp_path / "x.pt").write_bytes(content)
        refused(tmp_path / "x.pt", text)
    refused(tmp_path / "absent.pt", "no such")
    refused(tmp_path, "no such")
