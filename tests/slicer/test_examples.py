"""The examples in the docstrings of the extension's pure modules."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["prompts.prompt_set", "prompts.mask_packing", "prompts.nrrd"])
def test_examples_run(module: str) -> None:
    results = doctest.testmod(importlib.import_module(f"UniUltraLib.{module}"))
    assert results.attempted > 0 and results.failed == 0
