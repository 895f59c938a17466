"""AutoSAMUS' auto-prompt generator (APG, MICCAI 2024, arXiv 2309.06824): a fully automatic network.

Learned object tokens and the decoder's output tokens attend to each other, then to the image, and the image
to them. The result is a sparse prompt, a new image embedding and, by four convolutions, a dense prompt for
the frozen decoder. 8,861,312 parameters, the same on SAM and SAM2; one generator per task, on a shared base.

The released code learns 50 object tokens, of which the decoder gets one, and computes refined output tokens
which it discards, with everything that only they depend on. Here all are used unless the settings say
otherwise. All output layers start at zero: before training the decoder gets the base's own embedding, output
tokens and "no mask", with the untrained object tokens as its prompt.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, Self

import torch
from torch import Tensor, nn

from uniultra.adapters.cross_branch import ConvNorm, zero
from uniultra.adapters.cross_transformer import CrossTransformer, OneWayLayer
from uniultra.adapters.registry import AdapterKind
from uniultra.networks.network import WIDTH, Embedding, PromptFreeNetwork, PromptNetwork

HIDDEN = 64  # channels inside the dense-prompt adapter
ENCODER = ".base.image_encoder."


@dataclass(frozen=True)
class APGConfig:
    """Settings of the auto-prompt generator.

    Attributes:
        object_tokens: number of learned object tokens; default 50, as released.
        sparse: which of them become the sparse prompt; default `all`, released code: `first`.
        refine_output_tokens: the decoder gets the refined output tokens; default True, released code:
            False, the base's own.
        unfreeze_encoder: also train the base's image encoder, at `encoder_rate` times the learning rate,
            as in the paper; default False, as released. Other tasks can then not share the base.
        encoder_rate: that factor; default 0.1.
        folded: keep only the parameters that depend on the image, for inference; see `fold`. A folded
            generator cannot be trained further.
    """

    object_tokens: int = 50
    sparse: Literal["all", "first"] = "all"
    refine_output_tokens: bool = True
    unfreeze_encoder: bool = False
    encoder_rate: float = 0.1
    folded: bool = False


class PromptGenerator(nn.Module):
    """Object tokens that attend to the decoder's output tokens, then to the image: 8,491,776 parameters.

    Args:
        config: settings; if folded, the result of the first step is stored instead: 4,220,928 parameters.
        count: T, number of output tokens of the decoder.
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
        for layer in self.image.first:
            if isinstance(layer, OneWayLayer):
                layer.start_at_zero()

    def forward(self, image: Tensor, output_tokens: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Generate the prompts of a batch of images.

        Args:
            image: embeddings `(B,256,g,g)`.
            output_tokens: the decoder's own, `(1,T,256)`.

        Returns:
            New embedding `(B,256,g,g)`, sparse prompt `(B,K,256)` and output tokens `(1,T,256)`.
        """
        objects, output_tokens = self.constant_tokens(output_tokens)
        tokens = torch.cat([objects, output_tokens], dim=1).expand(image.shape[0], -1, -1)
        pixels, tokens = self.image(image.flatten(2).transpose(1, 2), tokens)
        count = self.config.object_tokens if self.config.sparse == "all" else 1
        return pixels.transpose(1, 2).view(image.shape), tokens[:, :count], output_tokens

    def constant_tokens(self, output_tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Object tokens `(1,K,256)` and output tokens `(1,T,256)` after they attended to each other.

        They do not depend on the image.
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
    """A frozen base network with an automatic prompt generator; several may share one base.

    Args:
        base: kept in eval mode and without gradients (but see `APGConfig.unfreeze_encoder`).
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
        """Learning rate factors by fragment of the parameter names."""
        return {ENCODER: self.config.encoder_rate} if self.config.unfreeze_encoder else {}

    def train(self, mode: bool = True) -> Self:
        super().train(mode)
        self.base.eval()
        if self.config.unfreeze_encoder:
            self.base.image_encoder.train(mode)
        return self

    def encode(self, pictures: Tensor) -> Embedding:
        """The base's embedding, which all tasks on that base share."""
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
    parameters = dict(decoder.named_parameters())
    names = ("obj_score_token.weight", "iou_token.weight", "mask_tokens.weight")
    return torch.cat([parameters[name] for name in names if name in parameters])[None]


@contextmanager
def replaced_tokens(decoder: nn.Module, tokens: Tensor) -> Iterator[None]:
    """Context manager: the decoder uses these output tokens `(1,T,256)` instead of its own.

    The hook is on a decoder that all tasks of a base share, so only one of them may decode at a time; the
    predictor's device lock guarantees that.
    """

    def replace_tokens(_transformer: nn.Module, inputs: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        image, position, prompts = inputs
        ours = tokens.to(prompts.dtype).expand(prompts.shape[0], -1, -1)
        return image, position, torch.cat([ours, prompts[:, ours.shape[1] :]], dim=1)

    # The decoder reads its tokens from its weights; the first module that gets them is its transformer.
    handle = decoder.get_submodule("transformer").register_forward_pre_hook(replace_tokens)
    try:
        yield
    finally:
        handle.remove()


def inject(network: PromptNetwork, config: APGConfig | None = None) -> AutoNetwork:
    """Freeze `network` and wrap it into a fully automatic network.

    Names in the state dict are `base.*` and `apg.*`.
    """
    return AutoNetwork(network, config or APGConfig())


@torch.no_grad()
def fold(network: AutoNetwork) -> AutoNetwork:
    """The same network on the same base, with the image-independent half of the generator precomputed.

    Predictions are equal up to rounding. 4,590,464 of 8,861,312 parameters remain: half the file of a task.
    """
    folded = AutoNetwork(network.base, replace(network.config, folded=True))
    used = folded.apg.state_dict().keys()
    state = {name: value for name, value in network.apg.state_dict().items() if name in used}
    objects, tokens = network.apg.generator.constant_tokens(output_tokens(network.sam_mask_decoder))
    state["generator.object_tokens"], state["generator.output_tokens"] = objects, tokens
    folded.apg.load_state_dict(state)
    return folded.train(network.training)


KIND = AdapterKind("apg", APGConfig, inject, "apg", (".apg.",))
