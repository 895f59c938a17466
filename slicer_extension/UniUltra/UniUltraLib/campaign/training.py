"""Training on the campaign's labels: start, stop, and watch its progress, its curve and the adapter."""

from __future__ import annotations

import time
from typing import Any, Callable, Mapping, Optional

from ..control.observable import Observable
from ..control.state import ONLINE, State
from ..errors import AnsweredError, UniUltraLibError
from ..wire import campaign_calls
from ..wire.campaign_types import Campaign, Training
from ..wire.client import Client
from .state import TrainingState

# Seconds between two requests for the progress: while a training runs, and otherwise.
BUSY_S, QUIET_S = 2.0, 20.0


class TrainingWork(Observable[TrainingState]):
    """The trainings of the connected server.

    Args:
        controller: the panel's; its worker makes the calls.
    """

    def __init__(self, controller: Any, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(TrainingState())
        self.controller, self._clock = controller, clock
        self._seen: State = controller.state
        self._model = ""
        self._forget()
        self._sources = [controller.subscribe(self._controller_changed)]
        self._changed()

    def set_model(self, name: str) -> None:
        """Choose the model that the next training adapts."""
        self._model = name
        self._changed()

    def start(self, options: Optional[Mapping[str, Any]] = None) -> None:
        """Start a training; `options` are those of the server's trainer, such as `steps`."""
        model, name = self._state.model, self._seen.annotator
        if model:
            self._ask(
                lambda client: campaign_calls.start_training(client, model, options or {}, name),
                what="Starting a training",
            )

    def stop(self) -> None:
        """Stop the training under way; its progress is kept."""
        self._ask(campaign_calls.stop_training, what="Stopping the training")

    def refresh(self) -> None:
        """Ask the server for the progress; not shown as busy."""
        if self._asking or not self._state.offered or self._seen.connection != ONLINE:
            return
        self._asking, address = True, self._seen.address

        def done(training: Training) -> None:
            self._asking = False
            self._next = self._clock() + (BUSY_S if training.running else QUIET_S)
            if address == self._seen.address:
                self._received(training)

        def failed(error: UniUltraLibError) -> None:
            self._asking, self._next = False, self._clock() + QUIET_S
            if isinstance(error, AnsweredError) and error.status in (401, 403, 404):
                self._refused = True
            self._changed()

        self.controller.run(campaign_calls.training, done, failed, quiet=True)

    def seen(self) -> None:
        """The person has taken notice of the new adapter."""
        self._new = False
        self._changed()

    def tick(self) -> None:
        """Ask for the progress when it is time; a timer calls this."""
        if self._clock() >= self._next:
            self.refresh()

    def _forget(self) -> None:
        self._training, self._first = Training(), True
        self._new = self._asking = self._refused = False
        self._next = 0.0

    def _ask(self, task: Callable[[Client], Any], what: str) -> None:
        def done(_: Any) -> None:
            self._next = 0.0
            self.refresh()

        self.controller.run(task, done, what=what)

    def _received(self, training: Training) -> None:
        changed = training.adapter != self._training.adapter
        if changed and not self._first:
            self._new = training.adapter is not None
            if self._new:
                self.controller.notify("A newly trained adapter answers from now on.")
        self._first, self._training = False, training
        self._changed()

    def _controller_changed(self, state: State) -> None:
        before, self._seen = self._seen, state
        if before.address != state.address:
            self._forget()
        if state.adapter is not None and state.adapter != before.adapter:
            self._next = 0.0  # a prompt was answered by another adapter, which may be a new one
        self._changed()

    def _changed(self) -> None:
        info = self._seen.info
        trainers = info.get("trainers")
        models = tuple(map(str, trainers)) if isinstance(trainers, dict) else ()
        offered = bool(models) and "curve" in Campaign.of(info).offers and not self._refused
        running, online = self._training.running, self._seen.connection == ONLINE
        choices = (self._model, self._seen.model, *models)
        state = TrainingState(
            offered=offered,
            models=models,
            model=next((model for model in choices if model in models), ""),
            training=self._training,
            adapter=self._training.adapter,
            new_adapter=self._new,
            can_start=offered and online and not running,
            can_stop=offered and online and running,
        )
        self._publish(state)
