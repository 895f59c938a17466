"""Published layouts become our networks: every name finds its place and means there what it meant."""

import json

import pytest
import reference_encoders
import torch
from official_layouts import filled, layouts, med2d_extras, prompts, samus_extras, tiny_vit, vit

from uniultra.adapters import med2d, samus
from uniultra.adapters.settings import from_json
from uniultra.errors import ModelError
from uniultra.models import mappings
from uniultra.models.counting import MetaDevice, on_meta
from uniultra.models.registry import entry
from uniultra.networks.sam_image import SamImage
from uniultra.networks.sam_vit import SamVit, VitSize
from uniultra.networks.tiny_vit import TinyVitEncoder
from uniultra.weights import loading
from uniultra.weights import tensors as weights

WIDTH, HEADS, WINDOW = 24, 2, 3
SHALLOW = VitSize(WIDTH, 12, HEADS, window=WINDOW)


def on_paper(shapes):
    return {name: torch.empty(shape, device="meta") for name, shape in shapes.items()}


@pytest.fixture(scope="module")
def official():
    return layouts()


@pytest.mark.parametrize("name", ["sam_b", "samus", "sam_med2d", "mobile_sam"])
def test_every_tensor_has_its_place(official, name):
    convert = entry(name).convert
    ours = convert(on_paper(official[name]))
    settings = from_json(entry(name).adapter, json.dumps(convert.settings)) if convert.settings else None
    assert weights.misfit(on_meta(name, config=settings).state_dict(), ours) == ""
    dropped = convert.dropped(official[name])
    assert all(".head." in key or ".norm_head." in key for key in dropped)
    assert bool(dropped) == (name == "mobile_sam")


@pytest.mark.parametrize(("size", "config"), [("t", "t"), ("s", "s"), ("b", "b+"), ("l", "l")])
def test_sam2_checkpoints_of_every_size(size, config):
    """The whole model that the package describes, video memory and all, without allocating it."""
    from hydra import compose, initialize_config_module
    from hydra.core.global_hydra import GlobalHydra
    from hydra.utils import instantiate
    from omegaconf import OmegaConf

    GlobalHydra.instance().clear()
    with initialize_config_module("sam2", version_base="1.2"):
        described = compose(f"configs/sam2.1/sam2.1_hiera_{config}.yaml")
        OmegaConf.resolve(described)
        with MetaDevice():
            whole = instantiate(described.model, _recursive_=True).state_dict()
    GlobalHydra.instance().clear()
    ours = entry(f"sam2_{size}").convert(whole)
    assert weights.misfit(on_meta(f"sam2_{size}").state_dict(), ours) == ""
    dropped = mappings.SAM2.dropped(whole)
    assert len(dropped) + len(ours) == len(whole) and len(dropped) > 100
    assert not any("image_encoder" in key or key.startswith("sam_") for key in dropped)
    for other in set("tsbl") - {size}:
        assert weights.misfit(on_meta(f"sam2_{other}").state_dict(), ours)


def sam(grid=4, **how):
    return SamImage(SamVit(64, SHALLOW, **how), 64, grid)


def adapted_samus():
    return samus.inject(sam(8, overlapped=True), samus.SAMUSConfig(**mappings.SAMUS.settings))


NARROW, AT_64 = (WIDTH, HEADS, WINDOW), {"grid": 4, "table": 4}
ENCODERS = {
    "SAM_VIT": (lambda: vit(*NARROW, **AT_64), sam, reference_encoders.sam),
    "SAM_MED2D": (
        lambda: vit(*NARROW, **AT_64) | med2d_extras(WIDTH),
        lambda: med2d.inject(sam()),
        reference_encoders.sam_med2d,
    ),
    "SAMUS": (lambda: vit(*NARROW, grid=8) | samus_extras(WIDTH), adapted_samus, reference_encoders.samus),
    "MOBILE_SAM": (
        tiny_vit,
        lambda: SamImage(TinyVitEncoder(), 96, 6),
        lambda tensors, pictures, *_: reference_encoders.mobile_sam(tensors, pictures),
    ),
}


@pytest.mark.parametrize("layout", ENCODERS)
def test_an_encoder_means_the_same_by_our_names(layout):
    shapes, build, reference = ENCODERS[layout]
    tensors, network = filled(shapes() | prompts()), build()
    pictures = torch.randn(2, 3, network.image_size, network.image_size)
    expected = reference(tensors, pictures, HEADS, WINDOW)
    loading.load_into(network, getattr(mappings, layout)(tensors))
    with torch.no_grad():
        found = network.eval().encode(pictures).image
    assert expected.std() > 0.1  # and not something flat
    torch.testing.assert_close(found, expected, atol=2e-4, rtol=2e-4)


def test_older_mobile_sam_files_keep_an_index_that_is_left_out(official):
    tensors = on_paper(official["mobile_sam"])
    index = "image_encoder.layers.1.blocks.0.attn.attention_bias_idxs"
    tensors[index] = torch.empty(49, 49, device="meta")
    assert index in mappings.MOBILE_SAM.dropped(tensors)
    assert len(mappings.MOBILE_SAM(tensors)) == len(official["mobile_sam"]) - 4


def test_the_decoders_two_layers_are_not_swapped():
    tensors = filled(prompts())
    ours = mappings.SAM_VIT(tensors)
    for part, inner in (("lin1", "layers.0"), ("lin2", "layers.1")):
        theirs = tensors[f"mask_decoder.transformer.layers.1.mlp.{part}.weight"]
        assert ours[f"sam_mask_decoder.transformer.layers.1.mlp.{inner}.weight"] is theirs


@pytest.mark.parametrize("name", ["sam_b", "samus", "sam_med2d", "mobile_sam"])
def test_another_models_file_is_refused_by_name(official, name):
    for other in ("sam_b", "samus", "sam_med2d", "mobile_sam"):
        if other == name:
            continue
        try:
            ours = entry(name).convert(on_paper(official[other]))
        except ModelError as error:
            assert entry(name).convert.title in str(error)
        else:  # it holds nothing strange, but too little
            assert "missing" in weights.misfit(on_meta(name).state_dict(), ours)


def test_a_left_over_tensor_is_named(official):
    tensors = on_paper(official["sam_b"]) | {"teacher.queue": torch.empty(3)}
    with pytest.raises(ModelError, match=r"1 of 315 .*teacher\.queue"):
        mappings.SAM_VIT(tensors)
    with pytest.raises(ModelError, match="SAM ViT-B"):
        mappings.SAM_VIT({})
    twice = on_paper(official["sam_b"])
    twice["mask_decoder.transformer.layers.0.mlp.layers.0.bias"] = torch.empty(2048)
    with pytest.raises(ModelError, match="damaged"):
        mappings.SAM_VIT(twice)
