"""The embedding cache is bounded in bytes and never answers for another key."""

import torch

from uniultra.images.types import Plane
from uniultra.networks.network import Embedding
from uniultra.predict.embedding_cache import EmbeddingCache, Key


def embedding(megabytes: int = 1) -> Embedding:
    return Embedding(torch.zeros(megabytes << 18))


def key(name: str, index: int = 0, weights: str = "w") -> Key:
    return Key(name, Plane("k", index), "model", weights)


def test_the_least_recently_used_goes_first():
    cache = EmbeddingCache(3 << 20)
    for name in "abc":
        cache.put(key(name), embedding())
    cache.get(key("a"))
    cache.put(key("d"), embedding())
    assert [key(n) in cache for n in "abcd"] == [True, False, True, True]
    assert cache.bytes == 3 << 20 and len(cache) == 3


def test_bytes_are_counted_once_when_a_key_is_put_again():
    cache = EmbeddingCache(3 << 20)
    cache.put(key("a"), embedding())
    cache.put(key("a"), embedding(2))
    assert cache.bytes == 2 << 20


def test_what_is_larger_than_the_cache_is_not_kept():
    cache = EmbeddingCache(1 << 20)
    cache.put(key("a"), embedding())
    cache.put(key("b"), embedding(2))
    assert key("a") in cache and key("b") not in cache


def test_planes_and_weights_are_apart():
    cache = EmbeddingCache(1 << 24)
    cache.put(key("a"), embedding())
    assert cache.get(key("a", 1)) is None
    assert cache.get(key("a", weights="v")) is None
    cache.put(key("a", weights="v"), embedding())
    assert key("a") in cache and key("a", weights="v") in cache
