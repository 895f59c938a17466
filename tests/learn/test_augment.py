"""Augmented pictures and masks stay together and in range."""

import torch

from uniultra.learn import augment


def test_masks_follow_their_picture():
    generator = torch.Generator().manual_seed(0)
    pictures = torch.zeros(8, 1, 96, 96)
    pictures[:, :, 30:60, 40:80] = 1
    moved, masks = augment.affine(pictures, pictures.clone(), generator)
    assert not torch.equal(moved, pictures)
    torch.testing.assert_close(moved, masks)


def test_the_same_generator_draws_the_same():
    pictures = torch.rand(4, 1, 64, 64)
    first = augment.intensity(pictures, torch.Generator().manual_seed(3))
    again = augment.intensity(pictures, torch.Generator().manual_seed(3))
    other = augment.intensity(pictures, torch.Generator().manual_seed(4))
    assert torch.equal(first, again) and not torch.equal(first, other)
    assert first.shape == (4, 3, 64, 64) and first.min() >= 0 and first.max() <= 1


def test_black_stays_black():
    out = augment.intensity(torch.zeros(6, 1, 64, 64), torch.Generator().manual_seed(0))
    assert out.max() < 0.05
