"""What `--conf KEY VALUE` may say, as values of the right kind."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from uniultra.errors import UniUltraError
from uniultra.models import registry
from uniultra.weights import loading

DEFAULT_MODEL = "uniultra_mini"


class SettingsError(UniUltraError):
    """A setting of the server that cannot be used; seen by whoever starts it."""


@dataclass(frozen=True)
class ServerSettings:
    """The app's settings.

    Attributes:
        models: names in the registry; with `everything`, all there are. Named by nobody: the default and
            whatever segments without prompts on this machine (`NAME.TASK`, the shipped tasks among them).
        everything: serve also what comes later: `NAME.TASK` weights put on this machine.
        labels: names of structures that clients offer first.
        device: `auto`, `cpu`, `cuda`, `cuda:1`.
        embed_cache_mb: memory for embeddings, shared by the models.
        image_cache_mb: memory for the frames of opened images.
        max_upload_mb: the largest request body.
        preload: load the weights of models named one by one at the start, in the background; of
            everything, the default's only.
        network_cache_mb: memory for networks; those that were not asked for longest are let go beyond it.
        allow_reload: let `POST /reload` build the app again.
        allowed_hosts: names with a domain that people reach the server by, see `hosts`.
    """

    models: tuple[str, ...] = (DEFAULT_MODEL,)
    everything: bool = False
    labels: tuple[str, ...] = ("structure",)
    device: str = "auto"
    embed_cache_mb: int = 512
    image_cache_mb: int = 1024
    max_upload_mb: int = 2048
    preload: bool = True
    network_cache_mb: int = 4096
    allow_reload: bool = False
    allowed_hosts: tuple[str, ...] = ()

    @classmethod
    def parse(cls, conf: Mapping[str, str]) -> ServerSettings:
        """Read MONAI Label's `conf`; keys that are not ours are for MONAI Label.

        Raises:
            SettingsError: a value of the wrong kind.
            ModelError: an unknown model; the text lists the known ones.
        """
        plain = cls()
        models = _words(conf.get("models", ""))
        everything = models == ("all",)
        if everything:
            models = (*registry.names(), *loading.variants())
        for name in models:
            registry.entry(name)
        return cls(
            models=models or (DEFAULT_MODEL, *_tasks()),
            everything=everything,
            labels=_words(conf.get("labels", "")) or plain.labels,
            device=conf.get("device", plain.device),
            embed_cache_mb=_megabytes(conf, "embed_cache_mb", plain.embed_cache_mb),
            image_cache_mb=_megabytes(conf, "image_cache_mb", plain.image_cache_mb),
            max_upload_mb=_megabytes(conf, "max_upload_mb", plain.max_upload_mb),
            preload=_switch(conf, "preload", plain.preload),
            network_cache_mb=_megabytes(conf, "network_cache_mb", plain.network_cache_mb),
            allow_reload=_switch(conf, "allow_reload", plain.allow_reload),
            allowed_hosts=_words(conf.get("allowed_hosts", "")),
        )

    @property
    def preloaded(self) -> tuple[str, ...]:
        """The models whose weights are loaded at the start."""
        if not self.preload:
            return ()
        return (DEFAULT_MODEL,) if self.everything else self.models


def _tasks() -> tuple[str, ...]:
    """The models on this machine that segment one structure each, without prompts."""
    return tuple(name for name in loading.variants() if not registry.entry(name).prompts)


def _words(text: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


def _megabytes(conf: Mapping[str, str], key: str, default: int) -> int:
    text = str(conf.get(key, default))
    if not text.isdecimal() or not 1 <= int(text) <= 1 << 24:
        raise SettingsError(f"Expected {key} as a whole number of megabytes, 1 or more; change --conf {key}.")
    return int(text)


def _switch(conf: Mapping[str, str], key: str, default: bool) -> bool:
    text = str(conf.get(key, default)).lower()
    if text not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise SettingsError(f"Expected {key} to be true or false; change --conf {key}.")
    return text in ("true", "1", "yes", "on")
