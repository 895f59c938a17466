"""The examples in the docstrings of the measurements run and give what they show."""

from __future__ import annotations

import doctest
import importlib

import pytest


@pytest.mark.parametrize("module", ["axes_ellipse", "binary_shapes", "contours", "mask_measures"])
def test_the_examples_run(module: str) -> None:
    result = doctest.testmod(importlib.import_module(f"UniUltraLib.measure.{module}"))
    assert result.attempted and not result.failed
