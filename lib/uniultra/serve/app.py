"""The parts of the MONAI Label app; `apps/uniultra/main.py` joins them to its base class."""

from __future__ import annotations

import logging
import sys
import threading
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from monailabel.config import settings as monailabel_settings
from monailabel.interfaces.datastore import Datastore, DefaultLabelTag

from uniultra.active.pool import BATCH
from uniultra.errors import ModelError, RequestError
from uniultra.models import registry
from uniultra.predict import Predictor
from uniultra.predict.embedding_cache import EmbeddingCache
from uniultra.predict.network_cache import NetworkCache
from uniultra.serve.http import logs
from uniultra.serve.http.guards import check_known
from uniultra.serve.scoring.background import BackgroundScores
from uniultra.serve.scoring.rankings import Rankings
from uniultra.serve.scoring.studies import background_of
from uniultra.serve.settings import OTHER_APPS, Settings, SettingsError
from uniultra.serve.tasks.auto import AutoInferTask
from uniultra.serve.tasks.batch import WholeImages
from uniultra.serve.tasks.batch_runs import BatchRuns
from uniultra.serve.tasks.cancellation import CancelCheck
from uniultra.serve.tasks.image_cache import OpenImages
from uniultra.serve.tasks.infer import ModelTask, PromptInferTask
from uniultra.serve.tasks.lease_renewal import LeaseRenewal
from uniultra.serve.tasks.next_sample import annotator_of, next_sample
from uniultra.serve.tasks.prefetch import Prefetch
from uniultra.serve.tasks.sessions import CheckedSessions
from uniultra.serve.tasks.strategies import RankedSample, all_strategies
from uniultra.serve.tasks.train import AdaptTask, trainable
from uniultra.serve.tasks.train_jobs import Trainings
from uniultra.serve.wire.info import with_campaign, with_wire
from uniultra.shutdown import unbroken
from uniultra.store.campaign import file as campaign
from uniultra.store.catalogue.ids import check_tag
from uniultra.store.datastore import StudiesDatastore
from uniultra.store.errors import CampaignError, StoreError
from uniultra.weights import loading
from uniultra.weights.deployed import Published

logger = logging.getLogger(__name__)


