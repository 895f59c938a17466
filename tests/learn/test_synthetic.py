"""Generated scenes are varied, labelled exactly and the same for the same seed."""

import numpy as np
import pytest

from uniultra.learn.pseudo import pseudo_objects
from uniultra.learn.synthetic import scene


@pytest.fixture(scope="module")
def scenes():
    return [scene(np.random.default_rng(n), 128) for n in range(24)]


def test_the_same_seed_draws_the_same_scene(scenes):
    again = scene(np.random.default_rng(0), 128)
    assert np.array_equal(again.picture, scenes[0].picture)
    assert np.array_equal(again.targets, scenes[0].targets)
    assert not np.array_equal(scenes[0].picture, scenes[1].picture)


def test_targets_are_in_one_piece_and_clickable(scenes):
    from scipy import ndimage

    for drawn in scenes:
        assert drawn.picture.dtype == np.uint8 and drawn.picture.shape == (128, 128)
        for target, click in zip(drawn.targets, drawn.clickable, strict=True):
            assert target.sum() >= 60 and click.sum() >= 30
            assert not (click & ~target).any()
            assert ndimage.label(target)[1] == 1


def test_a_click_means_one_target_only(scenes):
    for drawn in scenes:
        assert drawn.clickable.sum(0).max(initial=0) <= 1


def test_most_scenes_hold_several_structures(scenes):
    assert np.mean([len(s.targets) >= 2 for s in scenes]) > 0.7


def test_structures_can_be_told_from_what_is_around_them(scenes):
    """Labels lie on what is drawn: inside and just outside differ in brightness more than by chance."""
    from scipy import ndimage

    contrast = []
    for drawn in scenes:
        for target in drawn.clickable:
            ring = ndimage.binary_dilation(target, iterations=5) & ~target & (drawn.picture > 0)
            if ring.sum() > 30:
                inside, outside = drawn.picture[target].mean(), drawn.picture[ring].mean()
                contrast.append(abs(inside - outside) / (inside + outside + 1))
    assert np.median(contrast) > 0.08


def test_pseudo_objects_are_single_regions(scenes):
    from scipy import ndimage

    regions = pseudo_objects(scenes[3].picture, np.random.default_rng(0), count=5, smallest=40)
    assert 0 < len(regions) <= 5
    for region in regions:
        assert region.sum() >= 40 and ndimage.label(region, np.ones((3, 3)))[1] == 1
