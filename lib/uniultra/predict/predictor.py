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
from uniultra.images.frames import Kept
from uniultra.images.types import FrameSource, Picture, Plane
from uniultra.models.registry import ModelEntry, entry
from uniultra.networks.network import Embedding, PromptNetwork
from uniultra.predict import second_look
from uniultra.predict.decoding import decode, square
from uniultra.predict.device import choose_device, worker
from uniultra.predict.embedding_cache import EmbeddingCache, Key
from uniultra.predict.hot_swap import BundleSource, HotSwap
from uniultra.predict.network_cache import NetworkCache
from uniultra.predict.postprocess import tidy
from uniultra.predict.shared_networks import Loaded, load
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import encode
from uniultra.prompts.types import Point, PromptSet

CACHE_BYTES = 512 << 20


@dataclass(frozen=True, eq=False)
class Prediction:
    """The answer to one prompt set.

    Attributes:
        mask: `(H,W)` bool, pixels of the plane's picture.
        score: predicted IoU, 0..1.
        model: name in the registry.
        adapter: id of the adapter bundle that answered; None for the shipped weights.
        timings: seconds of `queue`, `read`, `encode`, `decode` (the second look included), `total`; `cached`
            is 1 when the plane's embedding was in the cache, else 0.
    """

    mask: NDArray[np.bool_]
    score: float
    model: str
    adapter: str | None
    timings: dict[str, float]


