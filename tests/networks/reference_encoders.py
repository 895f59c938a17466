"""The published encoders written down plainly, on tensors by their published names.

Slow and direct on purpose: what a mapping means is judged against these formulas, not against the code
that the mapping feeds.
"""

from __future__ import annotations

import torch
from official_layouts import GLOBAL
from torch.nn import functional as F


class Weights:
    """`w(x, "name")` applies the linear layer `name`; `w["name"]` is a tensor."""

    def __init__(self, tensors, prefix="image_encoder."):
        self.tensors, self.prefix = tensors, prefix

    def __getitem__(self, name):
        return self.tensors[self.prefix + name]

    def get(self, name):
        return self.tensors.get(self.prefix + name)

    def __call__(self, x, name):
        return F.linear(x, self[f"{name}.weight"], self.get(f"{name}.bias"))

    def norm(self, x, name, eps):
        return F.layer_norm(x, x.shape[-1:], self[f"{name}.weight"], self[f"{name}.bias"], eps)

    def norm2d(self, x, name):
        return self.norm(x.permute(0, 2, 3, 1), name, 1e-6).permute(0, 3, 1, 2)

    def conv(self, x, name, **how):
        return F.conv2d(x, self[f"{name}.weight"], self.get(f"{name}.bias"), **how)

    def neck(self, x):
        x = self.norm2d(self.conv(x, "neck.0"), "neck.1")
        return self.norm2d(self.conv(x, "neck.2", padding=1), "neck.3")


