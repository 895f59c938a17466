"""A bundle goes onto the base it was trained on, whole, or not at all."""

import json
import shutil
from dataclasses import asdict

import pytest
import torch
from factories import raising
from safetensors.torch import save_file

from uniultra.adapters import ch
from uniultra.adapters.registry import kind
from uniultra.adapters.settings import from_json, to_json
from uniultra.errors import ModelError
from uniultra.files import checksummed
from uniultra.models import build, entry, registry
from uniultra.weights import bundle, loading
from uniultra.weights import tensors as weights

NAME = "samus_mini"  # on the smallest trunk, and trains less than everything


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    return tmp_path / "weights"


def write_base(folder, seed=0):
    torch.manual_seed(seed)
    weights.save(folder / "sam2_mini.safetensors", build("sam2_mini"), {}, torch.float32)


def trained(name=NAME, config=None):
    """The adapted network on the base's weights, as a training would leave it."""
    base, _ = loading.load(entry(name).base)
    network = kind(entry(name).adapter).inject(base, config)
    with torch.no_grad():
        for tensor in bundle.trained_tensors(name, network).values():
            tensor.add_(torch.randn_like(tensor) * 0.02)
    return network.eval()


@pytest.fixture(scope="module")
def made(tmp_path_factory):
    """A base and a bundle on it, made once and copied for every test."""
    folder = tmp_path_factory.mktemp("made") / "weights"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIULTRA_WEIGHTS", str(folder))
        write_base(folder)
        metrics = {"dice": 0.9, "hd": float("nan")}
        bundle.save(folder / NAME, trained(), NAME, data={"sets": ["x"]}, metrics=metrics)
    return folder


@pytest.fixture
def saved(made, folder):
    shutil.copytree(made, folder)
    return folder / NAME


def same(a, b):
    left, right = a.state_dict(), b.state_dict()
    return left.keys() == right.keys() and all(torch.equal(left[k], right[k]) for k in left)


def test_save_load_and_merge_give_one_network(folder):
    write_base(folder)
    network = trained()
    manifest = bundle.save(
        folder / NAME, network, NAME, parent="a" * 64, data={"sets": [1]}, metrics={"d": 1}
    )
    assert loading.find(NAME) == folder / NAME and loading.available(NAME)
    loaded, digest = loading.load(NAME)
    assert same(loaded, network) and not loaded.training
    assert digest == manifest.weights_sha256 == weights.file_sha256(folder / NAME)
    path = loading.merge(folder / NAME)
    assert path == folder / f"{NAME}.safetensors" == loading.find(NAME)
    merged, _ = loading.load(NAME)
    assert same(merged, network)
    with torch.no_grad():
        picture = torch.randn(1, 3, 256, 256)
        assert torch.equal(merged.encode(picture).image, network.encode(picture).image)
    described, found = bundle.describe(folder / NAME)
    assert found == manifest and described.adapter == entry(NAME).adapter
    assert found.parent == "a" * 64 and found.created and found.versions["torch"]


def test_it_holds_what_was_trained_and_nothing_else(saved):
    held = set(weights.read(saved / bundle.WEIGHTS))
    network = build(NAME)
    wanted = set(bundle.trained_tensors(NAME, network))
    assert held == wanted and 0 < len(held) < len(network.state_dict())
    assert sorted(p.name for p in saved.iterdir()) == [bundle.CONFIG, bundle.MANIFEST, bundle.WEIGHTS]
    assert json.loads((saved / bundle.MANIFEST).read_text())["metrics"] == {"dice": 0.9}


def test_settings_come_back_from_a_bundle_and_from_a_merged_file(folder):
    write_base(folder)
    name, config = "uniultra_mini", ch.CHAdapterConfig(edge="concat", edge_channels=2)
    network = trained(name, config)
    bundle.save(folder / name, network, name, config=config)
    assert same(loading.load(name)[0], network)
    loading.merge(folder / name)
    merged, _ = loading.load(name)
    assert same(merged, network)
    assert merged.image_encoder.trunk.ch_adapters.config == config


def test_a_task_of_a_model_has_its_own_bundle(saved, folder):
    network, _ = loading.load(NAME)
    saved.rename(folder / f"{NAME}.kidney")
    assert f"{NAME}.kidney" in loading.variants() and loading.find(NAME) is None
    assert same(loading.load(f"{NAME}.kidney")[0], network)
    loading.merge(folder / f"{NAME}.kidney", folder / f"{NAME}.liver.safetensors")
    assert same(loading.load(f"{NAME}.liver")[0], network)


