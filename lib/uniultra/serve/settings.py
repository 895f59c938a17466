"""The server's settings, read from what `--conf KEY VALUE` hands over as text."""

from __future__ import annotations

import difflib
import os
import re
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from uniultra.adapt.job import Known
from uniultra.errors import UniUltraError
from uniultra.models import registry
from uniultra.weights import loading

DEFAULT_MODEL = "uniultra_mini"
STORE_URL_VARIABLE = "UNIULTRA_STORE_URL"  # for passwords: `ps` shows --conf, but not the environment
# Read by MONAI Label itself, or by its sample apps; commands written for those still start this server.
# fmt: off
OTHER_APPS = frozenset((
    "auth_token", "auto_update_scoring", "bundles", "cache", "cache_image", "cache_transforms", "dimension",
    "epistemic", "epistemic_enabled", "epistemic_samples", "heuristic_planner", "network", "patch_size",
    "pretrained_path", "preload_models", "roi_size", "sam2", "scoring", "scribbles", "server_mode",
    "skip_scoring", "skip_strategies", "skip_trainers", "spatial_size", "target_spacing", "tracking",
    "use_pretrained_model", "zoo_repo", "zoo_source",
))
# fmt: on


class SettingsError(UniUltraError):
    """A setting the server cannot use. Its text reaches the console and the log, so it repeats no value."""


def _split(text: Any) -> Any:
    if not isinstance(text, str):
        return text
    return tuple(dict.fromkeys(word.strip() for word in text.split(",") if word.strip()))


Words = Annotated[tuple[str, ...], BeforeValidator(_split)]
Megabytes = Annotated[int, Field(ge=1, le=1 << 24, description="a whole number of megabytes, 1 or more")]


def _switch(value: object) -> object:
    """Only the documented words: pydantic takes `t` and `y` for true as well, and a switch may be a guard."""
    if isinstance(value, str) and value.lower() not in ("true", "false", "1", "0", "yes", "no", "on", "off"):
        raise ValueError("not true or false")
    return value


Switch = Annotated[bool, BeforeValidator(_switch), Field(description="true or false")]


class Settings(BaseModel):
    """Every setting of the server; apps/uniultra/README.md and docs/adapting.md explain the keys.

    Attributes:
        models: names in the registry, or `all`; empty for the default and every fully automatic model
            with weights on this machine.
        labels: names of structures that clients offer first.
        device: `auto`, `cpu`, `cuda`, `cuda:1`; for clicks and for trainings.
        embed_cache_mb: memory for embeddings, shared by the models.
        image_cache_mb: memory for the frames of opened images.
        network_cache_mb: memory for networks; beyond it the least recently used one is released.
        max_upload_mb: the largest request body.
        preload: load weights at the start, in the background.
        allow_reload: let `POST /reload` build the app again.
        allowed_hosts: domain names that people reach the server by, see `http.hosts`.
        train_after: new final labels after which a training starts automatically, 0 for never; None for
            the campaign's own setting.
        train_threads: processor threads of a training; it yields to clicks on all of them.
        train_nice: how much it yields, 0..19.
        train_known: folder with the manifest of labelled pictures of the base model's own organs, which a
            training rehearses and is tested for forgetting on.
        train_known_sets: only these sets of that manifest; empty for all.
        store_url: PostgreSQL database of the store's index, None for SQLite in the studies folder.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    models: Words = ()
    labels: Words = ("structure",)
    device: str = "auto"
    embed_cache_mb: Megabytes = 512
    image_cache_mb: Megabytes = 1024
    network_cache_mb: Megabytes = 4096
    max_upload_mb: Megabytes = 2048
    preload: Switch = True
    allow_reload: Switch = False
    allowed_hosts: Words = ()
    train_after: int | None = Field(None, ge=0, le=10**6, description="a whole number from 0 to 1000000")
    train_threads: int = Field(
        default_factory=lambda: os.cpu_count() or 1,
        ge=1,
        le=1024,
        description="a whole number from 1 to 1024",
    )
    train_nice: int = Field(10, ge=0, le=19, description="a whole number from 0 to 19")
    train_known: Path | None = Field(None, description="a folder with a manifest.csv")
    train_known_sets: Words = ()
    store_url: str | None = Field(
        None,
        pattern=r"^postgresql(\+psycopg)?://",
        description="postgresql+psycopg://USER@HOST/DATABASE",
        repr=False,
    )

    @classmethod
    def parse(cls, conf: Mapping[str, str]) -> Settings:
        """Read MONAI Label's `conf`, and the database's address from the environment.

        Raises:
            SettingsError: an unknown key, or a value that cannot be used.
            ModelError: an unknown model; the text lists the known ones.
        """
        given = {key: value for key, value in conf.items() if key not in OTHER_APPS}
        if not given.get("store_url"):
            given["store_url"] = os.environ.get(STORE_URL_VARIABLE, "")
        for key in ("labels", "train_known", "store_url"):  # empty text means the default
            if not given.get(key, "").strip(" ,"):
                given.pop(key, None)
        try:
            return cls.model_validate(given)
        except ValidationError as error:
            raise SettingsError(_complaint(str(error.errors()[0]["loc"][0]))) from None

    @field_validator("models")
    @classmethod
    def _registered(cls, models: tuple[str, ...]) -> tuple[str, ...]:
        for name in models if models != ("all",) else ():
            registry.entry(name)
        return models

    @field_validator("train_known")
    @classmethod
    def _has_manifest(cls, folder: Path | None) -> Path | None:
        if folder is not None and not (folder / "manifest.csv").is_file():
            raise ValueError("no manifest.csv")
        return folder and folder.resolve()

    @field_validator("store_url")
    @classmethod
    def _driver(cls, url: str | None) -> str | None:
        return url and url.replace("postgresql://", "postgresql+psycopg://", 1)

    @property
    def everything(self) -> bool:
        """Whether all models are served, those included whose weights arrive later."""
        return self.models == ("all",)

    @cached_property
    def served(self) -> tuple[str, ...]:
        """Names of the models served from the start."""
        if self.everything:
            return (*registry.names(), *loading.variants())
        automatic = (name for name in loading.variants() if not registry.entry(name).prompts)
        return self.models or (DEFAULT_MODEL, *automatic)

    @property
    def preloaded(self) -> tuple[str, ...]:
        """Names of the models whose weights are loaded at the start; of `all` the default's only."""
        if not self.preload:
            return ()
        return (DEFAULT_MODEL,) if self.everything else self.served

    @property
    def replay_set(self) -> Known | None:
        """The labelled pictures that a training rehearses, where there are any."""
        sets = self.train_known_sets or None
        return None if self.train_known is None else Known(folder=self.train_known, sets=sets)


def _complaint(key: str) -> str:
    """What is wrong with a key, without its value: that may be a path or hold a password."""
    fields = Settings.model_fields
    if key in fields:
        place = f"--conf {key}" + (f", or the variable {STORE_URL_VARIABLE}" if key == "store_url" else "")
        return f"Expected {key} as {fields[key].description}; got another value. Change {place}."
    near = difflib.get_close_matches(key, fields, 1, 0.5)
    hint = f"Did you mean {near[0]}?" if near else f"The settings are {', '.join(fields)}."
    shown = f" ({key})" if re.fullmatch(r"\w{1,40}", key) else ""  # key and value may have been swapped
    return f"Expected a setting of this server as --conf KEY VALUE; got an unknown key{shown}. {hint}"
