"""One call may mix prompt sets with and without a mask, at any side of the mask."""

import pytest
import torch

from uniultra.networks.sam2_image import HIERA, Sam2Image


@pytest.mark.parametrize("channels", [1, 4])
@pytest.mark.parametrize("side", [16, 40])
def test_mixed_masks_equal_each_alone(channels, side):
    torch.manual_seed(0)
    network = Sam2Image(HIERA["mini"], 64, channels).eval()
    dense = torch.randn(3, channels, side, side)
    dense[1] = 0
    coords, labels = torch.rand(3, 2, 2) * 64, torch.ones(3, 2)
    with torch.no_grad():
        embedding = network.encode(torch.randn(1, 3, 64, 64))
        together, _ = network.decode(embedding, coords, labels, dense)
        for n in range(3):
            alone, _ = network.decode(embedding, coords[n : n + 1], labels[n : n + 1], dense[n : n + 1])
            torch.testing.assert_close(together[n : n + 1], alone, atol=1e-4, rtol=1e-4)
        unmasked, _ = network.decode(embedding, coords[1:2], labels[1:2], None)
    assert torch.allclose(together[1:2], unmasked, atol=1e-4) == (channels == 1)