def test_a_base_that_differs_only_where_the_bundle_replaces_it_serves(saved, folder):
    """As AutoSAMUS's tasks, or a decoder that is trained anew."""
    before, _ = loading.load(NAME)
    replaced = set(weights.read(folder / NAME / bundle.WEIGHTS))
    tensors = weights.read(folder / "sam2_mini.safetensors")
    shared = replaced & set(tensors)
    for name in shared:
        tensors[name] = tensors[name] + 1
    weights.save_tensors(folder / "sam2_mini.safetensors", tensors, {})
    assert same(loading.load(NAME)[0], before)
    assert bundle.fingerprint(before, ()) != bundle.fingerprint(before, replaced)


def test_the_fingerprint_sees_names_shapes_and_values():
    layer = torch.nn.Linear(2, 3)
    first = bundle.fingerprint(layer, ())
    assert first == bundle.fingerprint(layer, ["absent"]) != bundle.fingerprint(layer, ["bias"])
    with torch.no_grad():
        layer.bias[0] += 1e-3
    assert bundle.fingerprint(layer, ()) != first
    flat = torch.nn.ParameterDict({"a": torch.zeros(4)})
    square = torch.nn.ParameterDict({"a": torch.zeros(2, 2)})
    other = torch.nn.ParameterDict({"b": torch.zeros(4)})
    assert len({bundle.fingerprint(n, ()) for n in (flat, square, other)}) == 3


def test_a_bundle_without_its_base_is_not_available(saved, folder):
    (folder / "sam2_mini.safetensors").unlink()
    assert loading.find(NAME) is None
    with pytest.raises(ModelError, match="sam2_mini"):
        loading.assemble(saved)


def change(saved, file, **changes):
    """Change a description as somebody does who leaves out its checksum."""
    path = saved / file
    path.write_text(json.dumps(checksummed.opened(path.read_bytes()) | changes))


@pytest.mark.parametrize("file", [bundle.CONFIG, bundle.MANIFEST])
def test_a_flipped_bit_in_a_description_is_found(saved, file):
    data = (saved / file).read_bytes()
    assert checksummed.KEY.encode() in data
    for place in range(0, len(data), 7):
        (saved / file).write_bytes(data[:place] + bytes([data[place] ^ 1]) + data[place + 1 :])
        try:
            found = bundle.describe(saved)
        except ModelError:
            continue
        (saved / file).write_bytes(data)
        assert bundle.describe(saved) == found, "only a space became another"


@pytest.mark.parametrize(
    ("file", "changes", "text"),
    [
        (bundle.CONFIG, {"model": "nope"}, "Unknown model"),
        (bundle.CONFIG, {"model": "../../etc/passwd"}, "Unknown model"),
        (bundle.CONFIG, {"model": "lora_mini"}, "'lora_mini' and not of 'samus_mini'"),
        (bundle.CONFIG, {"model": 7}, "description is damaged: model"),
        (bundle.CONFIG, {"adapter": "ch"}, "another version"),
        (bundle.CONFIG, {"adapter": "os"}, "another version"),
        (bundle.CONFIG, {"config": []}, "description is damaged: config"),
        (bundle.CONFIG, {"config": {"run": "rm"}}, "Expected settings"),
        (bundle.CONFIG, {"config": {"scale": "wide"}}, "setting .*scale"),
        (bundle.CONFIG, {"code": "import os"}, "description is damaged: code"),
        (bundle.MANIFEST, {"base_fingerprint": "0" * 64}, "other weights"),
        (bundle.MANIFEST, {"base_fingerprint": "x"}, "description is damaged: base_fingerprint"),
        (bundle.MANIFEST, {"weights_sha256": "0" * 64}, "SHA-256 differs"),
        (bundle.MANIFEST, {"parent": "../../secret"}, "description is damaged: parent"),
        (bundle.MANIFEST, {"metrics": {"dice": "good"}}, "description is damaged: metrics.dice"),
        (bundle.MANIFEST, {"path": "/"}, "description is damaged: path"),
    ],
)
def test_a_description_that_was_changed_is_refused(saved, file, changes, text):
    change(saved, file, **changes)
    with pytest.raises(ModelError, match=text) as caught:
        loading.load(NAME)
    assert str(saved.parent) not in str(caught.value)


