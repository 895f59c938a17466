"""Base classes of all networks: encode an image once, decode any number of prompt sets on its embedding."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from uniultra.errors import ModelError
from uniultra.prompts import raster

WIDTH = 256  # channels of every embedding, in SAM and SAM2 alike
# Logit magnitude of a binary mask prompt, for networks whose mask input is previous low-resolution logits.
MASK_LOGIT = 10.0


class Embedding(NamedTuple):
    """Image embeddings of a batch of B pictures.

    Attributes:
        image: `(B,256,g,g)`.
        high: high-resolution features `(B,32,4g,4g)` and `(B,64,2g,2g)` for SAM2's decoder; empty for SAM's.
    """

    image: Tensor
    high: tuple[Tensor, ...] = ()

    @property
    def bytes(self) -> int:
        return sum(t.numel() * t.element_size() for t in (self.image, *self.high))

    def repeat(self, index: Tensor) -> Embedding:
        """A batch of N embeddings, the n-th being that of picture `index[n]`; `index` is `(N,)`."""
        return Embedding(
            self.image.index_select(0, index), tuple(t.index_select(0, index) for t in self.high)
        )


class PromptNetwork(nn.Module):
    """An image encoder with SAM's prompt encoder and mask decoder.

    A subclass implements `encode`. Module names are those of the official SAM2 checkpoints, for SAM's
    networks too.

    Args:
        image_encoder: maps pictures to features.
        image_size: side S of the square input in pixels.
        grid: side g of the embedding in tokens.
        map_channels: input channels of the dense prompt path: 1 (default) for official weights, which
            take previous logits; `uniultra.prompts.raster.CHANNELS` for ours, which take drawn prompts.
        sam2: True for SAM2's decoder (high-resolution features, object score), False for SAM's.

    Example:
        >>> import torch
        >>> from uniultra.models import build
        >>> network = build("uniultra_mini", image_size=64).eval()
        >>> with torch.no_grad():
        ...     embedding = network.encode(torch.zeros(1, 3, 64, 64))
        ...     coords, labels = torch.full((5, 2, 2), 32.0), torch.ones(5, 2)  # 5 objects of 2 clicks each
        ...     logits, iou = network.decode(embedding, coords, labels)
        >>> embedding.image.shape, [tuple(level.shape) for level in embedding.high]
        (torch.Size([1, 256, 4, 4]), [(1, 32, 16, 16), (1, 64, 8, 8)])
        >>> logits.shape, iou.shape
        (torch.Size([5, 1, 16, 16]), torch.Size([5, 1]))
    """

    def __init__(
        self, image_encoder: nn.Module, image_size: int, grid: int, map_channels: int = 1, *, sam2: bool
    ) -> None:
        super().__init__()
        from sam2.modeling.sam.mask_decoder import MaskDecoder
        from sam2.modeling.sam.prompt_encoder import PromptEncoder
        from sam2.modeling.sam.transformer import TwoWayTransformer

        self.image_size = image_size
        self.grid = grid
        self.map_channels = map_channels
        self.image_encoder = image_encoder
        self.sam_prompt_encoder = PromptEncoder(
            embed_dim=WIDTH,
            image_embedding_size=(grid, grid),
            input_image_size=(image_size, image_size),
            mask_in_chans=16,
        )
        if map_channels != 1:
            self.sam_prompt_encoder.mask_downscaling[0] = nn.Conv2d(map_channels, 4, 2, stride=2)
        self.sam_mask_decoder = MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(depth=2, embedding_dim=WIDTH, mlp_dim=2048, num_heads=8),
            transformer_dim=WIDTH,
            use_high_res_features=sam2,
            iou_prediction_use_sigmoid=sam2,
            pred_obj_scores=sam2,
            pred_obj_scores_mlp=sam2,
            use_multimask_token_for_obj_ptr=sam2,
        )

    @property
    def mask_side(self) -> int:
        """Side of the logits and of the dense input."""
        return 4 * self.grid

    def encode(self, pictures: Tensor) -> Embedding:
        """Encode normalised pictures `(B,3,S,S)`."""
        raise NotImplementedError

    def decode(
        self,
        embedding: Embedding,
        coords: Tensor,
        labels: Tensor,
        dense: Tensor | None = None,
        multimask: bool = False,
    ) -> tuple[Tensor, Tensor]:
        """Decode N prompt sets, one per picture of `embedding`, or all on its only picture.

        Args:
            embedding: of N pictures, or of a single one.
            coords: `(N,P,2)` in `model_xy` pixels of the input square.
            labels: `(N,P)`: 1 positive, 0 negative, 2 and 3 box corners, -1 padding.
            dense: `(N,map_channels,h,h)` or None. With one channel it holds previous logits; a map of
                zeros means no previous mask.
            multimask: predict three masks for an ambiguous prompt instead of a single one.

        Returns:
            Logits `(N,M,4g,4g)` and predicted IoU `(N,M)`, M = 3 or 1.
        """
        logits, iou, _, _ = self.sam_mask_decoder(
            **self._inputs(embedding, coords, labels, dense), multimask_output=multimask
        )
        return logits, iou

    def decode_all(
        self, embedding: Embedding, coords: Tensor, labels: Tensor, dense: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Decode all four masks that `decode` chooses from, at the same cost.

        Returns:
            Logits `(N,4,4g,4g)` and predicted IoU `(N,4)`: first the single mask, then the three.
        """
        inputs = self._inputs(embedding, coords, labels, dense)
        logits, iou, *_ = self.sam_mask_decoder.predict_masks(**inputs)
        return logits, iou

    def _inputs(
        self, embedding: Embedding, coords: Tensor, labels: Tensor, dense: Tensor | None
    ) -> dict[str, Any]:
        """Keyword arguments of SAM's mask decoder."""
        # Not PromptEncoder.forward, which would append one more padding point.
        encoder = self.sam_prompt_encoder
        return {
            "image_embeddings": embedding.image,
            "image_pe": encoder.get_dense_pe(),
            "sparse_prompt_embeddings": encoder._embed_points(coords, labels.to(coords.dtype), pad=False),
            "dense_prompt_embeddings": self._dense(dense, coords.shape[0]),
            "repeat_image": embedding.image.shape[0] != coords.shape[0],
            "high_res_features": list(embedding.high) or None,
        }

    def _dense(self, dense: Tensor | None, count: int) -> Tensor:
        """The dense prompt embedding `(N,256,g,g)`."""
        encoder = self.sam_prompt_encoder
        no_mask = encoder.no_mask_embed.weight.view(1, -1, 1, 1).expand(count, -1, self.grid, self.grid)
        if dense is None:
            return no_mask
        if dense.shape[-1] != self.mask_side:
            dense = F.interpolate(dense, (self.mask_side, self.mask_side), mode="bilinear")
        encoded = encoder.mask_downscaling(dense)
        if self.map_channels != 1:
            return encoded
        has_mask = (dense != 0).flatten(1).any(1)
        return torch.where(has_mask.view(-1, 1, 1, 1), encoded, no_mask.to(encoded.dtype))


