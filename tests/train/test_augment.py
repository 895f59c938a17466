"""Augmented pictures and masks stay together and in range, and every effect acts in its direction."""

import pytest
import torch
from pydantic import TypeAdapter, ValidationError

from uniultra.synthesis import artefacts
from uniultra.synthesis.sector import find_sector
from uniultra.train import augment
from uniultra.train.augment import Augmentation

SIDE = 96

OFF = Augmentation(
    place=0, flip=0, gain=0, gamma=0, attenuation=0, speckle=0, shadow=0, blur=0, noise=0, tint=0
)


def fan(axis=0.5, apex=-0.2, near=0.25, far=1.15, spread=0.6, side=SIDE, grey=0.5):
    """A uniform fan `(1,1,S,S)`; lengths in sides of the picture."""
    rows, columns = torch.meshgrid(*2 * [(torch.arange(side) + 0.5) / side], indexing="ij")
    across, down = columns - axis, rows - apex
    radius = torch.hypot(across, down)
    inside = (radius > near) & (radius < far) & ((across / down).abs() < spread)
    return (grey * inside)[None, None]


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def several(picture, count=4):
    return picture.expand(count, -1, -1, -1).clone()


def test_masks_follow_their_picture():
    pictures = torch.zeros(8, 1, SIDE, SIDE)
    pictures[:, :, 30:60, 40:80] = 1
    moved, masks = augment.affine(pictures, pictures.clone(), generator())
    assert not torch.equal(moved, pictures)
    torch.testing.assert_close(moved, masks)


def test_the_same_generator_draws_the_same():
    pictures, masks = torch.rand(4, 1, 64, 64), torch.rand(4, 2, 64, 64)
    first, again, other = (augment.views(pictures, masks, generator(seed)) for seed in (3, 3, 4))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert not torch.equal(first[0], other[0])
    assert first[0].shape == (4, 3, 64, 64) and first[1].shape == (4, 2, 64, 64)
    assert first[0].min() >= 0 and first[0].max() <= 1


def test_a_picture_alone_or_black_is_fine():
    out, masks = augment.views(torch.zeros(6, 1, 64, 64), torch.zeros(6, 0, 64, 64), generator())
    assert out.max() == 0 and masks.shape == (6, 0, 64, 64)
    one, _ = augment.views(torch.rand(1, 1, 64, 64), torch.zeros(1, 1, 64, 64), generator())
    assert torch.isfinite(one).all()


def test_switched_off_nothing_changes():
    pictures, masks = torch.rand(3, 1, 64, 64), torch.rand(3, 2, 64, 64).round()
    out, same = augment.views(pictures, masks, generator(), OFF)
    torch.testing.assert_close(out, pictures.expand(-1, 3, -1, -1), atol=1e-4, rtol=0)
    assert torch.equal(same, masks)


@pytest.mark.parametrize(
    "effect", ["gain", "gamma", "attenuation", "speckle", "shadow", "blur", "noise", "tint"]
)
def test_each_effect_can_be_switched_on_alone(effect):
    picture = several(fan() * torch.rand(SIDE, SIDE, generator=generator()))
    settings = Augmentation(**{**{name: getattr(OFF, name) for name in vars(OFF)}, effect: 1.0})
    out = augment.intensity(picture, generator(1), settings)
    assert not torch.allclose(out, picture.expand(-1, 3, -1, -1), atol=1e-3)
    assert out.mul(picture == 0)[:, :, :10].max() < (0.6 if effect == "blur" else 1e-6)


def test_settings_refuse_what_cannot_be():
    reads = TypeAdapter(Augmentation).validate_python
    assert reads({"flip": 0, "gain_db": 3}).gain_db == 3
    for wrong in ({"flip": 1.5}, {"gain_db": -1}, {"shrink": 0.5}, {"sparkle": 1}):
        with pytest.raises(ValidationError):
            reads(wrong)


