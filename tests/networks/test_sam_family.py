"""SAM's ViT-B path: counts, shapes, grids, and the tables of positions brought from 1024 to 256 pixels."""

import numpy as np
import pytest
import torch
from torch import nn

from uniultra.errors import ModelError
from uniultra.models import build, entry
from uniultra.models.counting import count
from uniultra.networks.sam_attention import TableAttention
from uniultra.networks.sam_image import build_sam
from uniultra.networks.sam_vit import OverlappedPatches, SamVit, VitSize, resize_tables
from uniultra.weights.loading import load_into

NARROW = VitSize(width=24, depth=3, heads=2, global_blocks=(1, 2), window=4)
BLOCKS = 12 * 7_087_872  # of width 768, without tables of relative positions
WINDOW_TABLES = 8 * 2 * 27 * 64
PATCHES, NECK = 590_592, 787_456
PROMPTS, DECODER = 6_220, 4_058_340


def tables(rows: int) -> int:
    """Numbers in the tables of relative positions of the four global blocks."""
    return 4 * 2 * rows * 64


@pytest.mark.parametrize(
    ("name", "table", "rows", "encoder"),
    [
        ("sam_b", 64, 127, 89_670_912),
        ("sam_b_256", 16, 31, 86_672_640),
        ("sam_b_overlap", 64, 63, 89_638_144),
    ],
)
def test_counts_of_the_bases(name, table, rows, encoder):
    closed = BLOCKS + WINDOW_TABLES + tables(rows) + PATCHES + table * table * 768 + NECK
    counts = count(name)
    assert counts.parameters_encoder == encoder == closed
    assert counts.parameters_total == encoder + PROMPTS + DECODER


def test_parts_are_sams():
    with torch.device("meta"):
        network = build("sam_b")
    assert sum(p.numel() for p in network.sam_prompt_encoder.parameters()) == PROMPTS
    assert sum(p.numel() for p in network.sam_mask_decoder.parameters()) == DECODER
    names = network.sam_mask_decoder.state_dict()
    assert not any(part in name for name in names for part in ("obj_score", "conv_s"))
    assert not network.sam_mask_decoder.iou_prediction_head.sigmoid_output
    norms = [m for m in network.image_encoder.blocks.modules() if isinstance(m, nn.LayerNorm)]
    norms += [network.image_encoder.neck[1], network.image_encoder.neck[3]]
    assert len(norms) == 26 and all(norm.eps == 1e-6 for norm in norms)
    assert sorted(i for i, b in enumerate(network.image_encoder.blocks) if b.window_size == 0) == [
        2,
        5,
        8,
        11,
    ]


@pytest.mark.parametrize(
    ("side", "overlapped", "grid"), [(32, False, 2), (80, False, 5), (64, True, 8), (128, True, 16)]
)
def test_shapes_at_any_side(side, overlapped, grid):
    torch.manual_seed(0)
    network = build_sam(side, size=NARROW, overlapped=overlapped, map_channels=4).eval()
    assert network.image_encoder.pos_embed.shape[1] == (64 if overlapped else grid)
    with torch.no_grad():
        embedding = network.encode(torch.randn(2, 3, side, side))
        assert embedding.image.shape == (2, 256, grid, grid) and not embedding.high
        one = embedding.repeat(torch.tensor([1]))
        dense = torch.rand(3, 4, 4 * grid, 4 * grid)
        for multimask, masks in ((False, 1), (True, 3)):
            logits, iou = network.decode(one, torch.rand(3, 2, 2) * side, torch.ones(3, 2), dense, multimask)
            assert logits.shape == (3, masks, 4 * grid, 4 * grid) and iou.shape == (3, masks)


@pytest.mark.parametrize(
    ("side", "overlapped"), [(0, False), (16, False), (100, False), (-64, True), (96, True), (1024, True)]
)
def test_other_sides_are_refused(side, overlapped):
    with pytest.raises(ModelError, match="64, 128, 256 or 512" if overlapped else "multiple of 16"):
        SamVit(side, NARROW, overlapped=overlapped)


