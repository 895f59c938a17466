"""AutoSAMUS' auto-prompt generator (APG, MICCAI 2024, arXiv 2309.06824): a network that needs no prompts.

Learned object tokens read the decoder's output tokens, then the picture, and the picture reads them. Out
come a sparse prompt, a new image embedding and, by four convolutions, a dense prompt for the frozen
decoder. 8,861,312 parameters, the same on SAM and SAM2; one generator a task, on a base that tasks share.

The released code learns 50 object tokens and gives the decoder one, and computes refined output tokens
that it throws away, with whatever only they depend on. Here all are used unless the settings say
otherwise. All ends start at zero: before training the decoder sees the base's own embedding, output tokens
and "no mask", with the untrained object tokens as its prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import partial
from typing import Literal, Self

import torch
from torch import Tensor, nn

from uniultra.adapters.cross_branch import ConvNorm, zero
from uniultra.adapters.cross_transformer import CrossTransformer, Side
from uniultra.adapters.registry import AdapterKind
from uniultra.networks.network import WIDTH, Embedding, PromptFreeNetwork, PromptNetwork

HIDDEN = 64  # channels inside the dense-prompt adapter
ENCODER = ".base.image_encoder."


@dataclass(frozen=True)
class APGConfig:
    """Settings of the auto-prompt generator.

    Attributes:
        object_tokens: how many are learned.
        sparse: which of them become the sparse prompt; released: `first`.
        refine_output_tokens: give the decoder the refined output tokens; released: the base's own.
        unfreeze_encoder: train the base's image encoder too, at `encoder_rate` times the learning rate,
            as the paper says; released: the generator only. The base can then serve no other task.
        encoder_rate: that factor.
        folded: only what depends on the picture, for use; see `fold`. It cannot be trained further.
    """

    object_tokens: int = 50
    sparse: Literal["all", "first"] = "all"
    refine_output_tokens: bool = True
    unfreeze_encoder: bool = False
    encoder_rate: float = 0.1
    folded: bool = False


class PromptGenerator(nn.Module):
    """Object tokens that meet the decoder's output tokens, then the picture: 8,491,776 parameters.

    Args:
        config: settings; folded, it holds what the first meeting gives, and 4,220,928 parameters.
        count: T, output tokens of the decoder.
    """

    def __init__(self, config: APGConfig, count: int) -> None:
        super().__init__()
        self.config = config
        self.object_tokens = nn.Parameter(torch.randn(1, config.object_tokens, WIDTH))
        self.image = CrossTransformer(WIDTH)
        if config.folded:
            self.output_tokens = nn.Parameter(torch.zeros(1, count, WIDTH))
        else:
            self.tokens = CrossTransformer(WIDTH)
            self.shared = nn.Linear(WIDTH, WIDTH)
            zero(self.shared)
        for side in self.image.first:
            if isinstance(side, Side):
                side.start_at_zero()

    def forward(self, image: Tensor, output_tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read a picture.

        Args:
            image: `(B,256,g,g)`.
            output_tokens: the decoder's own, `(1,T,256)`.

        Returns:
            New embedding `(B,256,g,g)`, sparse prompt `(B,K,256)` and output tokens `(1,T,256)`.
        """
        objects, output_tokens = self.met(output_tokens)
        tokens = torch.cat([objects, output_tokens], dim=1).expand(image.shape[0], -1, -1)
        pixels, tokens = self.image(image.flatten(2).transpose(1, 2), tokens)
        count = self.config.object_tokens if self.config.sparse == "all" else 1
        return pixels.transpose(1, 2).view(image.shape), tokens[:, :count], output_tokens

    def met(self, output_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Object tokens `(1,K,256)` and output tokens `(1,T,256)` after they read each other.

        Nothing here depends on the picture.
        """
        if self.config.folded:
            return self.object_tokens, self.output_tokens
        objects, refined = self.tokens(self.object_tokens, output_tokens)
        objects = self.object_tokens + self.shared(objects)
        if self.config.refine_output_tokens:
            output_tokens = output_tokens + self.shared(refined)
        return objects, output_tokens


class APG(nn.Module):
    """The generator and the dense-prompt adapter (369,536 parameters)."""

    def __init__(self, config: APGConfig, count: int) -> None:
        super().__init__()
        self.generator = PromptGenerator(config, count)
        last = ConvNorm(HIDDEN, WIDTH)
        last.start_at_zero()
        self.dense = nn.Sequential(
            ConvNorm(WIDTH, HIDDEN), ConvNorm(HIDDEN, HIDDEN), ConvNorm(HIDDEN, HIDDEN), last
        )

    def forward(self, image: Tensor, output_tokens: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """New embedding, sparse prompt, dense prompt `(B,256,g,g)`, output tokens; see `PromptGenerator`."""
        image, sparse, output_tokens = self.generator(image, output_tokens)
        return image, sparse, self.dense(image), output_tokens


class AutoNetwork(PromptFreeNetwork):
    """A frozen base network with a generator of its prompts; several may hold one base.

    Args:
        base: stays as it is, in eval mode and without gradients (but see `APGConfig.unfreeze_encoder`).
        config: settings of the generator.
    """

    def __init__(self, base: PromptNetwork, config: APGConfig) -> None:
        super().__init__(base.image_size, base.grid, base.map_channels)
        self.config = config
        self.base = base
        base.requires_grad_(False)
        base.image_encoder.requires_grad_(config.unfreeze_encoder)
        with torch.device(base.sam_prompt_encoder.no_mask_embed.weight.device):
            self.apg = APG(config, output_tokens(base.sam_mask_decoder).shape[1])
        self.train(self.training)

    @property
    def image_encoder(self) -> nn.Module:  # type: ignore[override]
        return self.base.image_encoder

    @property
    def sam_prompt_encoder(self) -> nn.Module:  # type: ignore[override]
        return self.base.sam_prompt_encoder

    @property
    def sam_mask_decoder(self) -> nn.Module:  # type: ignore[override]
        return self.base.sam_mask_decoder

    @property
    def rates(self) -> dict[str, float]:
        """Factors of the learning rate, by fragments of the names of what is trained."""
        return {ENCODER: self.config.encoder_rate} if self.config.unfreeze_encoder else {}

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.base.eval()
        if self.config.unfreeze_encoder:
            self.base.image_encoder.train(mode)
        return self

    def encode(self, pictures: Tensor) -> Embedding:
        """The base's embedding, so that all tasks of a base share it."""
        return self.base.encode(pictures)

    def segment(self, embedding: Embedding, multimask: bool) -> tuple[Tensor, Tensor]:
        """Logits `(B,M,4g,4g)` and predicted IoU `(B,M)`; M = 3 with `multimask`, else 1."""
        decoder, encoder = self.base.sam_mask_decoder, self.base.sam_prompt_encoder
        image, sparse, added, tokens = self.apg(embedding.image, output_tokens(decoder))
        with replaced_tokens(decoder, tokens):
            logits, iou, _, _ = decoder(
                image_embeddings=image,
                image_pe=encoder.get_dense_pe(),
                sparse_prompt_embeddings=sparse,
                dense_prompt_embeddings=encoder.no_mask_embed.weight.view(1, -1, 1, 1) + added,
                multimask_output=multimask,
                repeat_image=False,
                high_res_features=list(embedding.high) or None,
            )
        return logits, iou


def output_tokens(decoder: nn.Module) -> Tensor:
    """The decoder's own output tokens in its order, `(1,T,256)`: object score (only SAM2), IoU, masks."""
    known = dict(decoder.named_parameters())
    names = ("obj_score_token.weight", "iou_token.weight", "mask_tokens.weight")
    return torch.cat([known[name] for name in names if name in known])[None]


@contextmanager
def replaced_tokens(decoder: nn.Module, tokens: Tensor) -> Iterator[None]:
    """Let the decoder work with other output tokens `(1,T,256)` than its own, for the time of a `with`.

    Tasks share the decoder, so one of them decodes at a time (the predictor's device lock sees to it).
    """
    # The decoder takes them from its weights; its transformer is the first to see them.
    hook = partial(_put_tokens, tokens)
    handle = decoder.get_submodule("transformer").register_forward_pre_hook(hook)
    try:
        yield
    finally:
        handle.remove()


def _put_tokens(own: Tensor, _module: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
    image, position, tokens = inputs
    own = own.to(tokens.dtype).expand(tokens.shape[0], -1, -1)
    return image, position, torch.cat([own, tokens[:, own.shape[1] :]], dim=1)


def inject(network: PromptNetwork, config: APGConfig | None = None) -> AutoNetwork:
    """Freeze `network` and return one around it that needs no prompts.

    State-dict names are `base.*` and `apg.*`.
    """
    return AutoNetwork(network, config or APGConfig())


@torch.no_grad()
def fold(network: AutoNetwork) -> AutoNetwork:
    """The same network, on the same base, with the generator's constant half computed once and for all.

    It answers alike and keeps 4,590,464 of 8,861,312 parameters, which halves the file of a task.
    """
    folded = AutoNetwork(network.base, replace(network.config, folded=True))
    known = network.apg.state_dict()
    known = {name: value for name, value in known.items() if name in folded.apg.state_dict()}
    own = output_tokens(network.sam_mask_decoder)
    objects, tokens = network.apg.generator.met(own)
    known["generator.object_tokens"], known["generator.output_tokens"] = objects, tokens
    folded.apg.load_state_dict(known)
    return folded.train(network.training)


KIND = AdapterKind("apg", APGConfig, inject, "apg", (".apg.",))