def check_side(image_size: int) -> None:
    """Check that Hiera's windows and TinyViT's grid tile an input of side `image_size`.

    Raises:
        ModelError: not a positive multiple of 32.
    """
    if image_size <= 0 or image_size % 32:
        raise ModelError(f"The input side must be a positive multiple of 32; got {image_size}.")


class PromptFreeNetwork(PromptNetwork):
    """Base of fully automatic networks: `decode` accepts prompts, as in every network, and ignores them.

    A subclass has its own modules instead of SAM's and implements `encode` and `segment`.

    Args:
        image_size: side S of the square input in pixels.
        grid: side g of the embedding in tokens.
        map_channels: that of the promptable network inside, if any, see `PromptNetwork`; default 1.
    """

    def __init__(self, image_size: int, grid: int, map_channels: int = 1) -> None:
        nn.Module.__init__(self)  # not PromptNetwork's, which builds SAM's modules
        self.image_size, self.grid, self.map_channels = image_size, grid, map_channels

    def segment(self, embedding: Embedding, multimask: bool) -> tuple[Tensor, Tensor]:
        """Segment each picture: logits `(B,M,h,h)` and predicted IoU `(B,M)`, see `decode`."""
        raise NotImplementedError

    def decode(
        self,
        embedding: Embedding,
        coords: Tensor | None = None,
        labels: Tensor | None = None,
        dense: Tensor | None = None,
        multimask: bool = False,
    ) -> tuple[Tensor, Tensor]:
        return self.segment(embedding, multimask)


def decode_by_length(
    network: PromptNetwork,
    embedding: Embedding,
    picture: Tensor,
    encoded: Sequence[raster.Encoded],
    *,
    every: bool = False,
) -> tuple[Tensor, Tensor]:
    """Decode N prompt sets, the n-th on picture `picture[n]` of `embedding`; `picture` is `(N,)`.

    SAM's decoder attends to padding tokens too, so only sets with equally many tokens are decoded together.
    A result therefore depends neither on the other prompt sets of the call or the batch nor on how a batch
    is split over processes. Training and prediction both decode here.

    Returns:
        Logits `(N,M,h,h)` and predicted IoU `(N,M)`: M = 1, or with `every` the 4 masks of `decode_all`.
    """
    logits, iou, order = [], [], []
    decode = network.decode_all if every else network.decode
    for length in sorted({len(prompts.labels) for prompts in encoded}):
        members = [n for n, prompts in enumerate(encoded) if len(prompts.labels) == length]
        coords, labels, drawn = raster.batch([encoded[n] for n in members], picture.device)
        dense = MASK_LOGIT * drawn[:, :1] if network.map_channels == 1 else drawn
        answer = decode(embedding.repeat(picture[members]), coords, labels, dense)
        logits.append(answer[0])
        iou.append(answer[1])
        order += members
    original_order = torch.tensor(order, device=picture.device).argsort()
    return torch.cat(logits)[original_order], torch.cat(iou)[original_order]