class Predictor:
    """Answers prompts on any number of images for any number of users at once.

    Nothing is loaded before the first use. Calls may come from any thread: pictures are read on the
    caller's thread, the network runs on the device's one worker thread, and the state of a call is on its
    own stack, so that answers of different images never mix.

    Args:
        model: name in the registry; default `uniultra_mini`.
        device: `auto` (default), `cpu` or `cuda[:N]`.
        cache: cache of embeddings; None creates one of 512 MiB. Predictors may share one, and those of one
            base then share its embeddings.
        published: where a campaign publishes adapters; the newest answers from the first click after it was
            loaded, and clicks under way finish on the network they began with. None uses the model's weights.
        networks: keeps the networks of several predictors within a limit; None keeps every one.

    Raises:
        ModelError: unknown model or device.

    The second click on a picture finds its embedding in the cache:

        >>> from uniultra.predict.still import STILL, Still
        >>> from uniultra.synthesis.scene import scene
        >>> source = Still(scene(np.random.default_rng(1)).picture)
        >>> predictor = Predictor("uniultra_mini", device="cpu")
        >>> [first] = predictor.predict(source, STILL, [PromptSet((Point(120, 80),))])
        >>> both = PromptSet((Point(120, 80), Point(200, 200, positive=False)))
        >>> [second] = predictor.predict(source, STILL, [both])
        >>> first.timings["cached"], second.timings["cached"], second.mask.shape
        (0.0, 1.0, (256, 256))
    """

    def __init__(
        self,
        model: str = "uniultra_mini",
        *,
        device: str = "auto",
        cache: EmbeddingCache | None = None,
        published: BundleSource | None = None,
        networks: NetworkCache | None = None,
    ) -> None:
        self.entry = entry(model)
        self.device = choose_device(device)
        self.cache = EmbeddingCache(CACHE_BYTES) if cache is None else cache
        self._networks = networks
        self._loading = threading.Lock()
        self._loaded: Loaded | None = None
        self._swap = None if published is None else HotSwap(self.entry, self.device, published)

    @classmethod
    def of(cls, network: PromptNetwork, model: ModelEntry, *, device: str = "auto") -> Predictor:
        """A predictor of a network in memory, such as one in training; `model` has its preprocessing."""
        predictor = cls(model.name, device=device)
        predictor.entry = model
        predictor._loaded = Loaded(network.to(predictor.device).eval(), (model.name, "in memory"))
        return predictor

    def predict(
        self, source: FrameSource, plane: Plane, prompts: Sequence[PromptSet], *, keep: bool = True
    ) -> list[Prediction]:
        """One mask per prompt set, all on the same plane; a fully automatic model takes empty sets.

        Args:
            source: the image.
            plane: of the image.
            prompts: one set for each object.
            keep: cache the embedding for the next prompt (default); False leaves the cache unchanged.

        Raises:
            PromptError: no prompt set, an empty one, or a prompt outside the picture.
            ImageError: the image has no such plane or cannot be decoded.
            ModelError: the weights are missing or damaged.
        """
        start = time.perf_counter()
        shape = source.plane_shape(plane.axis)
        for prompt in prompts if self.entry.prompts else ():
            prompt.check(shape)
        if not prompts:
            raise PromptError("Expected at least one object with a prompt; got none.")
        loaded = self.loaded()
        key = self._key(source, plane, loaded)
        fit = Fit(*shape, loaded.network.image_size, self.entry.fit)
        encoded = [encode(p, fit) for p in prompts]
        lone = [p.lone_click for p in prompts]
        timings = {"cached": float(key in self.cache)}
        read = Kept(lambda: source.picture(plane))
        if not timings["cached"]:
            read()  # on the caller's thread, so that the device never waits for the decoding of a file
        timings["read"] = time.perf_counter() - start
        queued = time.perf_counter()

        def work() -> tuple[Tensor, Tensor]:
            began = time.perf_counter()
            embedding = self._embedding(key, loaded, read, keep)
            encoded_at = time.perf_counter()
            small, iou = decode(loaded.network, self.entry, embedding, encoded, lone)
            logits = fit.picture(small)
            timings.update(
                queue=began - queued, encode=encoded_at - began, decode=time.perf_counter() - encoded_at
            )
            return logits, iou

        logits, iou = worker(self.device).submit(work).result()
        if self.entry.closer:
            began = time.perf_counter()
            self._second_look(loaded, key, read, keep, prompts, logits, iou)
            timings["decode"] += time.perf_counter() - began
        masks, scores = (logits > 0).cpu().numpy(), iou.tolist()
        timings["total"] = time.perf_counter() - start
        return [
            Prediction(tidy(mask, prompt), score, self.entry.name, loaded.adapter, timings)
            for mask, prompt, score in zip(masks, prompts, scores, strict=True)
        ]

    def prefetch(self, source: FrameSource, plane: Plane) -> bool:
        """Encode a plane in advance, while no click waits for the device; False when it is cached already.

        Raises:
            ImageError: the image has no such plane or cannot be decoded.
            ModelError: the weights are missing or damaged.
        """
        loaded = self.loaded()
        key = self._key(source, plane, loaded)
        if key in self.cache:
            return False
        read = Kept(lambda: source.picture(plane))
        read()
        worker(self.device).submit_ahead(lambda: self._embedding(key, loaded, read)).result()
        return True

    def cached(self, source: FrameSource, plane: Plane) -> bool:
        """Whether a plane's embedding is cached; never loads anything."""
        loaded = self._loaded
        return loaded is not None and self._key(source, plane, loaded) in self.cache

    def warm_up(self) -> None:
        """Load the weights and run the network once, so that the first prompt is as fast as later ones."""
        loaded = self.loaded()
        size = loaded.network.image_size

        def work() -> None:
            if len(self.cache):
                return  # a prompt has warmed it up already
            blank = torch.zeros(1, 3, size, size, device=self.device)
            middle = PromptSet(points=(Point(size / 2, size / 2),) if self.entry.prompts else ())
            drawn = [encode(middle, Fit(size, size, size))]
            embedding = loaded.network.encode(blank)
            decode(loaded.network, self.entry, embedding, drawn, [middle.lone_click])

        worker(self.device).submit(work).result()

    def release(self) -> None:
        """Release the network; the next click loads it again, and clicks under way finish on it."""
        self._loaded = None

    @property
    def adapter(self) -> str | None:
        """Id of the active bundle; None for the model's own weights, and before the first use."""
        if self._loaded is None:
            return None
        return self.loaded().adapter

    @property
    def problem(self) -> str | None:
        """Why the published bundle could not be loaded; None when it was, or when none is published."""
        return None if self._swap is None else self._swap.problem

    def loaded(self) -> Loaded:
        """The active network and the key of its embeddings; loads the weights at the first use.

        Raises:
            ModelError: the weights are missing or damaged.
        """
        now = self._loaded
        if now is None:
            with self._loading:
                now = self._loaded
                if now is None:
                    now = load(self.entry, self.device) if self._swap is None else self._swap.first()
                    self._loaded = now
                    if self._networks is not None:
                        self._networks.loaded(self, now.network)
                return now
        if self._networks is not None:
            self._networks.used(self)
        if self._swap is not None:
            self._swap.check(now, self._take)
        return now

    def _take(self, before: Loaded, new: Loaded) -> bool:
        """Replace the network `before` by `new`; False, and no change, if `before` is no longer active."""
        with self._loading:
            if self._loaded is not before:
                return False
            self._loaded = new
        if before.encoder != new.encoder:
            self.cache.forget(*before.encoder)
        if self._networks is not None and new is not before:
            self._networks.loaded(self, new.network)
        return True

    def _second_look(
        self,
        loaded: Loaded,
        key: Key,
        read: Kept,
        keep: bool,
        prompts: Sequence[PromptSet],
        logits: Tensor,
        iou: Tensor,
    ) -> None:
        """Segment small objects again in a crop; averages `logits` `(N,H,W)` and `iou` `(N,)` in place."""
        looks = [second_look.look(*pair) for pair in zip((logits > 0).cpu().numpy(), prompts, strict=True)]
        near = {n: look for n, look in enumerate(looks) if look is not None}
        parts = {n: key._replace(crop=crop) for n, (crop, _) in near.items()}
        if any(part not in self.cache for part in parts.values()):
            read()

        def work() -> None:
            for n, (crop, prompt) in near.items():
                embedding = self._embedding(parts[n], loaded, read, keep)
                fit = Fit(*crop.shape, loaded.network.image_size, self.entry.fit)
                drawn, lone = [encode(prompt, fit)], [prompt.lone_click]
                again, sure = decode(loaded.network, self.entry, embedding, drawn, lone)
                logits[n][crop.slices].add_(fit.picture(again)[0]).div_(2)
                iou[n].add_(sure[0]).div_(2)

        if near:
            worker(self.device).submit(work).result()

    def _embedding(self, key: Key, loaded: Loaded, read: Kept, keep: bool = True) -> Embedding:
        """The embedding of a plane or a crop of it, cached or encoded now; runs on the device's thread."""
        embedding = self.cache.get(key)
        if embedding is None:
            # Dropped from the cache since the check on the caller's thread: the plane is read here.
            picture: Picture = read() if key.crop is None else read()[key.crop.slices]
            side = loaded.network.image_size
            embedding = loaded.network.encode(square(picture, self.entry, side)[None].to(self.device))
            # Not cached when the network was swapped meanwhile: no later click could use it.
            now = self._loaded
            if keep and now is not None and now.encoder == loaded.encoder:
                self.cache.put(key, embedding)
        return embedding

    def _key(self, source: FrameSource, plane: Plane, loaded: Loaded) -> Key:
        return Key(source.content_hash, plane, *loaded.encoder)