@pytest.mark.parametrize("content", [b"", b"[]", b"null", b"\xff\xfe", b"[" * 100_000, b" " * (2 << 20)])
@pytest.mark.parametrize("file", [bundle.CONFIG, bundle.MANIFEST])
def test_json_that_is_none_or_endless_is_refused(saved, file, content):
    (saved / file).write_bytes(content)
    with pytest.raises(ModelError, match=r"damaged|bigger") as caught:
        loading.load(NAME)
    assert len(str(caught.value)) < 300


def rewrite(saved, edit):
    """Change the tensors and keep the manifest's checksum right."""
    tensors = weights.read(saved / bundle.WEIGHTS)
    edit(tensors)
    save_file(tensors, saved / bundle.WEIGHTS)
    change(saved, bundle.MANIFEST, weights_sha256=weights.file_sha256(saved))


@pytest.mark.parametrize(
    ("edit", "text"),
    [
        (lambda t: t.pop(sorted(t)[0]), "1 missing"),
        (lambda t: t.update(extra=torch.zeros(1)), r"1 unknown \(extra\)"),
        (lambda t: t.update({"no_mem_embed": torch.zeros(1, 1, 256)}), r"1 unknown \(no_mem_embed\)"),
        (lambda t: t.update({sorted(t)[0]: torch.zeros(1, 2, 3)}), "1 of another shape"),
        (lambda t: t[sorted(t)[0]].fill_(float("nan")), "not finite"),
    ],
)
def test_tensors_that_do_not_fit_change_nothing(saved, edit, text):
    rewrite(saved, edit)
    network = trained()
    before = {key: value.clone() for key, value in network.state_dict().items()}
    with pytest.raises(ModelError, match=text):
        bundle.load(saved, network)
    assert all(torch.equal(before[key], value) for key, value in network.state_dict().items())


def test_damaged_weights_are_refused(saved):
    path = saved / bundle.WEIGHTS
    whole = path.read_bytes()
    for content in (whole[:-5], whole[:4], b"", (1 << 60).to_bytes(8, "little") + whole[8:]):
        path.write_bytes(content)
        with pytest.raises(ModelError, match="SHA-256 differs"):
            loading.load(NAME)
        change(saved, bundle.MANIFEST, weights_sha256=weights.file_sha256(saved))
        with pytest.raises(ModelError, match="safetensors"):
            loading.load(NAME)


@pytest.mark.parametrize("file", [bundle.CONFIG, bundle.MANIFEST, bundle.WEIGHTS])
def test_links_and_missing_files_are_refused(saved, tmp_path, file):
    elsewhere = tmp_path / "elsewhere"
    (saved / file).rename(elsewhere)
    with pytest.raises(ModelError, match=file):
        loading.assemble(saved)
    (saved / file).symlink_to(elsewhere)
    with pytest.raises(ModelError, match=file):
        loading.assemble(saved)


def test_a_failed_save_leaves_the_old_bundle(saved, monkeypatch):
    before = {path.name: path.read_bytes() for path in saved.iterdir()}

    network = trained()
    monkeypatch.setattr(weights, "save_tensors", raising(OSError(28, "No space left on device")))
    with pytest.raises(OSError, match="No space"):
        bundle.save(saved, network, NAME)
    assert {path.name: path.read_bytes() for path in saved.iterdir()} == before
    assert not [path for path in saved.parent.iterdir() if path.suffix == ".part"]


def test_half_precision_is_loaded_as_it_was_stored(saved, folder):
    network = trained()
    bundle.save(folder / NAME, network, NAME, dtype=torch.float16)
    loaded, _ = loading.load(NAME)
    stored = weights.read(folder / NAME / bundle.WEIGHTS)
    assert all(t.dtype == torch.float16 for t in stored.values() if t.is_floating_point())
    for key, value in loaded.state_dict().items():
        torch.testing.assert_close(value, network.state_dict()[key], atol=1e-3, rtol=1e-3)
        assert value.dtype == network.state_dict()[key].dtype


@pytest.mark.parametrize("name", sorted({entry(n).adapter for n in registry.names() if entry(n).adapter}))
def test_settings_of_every_adapter_survive_json(name):
    config = kind(name).config()
    assert from_json(name, to_json(config)) == config
    assert set(json.loads(to_json(config))) == set(asdict(config))
    for text in ("", "[]", '{"nonsense": 1}', "[" * 5000, "{" * 100_000):
        with pytest.raises(ModelError, match="Expected settings"):
            from_json(name, text)
