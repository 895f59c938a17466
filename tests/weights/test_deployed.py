"""Bundles of a campaign: published whole or not at all, rolled back, exported and checked on the way in."""

import json
import zipfile

import pytest
import torch
from factories import raising
from made_bundles import MODEL, changed_bundle, own_weights

from uniultra.cli.main import main
from uniultra.errors import ModelError
from uniultra.files import atomic, checksummed
from uniultra.weights import bundle, exchange, loading
from uniultra.weights.deployed import CURRENT, ChangedError, Published


@pytest.fixture
def machine(tmp_path, monkeypatch):
    """Random weights of a small input, and a maker of bundles over them."""
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tmp_path / "weights"))
    own_weights(tmp_path / "weights", 1)
    return lambda name, seed, *trains, **changes: changed_bundle(tmp_path / name, seed, *trains, **changes)


@pytest.fixture
def published(tmp_path):
    return Published(tmp_path / "studies")


def test_publish_roll_back_and_choose(machine, published, tmp_path):
    assert published.current(MODEL) is None and published.stamp() is None and published.ids() == []
    first = published.publish(machine("a", 1))
    stamp = published.stamp()
    second = published.publish(machine("b", 2, (".sam_mask_decoder.",)))
    assert published.stamp() != stamp
    assert published.ids() == [first, second] and first.endswith("-1") and second.endswith("-2")
    assert published.current(MODEL) == second
    assert published.rollback(MODEL) == first == published.current(MODEL)
    assert published.rollback(MODEL, second) == second
    assert published.rollback(MODEL, own=True) is None
    with pytest.raises(ModelError, match="nothing to go back"):
        published.rollback(MODEL)
    assert [change.what for change in published.read().history] == ["published"] * 2 + ["rolled back"] * 3
    assert published.publish(tmp_path / "a") == first  # the same bundle keeps its id


def test_roll_back_goes_to_what_answered_before_and_not_to_what_was_rolled_back(machine, published, tmp_path):
    first = published.publish(machine("a", 1))
    second = published.publish(machine("b", 2))
    assert published.publish(tmp_path / "a") == first
    assert [published.rollback(MODEL) for _ in range(3)] == [second, first, None]
    published.publish(tmp_path / "a")
    published.publish(tmp_path / "b")
    assert published.rollback(MODEL) == first
    third = published.publish(machine("c", 3))
    assert published.current(MODEL) == third
    assert published.rollback(MODEL) == first, "and not to the second, which was taken back"
    assert published.rollback(MODEL, third) == third and published.rollback(MODEL) == first


def test_a_bundle_does_not_take_the_place_of_another_than_it_was_measured_against(
    machine, published, tmp_path
):
    first = published.publish(machine("a", 1), instead_of=None)
    for wrong in (None, "0123456789-7"):
        with pytest.raises(ChangedError, match="another one"):
            published.publish(machine("b", 2), instead_of=wrong)
    assert published.ids() == [first] and published.current(MODEL) == first
    second = published.publish(tmp_path / "b", instead_of=first)
    assert published.current(MODEL) == second


def test_the_manifest_of_a_large_campaign_is_read(machine, published):
    names = [f"ward 3/image{n:06}@1" for n in range(20_000)]
    scores = {f"{name} structure frame 0 part 0": [n / 20_001, 1 / (n + 3)] for n, name in enumerate(names)}
    folder = machine("a", 1, (".ch_adapters.",), data={"labels": names, "unseen": scores})
    one = published.publish(folder)
    assert len(bundle.describe(published.path(one))[1].data["unseen"]) == 20_000


def test_a_bundle_over_the_models_own_weights_gives_back_what_was_trained(machine, tmp_path):
    folder = machine("a", 1, (".ch_adapters.",))
    network, _ = loading.assemble(folder)
    own, _ = loading.load(MODEL)
    for name, value in network.state_dict().items():
        assert torch.equal(value, own.state_dict()[name]) != ("ch_adapters" in name and value.std() > 0), name


@pytest.mark.parametrize("step", ["copy", "move", "write"])
def test_a_crash_at_any_step_leaves_the_one_before(machine, published, monkeypatch, step):
    first = published.publish(machine("a", 1))
    other = machine("b", 2)

    with monkeypatch.context() as patch:
        patch.setattr(atomic, step, raising(KeyboardInterrupt()))
        with pytest.raises(KeyboardInterrupt):
            published.publish(other)
    assert published.current(MODEL) == first
    loading.assemble(published.path(first))
    second = published.publish(other)
    assert published.current(MODEL) == second and second.endswith("-2")
    assert sorted(path.name for path in published.folder.iterdir() if path.is_dir()) == sorted(
        [first, second]
    )


