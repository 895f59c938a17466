"""A source of noise pictures that counts how often it is read."""

from __future__ import annotations

import threading
from dataclasses import dataclass, field

import numpy as np

from uniultra.images.types import Picture, Plane


@dataclass
class Noise:
    """A stack of random pictures, the same for the same `seed`; `name` keys its embeddings."""

    name: str = "noise"
    seed: int = 0
    shape: tuple[int, ...] = (2, 120, 160)
    readers: list[threading.Thread] = field(default_factory=list)  # the thread of each reading

    @property
    def content_hash(self) -> str:
        return self.name

    def plane_shape(self, axis: str) -> tuple[int, int]:
        return self.shape[1], self.shape[2]

    def picture(self, plane: Plane) -> Picture:
        self.readers.append(threading.current_thread())
        rng = np.random.default_rng([self.seed, plane.index])
        coarse = rng.integers(0, 255, (self.shape[1] // 20, self.shape[2] // 20, *self.shape[3:]), np.uint8)
        return np.repeat(np.repeat(coarse, 20, 0), 20, 1)
