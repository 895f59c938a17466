"""The pictures as a manifest, scripted systems, and a tiny network."""

import json

import numpy as np
import pytest
import torch
from benchmark_cases import KINDS, PICTURES, SHAPE, Scripted, write_manifest

from uniultra.datasets.manifest import read_manifest
from uniultra.evaluate.records import EvaluationProtocol
from uniultra.evaluate.systems import System
from uniultra.models import build
from uniultra.weights import tensors


@pytest.fixture
def data(tmp_path):
    """The folder of a manifest whose `val` rows are PICTURES."""
    pictures = []
    for dataset, name, group, label, spacing in PICTURES:
        noise = np.random.default_rng([*name.encode()]).normal(0, 5, SHAPE)
        picture = np.clip(np.where(label, 200, 40) + noise, 0, 255).astype(np.uint8)
        pictures.append((dataset, name, "val", group, picture, label, spacing))
    return write_manifest(tmp_path / "data", pictures)


@pytest.fixture
def rows(data):
    return read_manifest(data, None, ["val"])


@pytest.fixture
def scripted(data):
    """Makes a scripted system."""

    def make(change=lambda prompts, truth: truth, *, score=1.0, prompts=KINDS):
        return System("script", Scripted(data, change, score), prompts)

    return make


@pytest.fixture
def rule():
    return EvaluationProtocol(seeds=3, scenes=2)


@pytest.fixture
def tiny(tmp_path):
    """Makes a weights file of a tiny uniultra_mini that says what it was trained on."""

    def make(name="tiny.safetensors", *, seed=0, **notes):
        torch.manual_seed(seed)
        path = tmp_path / name
        training = {"recipe": {"model": "uniultra_mini", "datasets": {"known": 1.0}}}
        metadata = notes or {"training": json.dumps(training)}
        tensors.save(path, build("uniultra_mini", 64), metadata)
        return path

    return make
