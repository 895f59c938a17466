"""The table of prompt kinds is complete: every kind can be sent, cropped, drawn and simulated."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from uniultra.images.types import Plane
from uniultra.models import registry
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.kinds import KINDS, cropped
from uniultra.prompts.raster import encode
from uniultra.prompts.simulation import annotator
from uniultra.prompts.types import Box, Crop, Lasso, MaskPrompt, Point, PromptSet, Scribble
from uniultra.serve.wire import wire
from uniultra.serve.wire.packing import pack_mask

SHAPE = (40, 60)
AREA = np.zeros(SHAPE, bool)
AREA[12:20, 14:26] = True
# by kind: the prompts, and the params that say the same
EXAMPLES: dict[str, tuple[PromptSet, dict[str, Any]]] = {
    "point": (
        PromptSet(points=(Point(20, 15), Point(5, 30, positive=False))),
        {"foreground": [[20, 15, 0]], "background": [[5, 30, 0]]},
    ),
    "box": (PromptSet(box=Box(14, 12, 25, 19)), {"roi": [25, 19, 14, 12]}),
    "scribble": (
        PromptSet(scribbles=(Scribble(AREA),)),
        {"scribbles": [{"positive": True, "bbox": [14, 12, 25, 19], "runs": [0, 96]}]},
    ),
    "lasso": (
        PromptSet(lasso=Lasso(((14, 12), (25, 12), (20, 19)))),
        {"lasso": [[14, 12], [25, 12], [20, 19]]},
    ),
    "mask": (PromptSet(mask=MaskPrompt(AREA)), {"mask": pack_mask(AREA)}),
}


def given(prompts: PromptSet) -> set[str]:
    """The fields that hold something."""
    return {field.name for field in fields(prompts) if prompts.of(field.name)}


def same(one: PromptSet, other: PromptSet) -> bool:
    first, second = (encode(prompts, Fit(*SHAPE, 64)) for prompts in (one, other))
    return given(one) == given(other) and all(map(np.array_equal, first, second))


def test_the_table_has_every_field_of_a_prompt_set_and_every_key_of_an_object_on_the_wire() -> None:
    assert [kind.field for kind in KINDS.values()] == [field.name for field in fields(PromptSet)]
    assert set(wire.PROMPT_KEYS) == set(wire.WireObject.model_fields)
    assert EXAMPLES.keys() == KINDS.keys()


def test_every_registered_model_takes_kinds_of_the_table() -> None:
    for name in registry.names():
        assert set(registry.entry(name).prompts) <= KINDS.keys(), name


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_documented_with_its_keys(name: str) -> None:
    text = (Path(__file__).parents[2] / "docs" / "wire.md").read_text()
    assert f"`{name}`" in text and all(f"`{key}`" in text for key in KINDS[name].keys)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_read_from_a_request(name: str) -> None:
    prompts, params = EXAMPLES[name]
    assert given(prompts) == {KINDS[name].field} and params.keys() == set(KINDS[name].keys)
    parsed = wire.parse(params)
    assert parsed.prompted
    (read,) = wire.prompts_of(parsed, Plane("k", 0), SHAPE)
    assert same(read, prompts)


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_reaches_the_network(name: str) -> None:
    nothing, encoded = (encode(prompts, Fit(*SHAPE, 64)) for prompts in (PromptSet(), EXAMPLES[name][0]))
    assert not nothing.drawing.any() and encoded.drawing.any()


@pytest.mark.parametrize("name", KINDS)
def test_a_kind_is_cropped(name: str) -> None:
    prompts = EXAMPLES[name][0]
    assert same(cropped(prompts, Crop(0, SHAPE[0], 0, SHAPE[1])), prompts)
    crop = Crop(8, 28, 10, 40)
    part = cropped(prompts, crop)
    part.check(crop.shape)
    assert given(part) == {KINDS[name].field}


def test_the_simulated_annotator_gives_every_kind() -> None:
    rng, shares = np.random.default_rng(0), np.eye(len(annotator.KINDS))
    simulated = (annotator.first_prompt(AREA, AREA, rng, tuple(share)) for share in shares)
    assert set().union(*map(given, simulated)) == {kind.field for kind in KINDS.values()}