def test_a_flip_mirrors_about_the_sector_not_the_picture():
    picture = fan(axis=0.4, spread=0.4)
    picture[:, :, 40:50, 40:48] = 1.0  # right of the axis at column 38.4
    settings = Augmentation(**{**vars(OFF), "flip": 1.0})
    mirrored, _ = augment.affine(picture, picture[:, :0], generator(), settings)
    lit = (picture > 0).float(), (mirrored > 0.25).float()
    assert (lit[0] * lit[1]).sum() / lit[0].sum() > 0.97  # the footprint lies where it was
    columns = (mirrored[0, 0, 44] > 0.9).nonzero()
    assert columns.min() >= 27 and columns.max() <= 37


def test_depth_is_turned_only_when_asked():
    picture = several(fan(), 32)
    # The footprint's face is narrow, its bottom wide, whatever is mirrored.
    for share, upright in ((0.0, True), (1.0, False)):
        settings = Augmentation(**{**vars(OFF), "flip": 0.5, "flip_depth": share})
        turned, _ = augment.affine(picture, picture[:, :0], generator(), settings)
        width = (turned > 0.25).float().sum(3)[:, 0]
        assert ((width[:, 20] < width[:, 60]) == upright).all()


@pytest.mark.parametrize("axis", [0.35, 0.5, 0.62])
@pytest.mark.parametrize("apex", [-0.4, 0.02])
def test_the_sector_of_a_fan_is_found(axis, apex):
    spread, near = 0.45, 0.1 - apex
    sector = find_sector(fan(axis, apex, near, near + 0.75, spread, side=256))
    assert sector.axis.item() == pytest.approx(axis, abs=0.02)
    assert sector.apex.item() == pytest.approx(apex, abs=0.08)
    assert sector.spread.item() == pytest.approx(spread, rel=0.15)
    assert (sector.far - sector.near).item() == pytest.approx(0.75, abs=0.08)


def test_captions_and_a_scale_bar_do_not_move_the_sector():
    picture = fan(0.5, -0.2, 0.3, 1.0, 0.4, side=256)
    bare = find_sector(picture)
    picture[:, :, 10:16, 5:60] = 1
    picture[:, :, ::16, 250:253] = 1
    marked = find_sector(picture)
    assert marked.axis.item() == pytest.approx(bare.axis.item(), abs=0.02)
    assert marked.apex.item() == pytest.approx(bare.apex.item(), abs=0.1)


def test_beams_of_a_linear_array_are_parallel():
    picture = torch.zeros(1, 1, SIDE, SIDE)
    picture[:, :, 8:80, 20:70] = 0.5
    depth, beam = find_sector(picture).polar(SIDE)
    assert (beam[0, 0, 8] - beam[0, 0, 79]).abs().max() < 0.05
    assert depth[0, 0, 8].abs().max() < 0.05 and (depth[0, 0, 79] - 1).abs().max() < 0.05
    assert beam[0, 0, 40, 20] == pytest.approx(-1, abs=0.1) and beam[0, 0, 40, 69] == pytest.approx(
        1, abs=0.1
    )


ONE = torch.ones(1)


def test_gain_and_gamma_change_all_echoes_and_no_black():
    picture = fan(grey=0.5)
    lit = picture > 0
    assert artefacts.gain(picture, 6 * ONE)[lit].mean() == pytest.approx(0.6, abs=1e-4)
    assert artefacts.gain(picture, -6 * ONE)[lit].mean() == pytest.approx(0.4, abs=1e-4)
    assert artefacts.gamma(picture, 2 * ONE)[lit].mean() == pytest.approx(0.25, abs=1e-4)
    for changed in (artefacts.gain(picture, 6 * ONE), artefacts.gamma(picture, 0.5 * ONE)):
        assert not changed[~lit].any()


def test_attenuation_grows_with_depth_along_the_beams():
    picture = fan()
    depth, _ = find_sector(picture).polar(SIDE)
    lost = picture - artefacts.attenuation(picture, 12 * ONE, depth)
    lit = picture > 0
    shallow, deep = lit & (depth < 0.2), lit & (depth > 0.8)
    assert lost[shallow].mean() < 0.03 and lost[deep].mean() > 0.15
    # Equal depth, equal loss, on the axis and at the edge of the fan.
    ring = lit & (depth > 0.5) & (depth < 0.55)
    assert lost[ring].std() < 0.01
    assert (artefacts.attenuation(picture, -12 * ONE, depth)[deep] > 0.6).all()


