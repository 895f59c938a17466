"""Parameters of every model, exactly; where a paper rounds, its figure too."""

from __future__ import annotations

import contextlib
import io
import json

import pytest

from uniultra.adapters.registry import FILES
from uniultra.cli.main import main
from uniultra.models import entry, names

# In all, image encoder, adapter, trained by the method.
EXPECTED = {
    "sam2_mini": (5_041_889, 820_256, 0, 5_041_889),
    "sam2_t": (31_440_721, 27_219_136, 0, 31_440_721),
    "sam2_s": (38_538_577, 34_316_992, 0, 38_538_577),
    "sam2_b": (73_328_401, 69_106_816, 0, 73_328_401),
    "sam2_l": (216_924_865, 212_703_280, 0, 216_924_865),
    "uniultra_mini": (5_079_241, 857_608, 37_352, 5_079_241),
    "uniultra_t": (32_620_973, 28_399_388, 1_180_252, 5_401_581),
    "uniultra_s": (40_023_341, 35_801_756, 1_484_764, 5_706_093),
    "uniultra_b": (76_297_301, 72_075_716, 2_968_900, 7_190_229),
    "uniultra_l": (225_996_797, 221_775_212, 9_071_932, 13_293_261),
    "sam_b": (93_735_472, 89_670_912, 0, 93_735_472),
    "sam_b_256": (90_737_200, 86_672_640, 0, 90_737_200),
    "sam_b_overlap": (93_702_704, 89_638_144, 0, 93_702_704),
    "sam_med2d": (271_241_776, 267_177_216, 180_504_576, 184_569_136),
    "samus": (133_323_568, 129_259_008, 39_620_864, 39_653_120),
    "samus_mini": (5_296_045, 1_074_412, 254_156, 254_156),
    "samus_t": (38_798_985, 34_577_400, 7_358_264, 7_358_264),
    "samus_s": (45_896_841, 41_675_256, 7_358_264, 7_358_264),
    "samus_b": (82_993_869, 78_772_284, 9_665_468, 9_665_468),
    "samus_l": (232_200_837, 227_979_252, 15_275_972, 15_275_972),
    "lora_mini": (5_066_081, 844_448, 24_192, 4_245_569),
    "lora_t": (31_585_873, 27_364_288, 145_152, 4_366_481),
    "lora_s": (38_732_881, 34_511_296, 194_304, 4_415_633),
    "lora_b": (73_666_193, 69_444_608, 337_792, 4_559_121),
    "lora_l": (217_792_321, 213_570_736, 867_456, 5_088_785),
    "mobile_sam": (9_808_452, 5_743_892, 0, 9_808_452),
    "lgmedseg": (9_956_932, 5_892_372, 148_480, 148_480),
    "sam2_tinyvit": (9_465_765, 5_244_180, 0, 9_465_765),
    "lgmedseg_sam2": (9_614_245, 5_392_660, 148_480, 148_480),
    "autosamus": (142_184_880, 129_259_008, 8_861_312, 8_861_312),
    "autosamus_mini": (13_940_553, 857_608, 8_861_312, 8_861_312),
    "autosamus_t": (41_482_285, 28_399_388, 8_861_312, 8_861_312),
    "autosamus_s": (48_884_653, 35_801_756, 8_861_312, 8_861_312),
    "autosamus_b": (85_158_613, 72_075_716, 8_861_312, 8_861_312),
    "autosamus_l": (234_858_109, 221_775_212, 8_861_312, 8_861_312),
    "unet": (1_672_433, 1_074_142, 0, 1_672_433),
}
FIELDS = ("total", "encoder", "adapter", "trained")
M, K = 1e6, 1e3
# What papers and releases print.
PUBLISHED = [
    ("sam2_t", "encoder", M, "27.219"),
    ("sam2_s", "encoder", M, "34.317"),
    ("sam2_b", "encoder", M, "69.107"),
    ("sam2_l", "encoder", M, "212.703"),
    ("sam2_mini", "encoder", M, "0.8203"),
    ("uniultra_t", "trained", M, "5.40"),
    ("uniultra_s", "trained", M, "5.71"),
    ("uniultra_b", "trained", M, "7.19"),
    ("uniultra_l", "trained", M, "13.29"),
    ("samus", "total", M, "133.32"),
    ("samus", "trained", M, "39.65"),
    ("autosamus", "total", M, "142.185"),
    *((name, "trained", M, "8.861") for name in EXPECTED if name.startswith("autosamus")),
    ("sam_med2d", "total", M, "271.24"),
    ("sam_med2d", "adapter", M, "180.5"),
    ("mobile_sam", "total", M, "9.81"),
    ("lgmedseg", "trained", K, "148.5"),
]


@pytest.fixture(scope="module")
def listed():
    """What `uniultra models --json` prints, by name."""
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert main(["models", "--json"]) == 0
    return {line["name"]: line for line in json.loads(printed.getvalue())}


def test_every_model_is_listed_and_expected(listed):
    assert list(listed) == list(names()) == list(EXPECTED)


def test_the_committed_list_has_these_counts(project_root):
    committed = json.loads((project_root / "training" / "results" / "models.json").read_text())
    assert {m["name"]: tuple(m[f"parameters_{f}"] for f in FIELDS) for m in committed} == EXPECTED


@pytest.mark.parametrize("name", EXPECTED)
def test_counts(name, listed):
    assert tuple(listed[name][f"parameters_{field}"] for field in FIELDS) == EXPECTED[name]


@pytest.mark.parametrize(("name", "field", "unit", "figure"), PUBLISHED)
def test_published_figures(name, field, unit, figure):
    digits = len(figure.partition(".")[2])
    assert f"{EXPECTED[name][FIELDS.index(field)] / unit:.{digits}f}" == figure


def test_every_kind_of_adapter_is_in_a_registered_model():
    assert {entry(name).adapter for name in names()} - {None} == set(FILES)
