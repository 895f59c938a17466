"""Masks for prompts on the planes of images, from one model on one device."""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from uniultra.errors import PromptError
from uniultra.images.types import FrameSource, Picture, Plane
from uniultra.models.network import Embedding, PromptNetwork
from uniultra.models.registry import ModelEntry, entry
from uniultra.predict.cache import EmbeddingCache, Key
from uniultra.predict.device import choose_device, worker
from uniultra.predict.loaded import Loaded, load
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import Encoded, batch, encode
from uniultra.prompts.types import Point, PromptSet

CACHE_BYTES = 512 << 20
MASK_LOGIT = 10.0  # how sure a network that takes previous logits is told to be of a given mask


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer to one prompt set.

    Attributes:
        mask: `(H,W)` bool, pixels of the plane's picture.
        score: predicted IoU, 0..1.
        model: name in the registry.
        adapter: id of the adapter bundle that answered, None for the shipped weights.
        timings: seconds of `queue`, `read`, `encode`, `decode`, `total`; `cached` is 1 when the
            embedding was there already, else 0.
    """

    mask: NDArray[np.bool_]
    score: float
    model: str
    adapter: str | None
    timings: dict[str, float]


class Predictor:
    """Answers prompts on any number of images for any number of users at once.

    Nothing is loaded before the first use. Calls may come from any thread: pictures are read on the
    caller's thread, the network runs on the device's one worker thread, and what a call needs is on
    its own stack, so that no answer ever meets another's image.

    Args:
        model: name in the registry.
        device: `auto`, `cpu` or `cuda[:N]`.
        cache: where embeddings are kept; predictors may share one, and those of one base then share
            its embeddings.

    Raises:
        ModelError: unknown model or device.
    """

    def __init__(
        self, model: str = "uniultra_mini", *, device: str = "auto", cache: EmbeddingCache | None = None
    ) -> None:
        self.entry = entry(model)
        self.device = choose_device(device)
        self.cache = EmbeddingCache(CACHE_BYTES) if cache is None else cache
        self._loading = threading.Lock()
        self._loaded: Loaded | None = None

    @classmethod
    def of(cls, network: PromptNetwork, model: ModelEntry, *, device: str = "auto") -> Predictor:
        """A predictor of a network in memory, for example one in training; `model` says how to feed it."""
        made = cls(model.name, device=device)
        made.entry = model
        made._loaded = Loaded(network.to(made.device).eval(), (model.name, "in memory"))
        return made

    def predict(
        self, source: FrameSource, plane: Plane, prompts: Sequence[PromptSet], *, keep: bool = True
    ) -> list[Prediction]:
        """One mask per prompt set, all on the same plane; a model without prompts answers an empty set.

        Args:
            source: the image.
            plane: of the image.
            prompts: one set for each object.
            keep: keep the embedding for the next prompt; without, nobody else's is pushed out.

        Raises:
            PromptError: no prompt set, an empty one, or one that lies outside the picture.
            ImageError: the image has no such plane or cannot be decoded.
            ModelError: the weights are missing or damaged.
        """
        start = time.perf_counter()
        shape = source.plane_shape(plane.axis)
        for prompt in prompts if self.entry.prompts else ():
            prompt.check(shape)
        if not prompts:
            raise PromptError("Expected at least one object with a prompt; got none.")
        loaded = self._load()
        key = self._key(source, plane, loaded)
        fit = Fit(*shape, loaded.network.image_size, self.entry.fit)
        encoded = [encode(p, fit) for p in prompts]
        lone = [p.lone_click for p in prompts]
        timings = {"cached": float(key in self.cache)}
        picture = None if timings["cached"] else source.picture(plane)
        timings["read"] = time.perf_counter() - start
        queued = time.perf_counter()

        def work() -> tuple[NDArray[np.bool_], list[float]]:
            began = time.perf_counter()
            embedding = self._embedding(key, loaded, source, plane, picture, keep)
            encoded_at = time.perf_counter()
            logits, iou = self._decode(loaded.network, embedding, encoded, lone)
            masks = (fit.picture(logits) > 0).cpu().numpy()
            timings.update(
                queue=began - queued,
                encode=encoded_at - began,
                decode=time.perf_counter() - encoded_at,
            )
            return masks, iou.tolist()

        masks, scores = worker(self.device).submit(work).result()
        timings["total"] = time.perf_counter() - start
        return [
            Prediction(mask, score, self.entry.name, None, timings)
            for mask, score in zip(masks, scores, strict=True)
        ]

    def prefetch(self, source: FrameSource, plane: Plane) -> bool:
        """Encode a plane before it is asked for; False when it is cached already."""
        loaded = self._load()
        key = self._key(source, plane, loaded)
        if key in self.cache:
            return False
        picture = source.picture(plane)
        worker(self.device).submit(lambda: self._embedding(key, loaded, source, plane, picture)).result()
        return True

    def warm_up(self) -> None:
        """Load the weights and run the network once, so that the first prompt is as quick as the second."""
        loaded = self._load()
        size = loaded.network.image_size

        def work() -> None:
            if len(self.cache):
                return  # somebody's prompt was quicker
            blank = torch.zeros(1, 3, size, size, device=self.device)
            middle = PromptSet(points=(Point(size / 2, size / 2),) if self.entry.prompts else ())
            drawn = [encode(middle, Fit(size, size, size))]
            self._decode(loaded.network, loaded.network.encode(blank), drawn, [middle.lone_click])

        worker(self.device).submit(work).result()

    def _load(self) -> Loaded:
        with self._loading:
            if self._loaded is None:
                self._loaded = load(self.entry, self.device)
            return self._loaded

    def _embedding(
        self,
        key: Key,
        loaded: Loaded,
        source: FrameSource,
        plane: Plane,
        picture: Picture | None,
        keep: bool = True,
    ) -> Embedding:
        """The cached embedding of a plane, encoded now if need be; runs on the device's thread."""
        found = self.cache.get(key)
        if found is None:
            # It may have been dropped between the look-up and now; then the plane is read here.
            square = self._square(
                source.picture(plane) if picture is None else picture, loaded.network.image_size
            )
            found = loaded.network.encode(square[None].to(self.device))
            if keep:
                self.cache.put(key, found)
        return found

    def _square(self, picture: Picture, side: int) -> Tensor:
        """The network's input `(3,side,side)` of a grey or RGB picture."""
        pixels = torch.from_numpy(picture.astype(np.float32)) / 255
        colour = pixels.permute(2, 0, 1) if pixels.ndim == 3 else pixels.expand(3, -1, -1)
        fit = Fit(picture.shape[0], picture.shape[1], side, self.entry.fit)
        # Normalised before it is padded: SAM learnt that padding is zero.
        return fit.square(self.entry.normalise(colour[None])[0])

    def _decode(
        self,
        network: PromptNetwork,
        embedding: Embedding,
        encoded: list[Encoded],
        lone: Sequence[bool],
    ) -> tuple[Tensor, Tensor]:
        """Logits `(N,g,g)` and predicted IoU `(N,)` of N prompt sets on one picture.

        `lone` says which are single clicks. SAM's decoder attends to padding tokens too. Sets of one
        length go together, so that no answer depends on what else was asked in the same call.
        """
        chooses = self.entry.lone_click == "best"
        kinds = [(len(e.labels), chooses and alone) for e, alone in zip(encoded, lone, strict=True)]
        logits, iou = [], []
        order: list[int] = []
        for kind in sorted(set(kinds)):
            members = [n for n, found in enumerate(kinds) if found == kind]
            answer = self._decode_alike(network, embedding, [encoded[n] for n in members], kind[1])
            logits.append(answer[0])
            iou.append(answer[1])
            order += members
        back = torch.tensor(order, device=self.device).argsort()
        return torch.cat(logits)[back], torch.cat(iou)[back]

    def _decode_alike(
        self, network: PromptNetwork, embedding: Embedding, encoded: list[Encoded], choose: bool
    ) -> tuple[Tensor, Tensor]:
        coords, labels, drawn = batch(encoded, self.device)
        dense = MASK_LOGIT * drawn[:, :1] if network.map_channels == 1 else drawn
        place = torch.arange(len(encoded), device=self.device)
        logits, iou = network.decode(
            embedding.repeat(torch.zeros_like(place)), coords, labels, dense, multimask=choose
        )
        best = iou.argmax(1)  # of one mask, or of three
        return logits[place, best].float(), iou[place, best].float().clamp(0, 1)

    def _key(self, source: FrameSource, plane: Plane, loaded: Loaded) -> Key:
        return Key(source.content_hash, plane, *loaded.encoder)
