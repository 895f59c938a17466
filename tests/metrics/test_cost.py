"""Counted multiplications equal a closed form and the published analysis; measuring leaves no trace."""

import pytest
import torch

from uniultra.errors import ModelError
from uniultra.metrics.cost import count_work, measure_latency
from uniultra.models.counting import MetaDevice
from uniultra.models.factory import build
from uniultra.networks.sam2_image import HIERA, Sam2Image


def on_meta(make):
    with MetaDevice():
        return make()


@pytest.mark.parametrize(
    "size, side, encode, decode",
    [("t", 256, 8.75, 0.14), ("t", 448, 21.4, 0.37), ("b", 512, 80.4, 0.48), ("l", 256, 53.6, 0.14)],
)
def test_hiera_costs_what_the_analysis_of_sam2_says(size, side, encode, decode):
    found = count_work(on_meta(lambda: Sam2Image(HIERA[size], side)), "box")
    assert found.gmac_encode == pytest.approx(encode, rel=0.003)
    assert found.gmac_decode == pytest.approx(decode, abs=0.006)


@pytest.mark.parametrize(
    "name, encode", [("samus", 162.7), ("sam_med2d", 45.8), ("mobile_sam", 38.8), ("sam2_tinyvit", 3.04)]
)
def test_the_other_encoders_cost_what_their_analyses_say(name, encode):
    assert count_work(on_meta(lambda: build(name)), "point").gmac_encode == pytest.approx(encode, rel=0.003)


def test_the_mini_encoder_costs_0_38_beside_the_decoders_projections():
    found = count_work(on_meta(lambda: build("uniultra_mini")))
    projections = (64 * 64 * 256 * 32 + 32 * 32 * 256 * 64) / 1e9  # conv_s0 and conv_s1
    assert found.gmac_encode - projections == pytest.approx(0.38, abs=0.005)


def test_attention_is_counted():
    """The same network on a real device, where a fused kernel would hide its products."""
    network = build("uniultra_mini")
    real, meta = count_work(network), count_work(on_meta(lambda: build("uniultra_mini")))
    assert real == meta
    layers = sum(layer_work(network)) / 1e9
    assert layers < real.gmac_encode < 1.5 * layers


def layer_work(network):
    """Multiplications of the linear layers and convolutions of encoding, from their shapes."""
    found = []

    def linear(module, _, out):
        found.append(out.numel() * module.in_features)

    def convolution(module, _, out):
        found.append(out.numel() * module.weight[0].numel())

    hooks = [
        m.register_forward_hook(linear if isinstance(m, torch.nn.Linear) else convolution)
        for m in network.modules()
        if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)
    ]
    with torch.no_grad():
        network.encode(torch.zeros(1, 3, network.image_size, network.image_size))
    for hook in hooks:
        hook.remove()
    return found


def test_a_box_costs_more_to_decode_than_no_prompt_and_a_picture_costs_the_same():
    network = on_meta(lambda: build("uniultra_mini"))
    box, none = count_work(network, "box"), count_work(network, "none")
    assert box.gmac_encode == none.gmac_encode and box.gmac_decode > none.gmac_decode


def test_pace_is_measured_and_the_network_left_as_it_was():
    network = build("uniultra_mini")
    network.train()
    network.image_encoder.eval()
    pace = measure_latency(network, repeats=3, warm_up=1)
    assert pace.seconds_encode > 0 and pace.seconds_decode > 0
    assert (pace.device, pace.repeats, pace.threads) == ("cpu", 3, torch.get_num_threads())
    assert network.training and not network.image_encoder.training
    assert torch.is_grad_enabled()


def test_what_cannot_be_measured_is_refused():
    network = on_meta(lambda: build("uniultra_mini"))
    with pytest.raises(ModelError, match="meta device"):
        measure_latency(network)
    with pytest.raises(ModelError, match="box, point, none"):
        count_work(network, "scribble")
    with pytest.raises(ModelError, match="repeat"):
        measure_latency(network, repeats=0)
