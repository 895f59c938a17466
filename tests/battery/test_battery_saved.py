"""Saved, loaded and merged a network is the same, and a bundle fits no other base than its own."""

from __future__ import annotations

import pytest
import torch
from battery_cases import cases, disturb, fresh, train_what_the_method_trains
from torch import nn

from uniultra.errors import ModelError
from uniultra.models import entry
from uniultra.weights import bundle, loading, tensors


@pytest.mark.parametrize("name", cases("saved"))
def test_saved(name, numbers, folder, monkeypatch):
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(folder))
    found = entry(name)
    network = fresh(name, found.image_size)
    trained = train_what_the_method_trains(network, found)
    if found.adapter is None:
        with pytest.raises(ModelError, match="no adapter"):
            bundle.save(folder / "bundle", network, name)
        tensors.save(folder / f"{name}.safetensors", network, {}, torch.float32)
        assert same(network, loading.load(name)[0])
        return
    base = fresh(str(found.base), found.image_size)
    tensors.save(folder / f"{found.base}.safetensors", base, {}, torch.float32)
    disturb(network)
    bundle.save(folder / "bundle", network, name)
    stored = tensors.read(folder / "bundle" / "weights.safetensors")
    assert set(trained) <= set(stored)
    numbers["megabytes"] = sum(t.numel() for t in stored.values()) * 4 / 1e6

    loaded, _ = loading.assemble(folder / "bundle")
    assert same(network, loaded)
    del loaded
    loading.merge(folder / "bundle")
    assert (folder / f"{name}.safetensors").is_file()
    assert same(network, loading.load(name)[0])

    frozen = [key for key in base.state_dict() if ("" if found.prompts else "base.") + key not in stored]
    numbers["frozen_tensors"] = len(frozen)
    if not frozen:
        return  # trained whole: the base's numbers are not in it
    with torch.no_grad():
        base.state_dict()[frozen[0]].view(-1)[0] += 1
    tensors.save(folder / f"{found.base}.safetensors", base, {}, torch.float32)
    with pytest.raises(ModelError, match="other weights"):
        loading.assemble(folder / "bundle")


def same(first: nn.Module, second: nn.Module) -> bool:
    """Whether two networks hold the same tensors by the same names."""
    one, other = first.state_dict(), second.state_dict()
    return one.keys() == other.keys() and all(torch.equal(one[key], other[key]) for key in one)