def test_import_refuses_what_is_damaged_of_another_base_or_of_another_shape(machine, published):
    folder = machine("a", 1)
    data = bytearray((folder / bundle.WEIGHTS).read_bytes())
    data[-5] ^= 1
    (folder / bundle.WEIGHTS).write_bytes(data)
    with pytest.raises(ModelError, match="damaged"):
        published.add(folder)
    with pytest.raises(ModelError, match="other weights"):
        published.add(machine("b", 2, over=("0" * 64, ("",))))
    narrow = machine("c", 3, (".ch_adapters.",))
    config = checksummed.opened((narrow / bundle.CONFIG).read_bytes())
    (narrow / bundle.CONFIG).write_text(json.dumps(config | {"trains": [".sam_mask_decoder."]}))
    with pytest.raises(ModelError, match="does not fit"):
        published.add(narrow)
    (narrow / bundle.CONFIG).write_text(json.dumps(config | {"base_sha256": None}))
    with pytest.raises(ModelError, match="together"):
        published.add(narrow)
    assert published.ids() == [] and published.current(MODEL) is None


@pytest.mark.parametrize("name", ["out.zip", "out"])
def test_what_is_exported_names_no_image(machine, tmp_path, name):
    scores = {"Mueller_Anna__loop1@1 nodule frame 0 part 0": [0.5, 0.6]}
    data = {"job": "j", "labels": ["Mueller_Anna__loop1@1"], "unseen": scores}
    folder = machine("a", 1, data=data)
    target = exchange.export(folder, tmp_path / name)
    with exchange.opened(target) as found:
        assert "Mueller" not in (found / bundle.MANIFEST).read_text()
        there, here = (bundle.describe(one)[1] for one in (found, folder))
        assert there.data == {"job": "j", "number_of_labels": 1, "number_of_unseen": 1}
        assert there.weights_sha256 == here.weights_sha256 and here.data == data
        loading.assemble(found)


def test_a_zip_with_anything_else_in_it_is_refused(machine, tmp_path):
    folder, path = machine("a", 1), tmp_path / "a.zip"
    exchange.export(folder, path)
    with pytest.raises(ModelError, match="already"):
        exchange.export(folder, path)
    for extra in ("../escaped", "/absolute", bundle.CONFIG):
        bad = tmp_path / "bad.zip"
        bad.write_bytes(path.read_bytes())
        with (
            zipfile.ZipFile(bad, "a") as archive,
            pytest.warns(UserWarning) if extra == bundle.CONFIG else zipfile.ZipFile(bad),
        ):
            archive.writestr(extra, "x")
        with pytest.raises(ModelError, match="nothing else"), exchange.opened(bad):
            pass
    assert not (tmp_path.parent / "escaped").exists()
    (tmp_path / "no.zip").write_bytes(b"PK no")
    with pytest.raises(ModelError, match="neither"), exchange.opened(tmp_path / "no.zip"):
        pass


def test_the_commands(machine, tmp_path, capsys):
    studies = tmp_path / "studies"
    studies.mkdir()
    first = Published(studies).publish(machine("a", 1, metrics={"gain": 0.25}))
    where = ["--studies", str(studies)]
    target = tmp_path / "out.zip"
    assert main(["adapters", "export", *where, first, str(target)]) == 0
    assert main(["adapters", "rollback", *where, "--own"]) == 0
    assert main(["adapters", "list", *where]) == 0
    said = capsys.readouterr().out
    assert "own weights" in said and first in said and "+0.250" in said
    other = tmp_path / "other"
    other.mkdir()
    assert main(["adapters", "import", "--studies", str(other), str(target), "--serve"]) == 0
    assert Published(other).current(MODEL) == first
    capsys.readouterr()
    assert main(["adapters", "show", "--studies", str(other), first]) == 0
    shown = json.loads(capsys.readouterr().out)
    assert shown["history"][0]["what"] == "imported" and shown["metrics"]["gain"] == 0.25
    assert main(["adapters", "show", *where, "../../etc"]) == 2


def test_a_damaged_choice_is_said_and_not_guessed(tmp_path):
    published = Published(tmp_path)
    published.folder.mkdir(parents=True)
    body = checksummed.seal({"schema_version": 1, "models": {MODEL: "0123456789-1"}, "history": []})
    (published.folder / CURRENT).write_text(json.dumps(body))
    assert published.current(MODEL) == "0123456789-1"
    (published.folder / CURRENT).write_text(json.dumps(body).replace("789-1", "789-3"))
    with pytest.raises(ModelError, match="damaged"):
        published.current(MODEL)
    (published.folder / CURRENT).write_text("{")
    with pytest.raises(ModelError, match="damaged"):
        published.current(MODEL)
