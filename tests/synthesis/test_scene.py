"""Generated scenes are varied, labelled exactly and the same for the same seed."""

import numpy as np
import pytest

from uniultra.synthesis.bmode import Tissue, scan
from uniultra.synthesis.implants import implant
from uniultra.synthesis.pseudo_objects import pseudo_objects
from uniultra.synthesis.scene import scene
from uniultra.synthesis.shapes import grid


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
            assert target.sum() >= 15 and click.sum() >= 7
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


def test_the_field_of_view_differs_and_holds_every_target(scenes):
    """Linear pictures fill the corners, sectors do not; nothing is labelled where no echo comes from."""
    corners = [drawn.picture[-4:, :4].max() > 0 for drawn in scenes]
    assert 0.1 < np.mean(corners) < 0.95
    for drawn in scenes:
        lit = np.stack([drawn.picture[t].max() for t in drawn.targets]) if len(drawn.targets) else [1]
        assert np.mean(np.asarray(lit) > 0) > 0.5


def test_shadows_follow_the_beams_of_the_probe():
    """Behind a strong reflector a curved probe's picture is dark along the beam, not straight down."""
    straight = grid(128)
    zero = np.zeros((128, 128), np.float32)
    stone = np.hypot(straight.rows - 0.4, straight.columns - 0.25) < 0.05
    dark = []
    for seed in range(40):
        pictures = []
        for loss in (zero, np.float32(400) * stone):
            tissue = Tissue(zero - 15, loss, zero, zero)
            pictures.append(scan(np.random.default_rng(seed), tissue, straight)[0].astype(float))
        lost = pictures[0] - pictures[1] > 25
        rows, columns = np.nonzero(lost & (straight.rows > 0.6))
        if len(rows) > 30:
            dark.append(columns.mean() / 128)
    assert min(dark) < 0.2 and 0.24 < max(dark) < 0.3


def test_an_implant_changes_the_picture_only_around_its_mask(scenes):
    from scipy import ndimage

    rng, painted = np.random.default_rng(5), 0
    for drawn in scenes:
        taken = drawn.targets.any(0)
        picture, mask = implant(rng, drawn.picture, taken)
        if mask is None:
            assert np.array_equal(picture, drawn.picture)
            continue
        painted += 1
        assert mask.any() and not (mask & taken).any()
        changed = np.abs(picture.astype(int) - drawn.picture) > 8
        below = np.maximum.accumulate(ndimage.binary_dilation(mask, iterations=12), axis=0)
        assert changed[mask].mean() > 0.1 and changed[~below].mean() < 0.01
    assert painted > 8


def test_pseudo_objects_are_single_regions(scenes):
    from scipy import ndimage

    regions = pseudo_objects(scenes[3].picture, np.random.default_rng(0), count=5, smallest=40)
    assert 0 < len(regions) <= 5
    for region in regions:
        assert region.sum() >= 40 and ndimage.label(region, np.ones((3, 3)))[1] == 1