def test_a_shadow_follows_its_beams_from_the_reflector_down():
    picture = fan()
    depth, beam = find_sector(picture).polar(SIDE)
    place = {"centre": 0.5 * ONE, "width": 0.2 * ONE, "start": 0.4 * ONE}
    out = artefacts.shadow(picture, 20 * ONE, depth, beam, **place)
    dark = (picture - out) > 0.2
    assert dark.any() and (depth[dark] > 0.38).all() and ((beam[dark] - 0.5).abs() < 0.2).all()
    rows = dark[0, 0].any(1).nonzero()[:, 0]
    columns = torch.arange(SIDE).float()
    middle = [(dark[0, 0, r] * columns).sum() / dark[0, 0, r].sum() for r in (rows[2], rows[-8])]
    assert middle[1] - middle[0] > 5  # the beams diverge
    behind_a_cyst = artefacts.shadow(picture, -10 * ONE, depth, beam, **place)
    assert (behind_a_cyst[dark] > picture[dark]).all()


def test_speckle_keeps_the_mean_has_rayleighs_spread_and_grows_with_depth():
    picture = fan(grey=0.5, side=256)
    depth, beam = find_sector(picture).polar(256)
    out = artefacts.speckle(picture, ONE, depth, beam, generator())
    lit = picture > 0
    assert out[lit].mean() == pytest.approx(0.5, abs=0.03)
    assert out[lit].std() * artefacts.DYNAMIC_RANGE == pytest.approx(5.6, abs=1.0)
    assert not out[~lit].any()
    across = (out[..., 1:] - out[..., :-1]).abs()
    inner = (lit & (beam.abs() < 0.8))[..., 1:]
    near, far = ((depth[..., 1:] > a) & (depth[..., 1:] < a + 0.2) & inner for a in (0.05, 0.75))
    assert across[near].mean() > 1.3 * across[far].mean()
    half = artefacts.speckle(picture, 0.5 * ONE, depth, beam, generator())
    assert half[lit].std().item() == pytest.approx(0.5 * out[lit].std().item(), rel=0.1)


def test_blur_smooths_noise_roughens_tint_colours():
    picture = fan() * torch.rand(SIDE, SIDE, generator=generator())
    rough = (picture[..., 1:] - picture[..., :-1]).abs().mean
    smooth = artefacts.blur(picture, ONE)
    assert (smooth[..., 1:] - smooth[..., :-1]).abs().mean() < 0.6 * rough()
    flat = fan()
    noisy = artefacts.noise(flat, 0.05 * ONE, generator())
    assert noisy[flat > 0].std() == pytest.approx(0.05, rel=0.1) and not noisy[flat == 0].any()
    red = artefacts.tint(flat, torch.tensor([[0.3, 0.0, -0.3]]))[0, :, SIDE // 2, SIDE // 2]
    assert red[0] > red[1] > red[2] and red[1] == 0.5


def test_real_pictures_are_mirrored_onto_themselves(shared_dir):
    """The footprint of liver sectors, which lie off the picture's middle, stays in place under a flip."""
    import csv

    import numpy as np
    from PIL import Image

    with (shared_dir / "data" / "manifest.csv").open() as stream:
        rows = [row for row in csv.DictReader(stream) if row["dataset"] == "liver_mass"][:12]
    stack = [
        np.asarray(Image.open(shared_dir / "data" / row["image"]).convert("L").resize((128, 128)))
        for row in rows
    ]
    pictures = torch.from_numpy(np.stack(stack).astype(np.float32) / 255)[:, None]
    settings = Augmentation(**{**vars(OFF), "flip": 1.0})
    mirrored, _ = augment.affine(pictures, pictures[:, :0], generator(), settings)

    def overlap(a, b):
        a, b = (torch.nn.functional.avg_pool2d(p, 7, 1, 3) > 0.05 for p in (a, b))
        return (a & b).sum((1, 2, 3)) / (a | b).sum((1, 2, 3))

    own, plain = overlap(pictures, mirrored), overlap(pictures, pictures.flip(3))
    assert own.median() > 0.85 and own.mean() > plain.mean()