def test_patches_overlap_by_half():
    """Token (i, j) is SAM's own patch projection of the 16x16 pixels at (8i, 8j) of the enlarged picture."""
    torch.manual_seed(0)
    patches = OverlappedPatches(5)
    picture = torch.randn(1, 3, 64, 64)
    tokens = patches(picture)
    assert tokens.shape == (1, 8, 8, 5)
    enlarged = nn.functional.interpolate(picture, (72, 72), mode="bilinear", align_corners=False)
    for i, j in ((0, 0), (3, 5), (7, 7)):
        patch = enlarged[0, :, 8 * i : 8 * i + 16, 8 * j : 8 * j + 16]
        expected = (patches.proj.weight * patch).sum((1, 2, 3)) + patches.proj.bias
        torch.testing.assert_close(tokens[0, i, j], expected, atol=1e-5, rtol=1e-4)


def test_attention_equals_timms():
    from timm.models.vision_transformer_sam import Attention

    torch.manual_seed(0)
    theirs = Attention(24, 3, use_rel_pos=True, input_size=(5, 7))
    for table in (theirs.rel_pos_h, theirs.rel_pos_w):
        nn.init.normal_(table)
    tokens = torch.randn(2, 5, 7, 24)
    torch.testing.assert_close(TableAttention(theirs)(tokens), theirs(tokens), atol=1e-5, rtol=1e-4)


def test_the_whole_table_is_pooled_to_the_grid():
    encoder = SamVit(64, NARROW, overlapped=True)
    pooled = encoder.position(encoder.pos_embed)
    assert pooled.shape == (1, 8, 8, 24)
    assert torch.equal(pooled[0, 2, 7], encoder.pos_embed[0, 16:24, 56:64].amax((0, 1)))


@pytest.mark.parametrize(("side", "overlapped", "grid"), [(256, False, 16), (256, True, 32)])
def test_weights_of_1024_pixels_serve_256(side, overlapped, grid):
    torch.manual_seed(0)
    size = VitSize(width=8, depth=2, heads=2, global_blocks=(1,))
    source = build_sam(1024, size=size)
    for table in (source.image_encoder.blocks[i].attn.rel_pos_h for i in (0, 1)):
        nn.init.normal_(table)
    tensors = source.state_dict()
    adapted = resize_tables(tensors, grid, keep_table=overlapped)
    network = build_sam(side, size=size, overlapped=overlapped)
    load_into(network, adapted)
    assert adapted.keys() == tensors.keys()

    table, whole = adapted["image_encoder.pos_embed"], tensors["image_encoder.pos_embed"]
    if overlapped:
        assert torch.equal(table, whole)
    else:  # every fourth place, between its two middle neighbours in both directions
        corner = whole[0, 4 * 3 + 1 : 4 * 3 + 3, 4 * 7 + 1 : 4 * 7 + 3].mean((0, 1))
        torch.testing.assert_close(table[0, 3, 7], corner)
    name = "image_encoder.blocks.{}.attn.rel_pos_h"
    assert torch.equal(adapted[name.format(0)], tensors[name.format(0)])  # a block with windows
    rows = 2 * grid - 1
    places = (np.arange(rows) + 0.5) * 127 / rows - 0.5
    expected = np.interp(places, np.arange(127), tensors[name.format(1)][:, 2].numpy())
    np.testing.assert_allclose(adapted[name.format(1)][:, 2].numpy(), expected, atol=1e-4)


def test_bases_and_what_stands_on_them_read_pictures_alike():
    torch.manual_seed(0)
    picture = torch.rand(1, 3, 8, 8)
    for base, name in (("sam_b_256", "sam_med2d"), ("sam_b_overlap", "samus")):
        assert torch.equal(entry(base).normalise(picture), entry(name).normalise(picture))
        assert entry(base).weights_of == "sam_b" and entry(name).base == base
    grey = entry("samus").normalise(picture)
    assert grey.min() >= 0 and grey.max() <= 1 and torch.equal(grey[:, 0], grey[:, 2])
    white = entry("sam_b").normalise(torch.ones(1, 3, 1, 1)).flatten()
    torch.testing.assert_close(white, torch.tensor([2.2489, 2.4286, 2.6400]), atol=1e-4, rtol=0)
