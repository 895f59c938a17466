"""Names and shapes of the published checkpoints, as facts: the tests fill them with numbers."""

from __future__ import annotations

import torch

GLOBAL = (2, 5, 8, 11)


def linear(name, inputs, outputs, bias=True):
    return {f"{name}.weight": (outputs, inputs)} | ({f"{name}.bias": (outputs,)} if bias else {})


def norm(name, width):
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def neck(name, width):
    return {
        f"{name}.0.weight": (256, width, 1, 1),
        **norm(f"{name}.1", 256),
        f"{name}.2.weight": (256, 256, 3, 3),
        **norm(f"{name}.3", 256),
    }


def vit(width=768, heads=12, window=14, grid=64, table=64, depth=12):
    """SAM's image encoder; `grid` is that of its tokens, `table` that of its absolute positions."""
    found = {
        "pos_embed": (1, table, table, width),
        "patch_embed.proj.weight": (width, 3, 16, 16),
        "patch_embed.proj.bias": (width,),
    }
    for i in range(depth):
        block = f"blocks.{i}"
        rows = 2 * (grid if i in GLOBAL else window) - 1
        found |= norm(f"{block}.norm1", width) | norm(f"{block}.norm2", width)
        found |= {f"{block}.attn.rel_pos_{axis}": (rows, width // heads) for axis in "hw"}
        found |= linear(f"{block}.attn.qkv", width, 3 * width) | linear(f"{block}.attn.proj", width, width)
        found |= linear(f"{block}.mlp.lin1", width, 4 * width) | linear(f"{block}.mlp.lin2", 4 * width, width)
    return {f"image_encoder.{name}": shape for name, shape in (found | neck("neck", width)).items()}


def attention(name, inner):
    sides = {f"{name}.{part}_proj": (256, inner) for part in "qkv"} | {f"{name}.out_proj": (inner, 256)}
    return {key: shape for side, (i, o) in sides.items() for key, shape in linear(side, i, o).items()}


def prompts():
    """SAM's prompt encoder and mask decoder."""
    found = {
        "prompt_encoder.pe_layer.positional_encoding_gaussian_matrix": (2, 128),
        **{f"prompt_encoder.point_embeddings.{i}.weight": (1, 256) for i in range(4)},
        "prompt_encoder.not_a_point_embed.weight": (1, 256),
        "prompt_encoder.no_mask_embed.weight": (1, 256),
    }
    for i, shape in ((0, (4, 1, 2, 2)), (3, (16, 4, 2, 2)), (6, (256, 16, 1, 1))):
        found |= {
            f"prompt_encoder.mask_downscaling.{i}.weight": shape,
            f"prompt_encoder.mask_downscaling.{i}.bias": shape[:1],
        }
    found |= norm("prompt_encoder.mask_downscaling.1", 4) | norm("prompt_encoder.mask_downscaling.4", 16)
    decoder = {"iou_token.weight": (1, 256), "mask_tokens.weight": (4, 256)}
    for i in range(2):
        layer = f"transformer.layers.{i}"
        decoder |= attention(f"{layer}.self_attn", 256)
        decoder |= attention(f"{layer}.cross_attn_token_to_image", 128)
        decoder |= attention(f"{layer}.cross_attn_image_to_token", 128)
        decoder |= linear(f"{layer}.mlp.lin1", 256, 2048) | linear(f"{layer}.mlp.lin2", 2048, 256)
        for n in range(1, 5):
            decoder |= norm(f"{layer}.norm{n}", 256)
    decoder |= attention("transformer.final_attn_token_to_image", 128)
    decoder |= norm("transformer.norm_final_attn", 256) | norm("output_upscaling.1", 64)
    for i, (inputs, outputs) in ((0, (256, 64)), (3, (64, 32))):
        decoder |= {
            f"output_upscaling.{i}.weight": (inputs, outputs, 2, 2),
            f"output_upscaling.{i}.bias": (outputs,),
        }
    for head, last in (
        *((f"output_hypernetworks_mlps.{i}", 32) for i in range(4)),
        ("iou_prediction_head", 4),
    ):
        for i, outputs in enumerate((256, 256, last)):
            decoder |= linear(f"{head}.layers.{i}", 256, outputs)
    return found | {f"mask_decoder.{name}": shape for name, shape in decoder.items()}


def conv_norm(name, inputs, outputs):
    return {f"{name[0]}.weight": (outputs, inputs, 3, 3)} | norm(name[1], outputs)


def samus_extras(width=768):
    """What SAMUS adds to SAM's encoder."""
    found = {}
    for i, (inputs, outputs) in enumerate(((3, 64), (64, 128), (128, 256), (256, width))):
        at = "cnn_embed.inc.conv" if i == 0 else f"cnn_embed.downs.{i - 1}.maxpool_conv"
        first = 0 if i == 0 else 1
        found |= conv_norm((f"{at}.{first}", f"{at}.{first + 1}"), inputs, outputs)
    at = "post_pos_embed.downs.0.maxpool_conv"
    found |= conv_norm((f"{at}.1", f"{at}.2"), width, width)
    for at in ("input_Adapter", *(f"blocks.{i}.MLP_Adapter" for i in GLOBAL)):
        found |= linear(f"{at}.D_fc1", width, width // 4) | linear(f"{at}.D_fc2", width // 4, width)
    for i in GLOBAL:
        for part in ("q", "k", "v", "proj"):
            found |= linear(f"blocks.{i}.Space_Adapter.{part}", width, width)
        at = f"blocks.{i}.refine_Adapter.conv"
        found |= conv_norm((f"{at}.0", f"{at}.1"), width, width)
    return {f"image_encoder.{name}": shape for name, shape in found.items()}


def med2d_extras(width=768):
    """SAM-Med2D's adapters."""
    found = {}
    for i in range(12):
        at = f"image_encoder.blocks.{i}.Adapter"
        found |= norm(f"{at}.norm", width)
        found |= linear(f"{at}.channel.0", width, width // 4, bias=False)
        found |= linear(f"{at}.channel.2", width // 4, width, bias=False)
        found[f"{at}.spatial.0.weight"] = (width, width, 3, 3)
        found[f"{at}.spatial.2.weight"] = (width, width, 4, 4)
    return found


def conv_bn(name, inputs, outputs, kernel):
    batch = {f"{name}.bn.{part}": (outputs,) for part in ("weight", "bias", "running_mean", "running_var")}
    return {
        f"{name}.c.weight": (outputs, inputs, kernel, kernel),
        **batch,
        f"{name}.bn.num_batches_tracked": (),
    }


def tiny_vit():
    """MobileSAM's image encoder, the head of its classifier included."""
    widths, depths, heads, windows = (64, 128, 160, 320), (2, 2, 6, 2), (2, 4, 5, 10), (7, 7, 14, 7)
    found = conv_bn("patch_embed.seq.0", 3, 32, 3) | conv_bn("patch_embed.seq.2", 32, 64, 3)
    for stage, (width, depth) in enumerate(zip(widths, depths, strict=True)):
        for i in range(depth):
            at = f"layers.{stage}.blocks.{i}"
            if stage == 0:
                found |= conv_bn(f"{at}.conv1", width, 4 * width, 1) | conv_bn(f"{at}.conv2", 1, 4 * width, 3)
                found |= conv_bn(f"{at}.conv3", 4 * width, width, 1)
                continue
            found[f"{at}.attn.attention_biases"] = (heads[stage], windows[stage] ** 2)
            found |= norm(f"{at}.attn.norm", width) | norm(f"{at}.mlp.norm", width)
            found |= linear(f"{at}.attn.qkv", width, 3 * width) | linear(f"{at}.attn.proj", width, width)
            found |= linear(f"{at}.mlp.fc1", width, 4 * width) | linear(f"{at}.mlp.fc2", 4 * width, width)
            found |= conv_bn(f"{at}.local_conv", 1, width, 3)
        if stage < 3:
            at, out = f"layers.{stage}.downsample", widths[stage + 1]
            found |= conv_bn(f"{at}.conv1", width, out, 1) | conv_bn(f"{at}.conv2", 1, out, 3)
            found |= conv_bn(f"{at}.conv3", out, out, 1)
    found |= norm("norm_head", 320) | linear("head", 320, 1000) | neck("neck", 320)
    return {f"image_encoder.{name}": shape for name, shape in found.items()}


def layouts():
    """Each model's published checkpoint, whole."""
    at_256 = vit(grid=16, table=16)
    return {
        "sam_b": vit() | prompts(),
        "samus": vit(grid=32) | samus_extras() | prompts(),
        "sam_med2d": at_256 | med2d_extras() | prompts(),
        "mobile_sam": tiny_vit() | prompts(),
    }


def filled(shapes, seed=0):
    """Random numbers in these shapes, of a size that keeps activations moderate."""
    chance = torch.Generator().manual_seed(seed)
    tensors = {}
    for name, shape in shapes.items():
        if name.endswith("num_batches_tracked"):
            tensors[name] = torch.tensor(7)
        elif name.endswith("running_var"):
            tensors[name] = torch.rand(shape, generator=chance) + 0.5
        else:
            fan = max(1, torch.Size(shape[1:]).numel()) if len(shape) > 1 else 4
            tensors[name] = torch.randn(shape, generator=chance) * fan**-0.5
    return tensors