class UniUltraParts:
    """What UniUltra puts in the place of MONAI Label's hooks.

    A mixin, not a subclass of `MONAILabelApp`: MONAI Label starts the first direct subclass it finds.
    Building one is cheap; MONAI Label does it again in every background process.
    """

    studies: str
    _infers: dict[str, ModelTask]
    _trainers: dict[str, AdaptTask]
    _datastore: StudiesDatastore
    # None where strategies are switched off (MONAI_LABEL_TASKS_STRATEGY)
    rankings: Rankings | None = None
    scoring: BackgroundScores | None = None

    def prepare(self, conf: dict[str, str]) -> Settings:
        """Read the settings and put the front on a running server; before the base class's constructor.

        Raises:
            SettingsError, ModelError: a setting that cannot be used.
        """
        logs.install()
        self.settings = Settings.parse(conf)
        if unused := sorted(OTHER_APPS.intersection(conf)):
            logger.info("settings of other MONAI Label apps have no effect here: %s", ", ".join(unused))
        self.images = OpenImages(self.settings.image_cache_mb << 20)
        self.prefetches = Prefetch(self.images)
        self.batches = BatchRuns()
        self._adding = threading.Lock()
        server = sys.modules.get("monailabel.app")  # absent in MONAI Label's background processes
        if server is not None:
            from uniultra.serve import front

            front.install(server.app, self.settings)
        return self.settings

    # MONAI Label's hooks

    def init_datastore(self) -> Datastore:
        if "://" in self.studies:
            raise SettingsError("Expected a studies folder of this machine; got an address. Give a folder.")
        try:
            campaign.load(Path(self.studies))
        except CampaignError as error:
            raise SettingsError(str(error)) from None
        datastore = StudiesDatastore(Path(self.studies), self.settings.store_url)
        self._leases = LeaseRenewal(datastore.store)
        return datastore

    def init_infers(self) -> dict[str, ModelTask]:
        self._embeddings = EmbeddingCache(self.settings.embed_cache_mb << 20)
        self._resident = NetworkCache(self.settings.network_cache_mb << 20)
        return {name: self._new_task(name) for name in self.settings.served}

    def init_trainers(self) -> dict[str, AdaptTask]:
        store = self._datastore.store
        self.trainings = Trainings(
            store.studies,
            store.trainable,
            self.settings,
            self._train_after,
            revisions=store.trainable_revisions,
        )
        return {name: AdaptTask(name, self.trainings) for name in self.settings.served if trainable(name)}

    def init_batch_infer(self) -> WholeImages:
        return WholeImages()

    def init_strategies(self) -> dict[str, RankedSample]:
        batch = self._train_after() or BATCH
        self.rankings, self.scoring = background_of(self._datastore, self.images, self._scoring_model, batch)
        return all_strategies(self.rankings)

    def _scoring_model(self) -> Predictor:
        """What scores units for the strategies: the first model that takes prompts.

        Raises:
            ModelError: there is none.
        """
        found = next((task.predictor for task in self._infers.values() if task.needs_prompts), None)
        if found is None:
            raise ModelError("No model here takes prompts, so units get no scores. Serve uniultra_mini too.")
        return found

    def _load_sessions(self, load: bool = False) -> CheckedSessions | None:
        if not load:
            return None
        return CheckedSessions(
            monailabel_settings.MONAI_LABEL_SESSION_PATH, monailabel_settings.MONAI_LABEL_SESSION_EXPIRY
        )

    def on_init_complete(self) -> None:
        super().on_init_complete()  # type: ignore[misc]
        if self._trainers:
            threading.Thread(target=self.trainings.go_on, name="training", daemon=True).start()
        if self.settings.preloaded:
            threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()
        if self.scoring is not None and (Path(self.studies) / campaign.FILE).is_file():
            self.scoring.start()  # elsewhere the first question for a next image starts it

    def on_save_label(self, image_id: str, label_id: str) -> Any:
        """MONAI Label's own; then a training begins by itself where enough labels are new."""
        extra = super().on_save_label(image_id, label_id)  # type: ignore[misc]
        wanted = self._datastore.store.campaign.model
        model = wanted if wanted in self._trainers else next(iter(self._trainers), None)
        if model is not None:
            threading.Thread(
                target=self.trainings.labelled, args=(model,), name="training", daemon=True
            ).start()
        return extra

    def _train_after(self) -> int:
        """New labels that start a training: the server's setting, else the campaign's."""
        after = self.settings.train_after
        return self._datastore.store.campaign.train_after if after is None else after

    def info(self) -> dict[str, Any]:
        """MONAI Label's own; under `unavailable` the models that have no weights here, and under `adapters`
        which of the campaign's bundles each model answers with.
        """
        self._look_for_variants()
        known: dict[str, Any] = super().info()  # type: ignore[misc]
        known = with_wire(with_campaign(known, self._datastore.store.campaign))
        tasks = self._infers.items()
        there = {name for name, task in tasks if task.is_valid()}
        return {
            **known,
            "trainers": {name: told for name, told in known["trainers"].items() if name in there},
            "unavailable": {name: t.unavailable() for name, t in tasks if not t.is_valid()},
            "adapters": {name: t.adapter() for name, t in tasks if t.needs_prompts},
        }

    # work

    def next_sample(self, request: dict[str, Any]) -> dict[str, Any]:
        """Lease the next unit to the annotator who asks; MONAI Label adds the image's information."""
        return next_sample(request, self._datastore, self.rankings)

    # inference

    @property
    def tasks(self) -> Mapping[str, ModelTask]:
        """The tasks of the served models, by model."""
        return self._infers

    @property
    def trainers(self) -> Mapping[str, AdaptTask]:
        """The tasks that adapt models to the campaign, by model; empty where training is switched off."""
        return self._trainers

    def task(self, model: object) -> ModelTask:
        """The task of a model.

        Raises:
            NotFoundError: no such model; the text lists those there are.
        """
        if isinstance(model, str) and model not in self._infers:
            self._look_for_variants()
        check_known(model, self._infers, "model")
        return self._infers[str(model)]

    def infer(
        self,
        request: dict[str, Any],
        datastore: Datastore | None = None,
        check_cancelled: CancelCheck | None = None,
    ) -> dict[str, Any]:
        """Segment an image of the store: `request["image"]` is an id, never a path.

        `check_cancelled` is called between two frames; None is MONAI Label's time limit.

        Raises:
            NotFoundError: no such image or model.
            PromptError, ImageError, ModelError, RequestError: with a text for the client.
        """
        store = datastore or self._datastore
        image_id: Any = request.get("image")
        save = bool(request.get("save_label"))
        if save and request.get("label_tag") == DefaultLabelTag.FINAL.value:
            raise RequestError("Final labels are people's: they are trained on. Choose another label_tag.")
        result = self.infer_file(request, Path(store.get_image_uri(image_id)), check_cancelled)
        self._leases.click(image_id, annotator_of(request))
        if save and result["file"]:
            info = {"model": request["model"], "params": result["params"]}
            result["label"] = store.save_label(image_id, result["file"], result["tag"], info)
        return result

    def infer_file(
        self, request: dict[str, Any], path: Path, check_cancelled: CancelCheck | None = None
    ) -> dict[str, Any]:
        """Segment a file that the server itself found: of the store, a session or an upload.

        Every inference comes through here, so the tag and, in the task, weights and prompts are checked once.

        Returns:
            `{"label", "tag", "file", "params"}`, as MONAI Label's `infer`.

        Raises:
            NotFoundError: no such model.
            PromptError, ImageError, ModelError, RequestError: with a text for the client.
        """
        task = self.task(request.get("model"))
        tag = check_tag(request.get("label_tag") or DefaultLabelTag.ORIGINAL.value)
        file, answer = task({**request, "image": str(path)}, check_cancelled)
        return {"label": file, "tag": tag, "file": file, "params": answer}

    def _new_task(self, name: str) -> ModelTask:
        kind = PromptInferTask if registry.entry(name).prompts else AutoInferTask
        published = Published(Path(self.studies)) if registry.entry(name).prompts else None
        predictor = Predictor(
            name,
            device=self.settings.device,
            cache=self._embeddings,
            published=published,
            networks=self._resident,
        )
        return kind(name, predictor, self.images, self.settings.labels)

    def _look_for_variants(self) -> None:
        """Serve weights of the form `NAME.TASK` that came since the start, when everything is served."""
        if not self.settings.everything:
            return
        with self._adding:
            new = [name for name in loading.variants() if name not in self._infers]
            if new:  # a new dict: others may be looking through the old one
                self._infers = {**self._infers, **{name: self._new_task(name) for name in new}}

    def _warm_up(self) -> None:
        try:
            self._datastore.status()  # the first look through a large folder takes its time
        except StoreError as error:
            logger.warning("The label store cannot be used: %s", error)
        for name in self.settings.preloaded:
            task = self._infers[name]
            try:
                task.check_weights()
                with unbroken():
                    task.predictor.warm_up()
                logger.info("%s is warm", name)
            except ModelError as error:
                logger.warning("%s cannot be used: %s", name, error)