def windows(x, side):
    """`(B,H,W,C)` in windows `(B',side,side,C)`, padded below and to the right; and the way back."""
    batch, height, width, channels = x.shape
    rows, columns = -(-height // side), -(-width // side)
    padded = F.pad(x, (0, 0, 0, columns * side - width, 0, rows * side - height))
    cut = padded.view(batch, rows, side, columns, side, channels).transpose(2, 3)

    def back(y):
        whole = y.view(batch, rows, columns, side, side, channels).transpose(2, 3)
        return whole.reshape(batch, rows * side, columns * side, channels)[:, :height, :width]

    return cut.reshape(-1, side, side, channels), back


def sam_attention(w, at, x, heads):
    """Attention over a grid `(B,H,W,C)` with a decomposed relative position for every pair of tokens."""
    batch, height, width, channels = x.shape
    size = channels // heads
    q, k, v = w(x, f"{at}.qkv").view(batch, height * width, 3, heads, size).permute(2, 0, 3, 1, 4)
    y, x_ = (torch.arange(height * width) // width), (torch.arange(height * width) % width)
    scores = q @ k.transpose(-2, -1) * size**-0.5
    scores += torch.einsum("bhqc,qkc->bhqk", q, w[f"{at}.rel_pos_h"][y[:, None] - y[None] + height - 1])
    scores += torch.einsum("bhqc,qkc->bhqk", q, w[f"{at}.rel_pos_w"][x_[:, None] - x_[None] + width - 1])
    answer = (scores.softmax(-1) @ v).transpose(1, 2).reshape(batch, height, width, channels)
    return w(answer, f"{at}.proj")


def sam_block(w, i, x, heads, window, before=lambda u: u, beside=lambda z: 0.0):
    """One block; `before` changes the tokens that attention sees, `beside` stands beside the MLP."""
    at = f"blocks.{i}"
    u = before(w.norm(x, f"{at}.norm1", 1e-6))
    if i in GLOBAL:
        x = x + sam_attention(w, f"{at}.attn", u, heads)
    else:
        cut, back = windows(u, window)
        x = x + back(sam_attention(w, f"{at}.attn", cut, heads))
    z = w.norm(x, f"{at}.norm2", 1e-6)
    return x + w(F.gelu(w(z, f"{at}.mlp.lin1")), f"{at}.mlp.lin2") + beside(z)


def sam(tensors, pictures, heads, window):
    w = Weights(tensors)
    x = w.conv(pictures, "patch_embed.proj", stride=16).permute(0, 2, 3, 1) + w["pos_embed"]
    for i in range(12):
        x = sam_block(w, i, x, heads, window)
    return w.neck(x.permute(0, 3, 1, 2))


def sam_med2d(tensors, pictures, heads, window):
    w = Weights(tensors)

    def adapter(i, z):
        at = f"blocks.{i}.Adapter"
        gate = torch.sigmoid(w(F.relu(w(z.mean((1, 2)), f"{at}.channel.0")), f"{at}.channel.2"))
        y = z.permute(0, 3, 1, 2)
        y = F.relu(w.conv(y * gate[:, :, None, None], f"{at}.spatial.0", stride=2, padding=1))
        y = F.relu(F.conv_transpose2d(y, w[f"{at}.spatial.2.weight"], stride=2, padding=1))
        return w.norm(z + y.permute(0, 2, 3, 1), f"{at}.norm", 1e-5)

    x = w.conv(pictures, "patch_embed.proj", stride=16).permute(0, 2, 3, 1) + w["pos_embed"]
    for i in range(12):
        x = sam_block(w, i, x, heads, window, beside=lambda z, i=i: adapter(i, z))
    return w.neck(x.permute(0, 3, 1, 2))


def samus(tensors, pictures, heads, window):
    w = Weights(tensors)

    def conv_norm(x, conv, norm):
        return F.gelu(w.norm2d(w.conv(x, conv, padding=1), norm))

    def bottleneck(x, at):
        return w(F.gelu(w(x, f"{at}.D_fc1")), f"{at}.D_fc2")

    def cross(u, c, at):
        def split(t):
            return t.flatten(1, 2).unflatten(-1, (heads, -1)).transpose(1, 2)

        q, k, v = split(w(u, f"{at}.q")), split(w(c, f"{at}.k")), split(w(c, f"{at}.v"))
        answer = (q @ k.transpose(-2, -1) * q.shape[-1] ** -0.5).softmax(-1) @ v
        return w(answer.transpose(1, 2).flatten(2), f"{at}.proj").view(u.shape)

    c = conv_norm(pictures, "cnn_embed.inc.conv.0", "cnn_embed.inc.conv.1")
    for i in range(3):
        at = f"cnn_embed.downs.{i}.maxpool_conv"
        c = conv_norm(F.max_pool2d(c, 2), f"{at}.1", f"{at}.2")
    c = c.permute(0, 2, 3, 1)
    side = pictures.shape[-1] + 8
    x = w.conv(F.interpolate(pictures, (side, side), mode="bilinear"), "patch_embed.proj", stride=8)
    x = x.permute(0, 2, 3, 1)
    x = x + bottleneck(x, "input_Adapter")
    pooled = F.max_pool2d(w["pos_embed"].permute(0, 3, 1, 2), 64 // x.shape[1])
    at = "post_pos_embed.downs.0.maxpool_conv"
    x = x + conv_norm(pooled, f"{at}.1", f"{at}.2").permute(0, 2, 3, 1)
    for i in range(12):
        if i not in GLOBAL:
            x = sam_block(w, i, x, heads, window)
            continue
        at, now = f"blocks.{i}", c
        c = conv_norm(c.permute(0, 3, 1, 2), f"{at}.refine_Adapter.conv.0", f"{at}.refine_Adapter.conv.1")
        c = c.permute(0, 2, 3, 1)
        x = sam_block(
            w,
            i,
            x,
            heads,
            window,
            before=lambda u, now=now, at=at: u + cross(u, now, f"{at}.Space_Adapter"),
            beside=lambda z, at=at: 0.5 * bottleneck(z, f"{at}.MLP_Adapter"),
        )
    return w.neck((x + 0.5 * c).permute(0, 3, 1, 2))


def mobile_sam(tensors, pictures):
    w = Weights(tensors)

    def conv(x, at, **how):
        y = F.conv2d(x, w[f"{at}.c.weight"], **how)
        numbers = (w[f"{at}.bn.{part}"] for part in ("running_mean", "running_var", "weight", "bias"))
        return F.batch_norm(y, *numbers, eps=1e-5)

    def attention(x, at, heads, side):
        """`(B,side,side,C)`; queries, keys and values of one head lie together in qkv."""
        z = w.norm(x.flatten(1, 2), f"{at}.norm", 1e-5)
        size = z.shape[-1] // heads
        q, k, v = w(z, f"{at}.qkv").unflatten(-1, (heads, 3 * size)).transpose(1, 2).split(size, -1)
        y, x_ = torch.arange(side * side) // side, torch.arange(side * side) % side
        # One bias for every distance, numbered in the order in which the first token meets them.
        place = (y[:, None] - y[None]).abs() * side + (x_[:, None] - x_[None]).abs()
        scores = q @ k.transpose(-2, -1) * size**-0.5 + w[f"{at}.attention_biases"][:, place]
        return w((scores.softmax(-1) @ v).transpose(1, 2).flatten(2), f"{at}.proj").view(x.shape)

    x = F.gelu(conv(pictures, "patch_embed.seq.0", stride=2, padding=1))
    x = conv(x, "patch_embed.seq.2", stride=2, padding=1)
    for stage, (depth, heads, side) in enumerate(((2, 0, 0), (2, 4, 7), (6, 5, 14), (2, 10, 7))):
        for i in range(depth):
            at, channels = f"layers.{stage}.blocks.{i}", x.shape[1]
            if stage == 0:
                y = F.gelu(conv(x, f"{at}.conv1"))
                y = F.gelu(conv(y, f"{at}.conv2", padding=1, groups=y.shape[1]))
                x = F.gelu(x + conv(y, f"{at}.conv3"))
                continue
            cut, back = windows(x.permute(0, 2, 3, 1), side)
            x = x + back(attention(cut, f"{at}.attn", heads, side)).permute(0, 3, 1, 2)
            x = conv(x, f"{at}.local_conv", padding=1, groups=channels).permute(0, 2, 3, 1)
            z = w.norm(x, f"{at}.mlp.norm", 1e-5)
            x = (x + w(F.gelu(w(z, f"{at}.mlp.fc1")), f"{at}.mlp.fc2")).permute(0, 3, 1, 2)
        if stage < 3:
            at = f"layers.{stage}.downsample"
            x = F.gelu(conv(x, f"{at}.conv1"))
            x = F.gelu(conv(x, f"{at}.conv2", stride=1 if stage == 2 else 2, padding=1, groups=x.shape[1]))
            x = conv(x, f"{at}.conv3")
    return w.neck(x)
