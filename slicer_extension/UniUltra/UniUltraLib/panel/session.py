"""Creates and connects the parts the panel and scripts use: scene, controller, tools, campaign, server."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import Any, Callable, List

import slicer

from ..campaign.campaign import CampaignWork
from ..campaign.review import ReviewWork
from ..campaign.training import TrainingWork
from ..control.controller import Controller
from ..control.state import Problem
from ..draw.drag_capture import Capture
from ..draw.prompt_markers import PromptMarkers
from ..draw.tools import Tools
from ..errors import UniUltraLibError
from ..local_server.control import LocalControl
from ..local_server.processes import clean_environment
from ..measure.measuring_task import MeasuringWork
from ..prompts.shown import Shown
from ..scene import files
from ..scene.measure_table import add_rows, calibration_of, measurement_table
from ..scene.scene import SlicerScene
from ..scene.unload import unload
from .settings import Settings


class Session:
    """The parts of the module over one scene and one server; `on_change` is called after every change."""

    def __init__(self) -> None:
        self.settings = Settings()
        self.on_change: Callable[[], None] = lambda: None
        self._dirty = True
        self._folder = tempfile.TemporaryDirectory(prefix="uniultra-")
        self.scene = SlicerScene(slicer.mrmlScene)
        self.controller = Controller(self.scene, settings=self.settings)
        self.markers = PromptMarkers(
            self.scene,
            slicer.app.applicationLogic(),
            self.controller.edit,
            refused=lambda text: self.controller.tell(Problem("", text, "")),
            stopped=lambda: self.tools.put_down(),
        )
        self.tools = Tools(self.markers.place, self.markers.stop, self._changed)
        self.campaign = CampaignWork(
            self.controller,
            self.scene,
            load=self._load,
            downloads=Path(self._folder.name),
            # Unsent labels: beside Slicer's settings, per person.
            spool=Path(slicer.app.slicerUserSettingsFilePath).parent / "UniUltra-unsent",
            unload=lambda node: unload(slicer.mrmlScene, node),
        )
        self.review = ReviewWork(self.campaign)
        self.training = TrainingWork(self.controller)
        self.measuring = MeasuringWork(self.controller, self.scene, self._calibration, self._keep_rows)
        variables = clean_environment(slicer.util.startupEnvironment())
        self.local = LocalControl(variables, Path.home(), near=Path(__file__))
        self._log_seen = 0
        self._parts = (self.measuring, self.training, self.review, self.campaign, self.local, self.controller)
        for part in self._parts:
            part.subscribe(self._changed)

    def poll(self) -> None:
        """Deliver results of threads and show what has changed; a timer calls this."""
        self.controller.poll()
        self.campaign.tick()
        self.training.tick()
        self.local.poll()
        self._log_seen, lines = self.local.log.since(self._log_seen)
        self._dirty = self._dirty or bool(lines)
        self.refresh()

    @property
    def fresh(self) -> bool:
        """Whether every change is shown."""
        return not self._dirty

    def refresh(self) -> None:
        """Show what has changed since the last call."""
        # Not at once: the change may have happened in the middle of an event of the scene.
        if self._dirty:
            self._dirty = False
            state = self.controller.state
            self.markers.show(state.prompts, state.shown)
            self.on_change()

    def open(self, node: Any) -> None:
        """Open a volume or sequence browser of the scene as an own image."""
        self.tools.put_down()
        try:
            self.scene.open(node)
        except UniUltraLibError as error:
            self.controller.tell(Problem.of(error))
            return
        files.show_in_views(self.scene.volume)
        self.controller.frame_changed()
        self._changed()

    def look_through(self, slice_widgets: List[Any]) -> None:
        """Take prompts in these slice views."""
        self.tools.use([self._capture(widget) for widget in slice_widgets])

    def scene_closing(self) -> None:
        """All nodes are about to be removed."""
        self.tools.put_down()
        self.scene.close()

    def scene_closed(self) -> None:
        """The scene is empty; the connection stays."""
        self._changed()
        self.refresh()

    def close(self) -> None:
        """Keep unsent labels, end the threads and the connection."""
        self.tools.use([])
        for part in self._parts:
            part.close()
        self.markers.close()
        self.scene.close()
        self._folder.cleanup()

    def _capture(self, widget: Any) -> Capture:
        interactor = widget.sliceView().interactorStyle().GetInteractor()
        node, edit = widget.mrmlSliceNode(), self.controller.edit
        return Capture(interactor, node, self.scene, edit, self.tools.put_down)

    def _load(self, file: Path, image_id: str, kind: str) -> Any:
        node = files.load_image(slicer.mrmlScene, file, image_id, kind)
        frames = node.GetMasterSequenceNode() if node.IsA("vtkMRMLSequenceBrowserNode") else None
        files.show_in_views(node if frames is None else node.GetProxyNode(frames))
        return node

    def _calibration(self, shown: Shown) -> Any:
        browser = self.scene.browser
        frames = browser.GetMasterSequenceNode() if browser is not None else None
        return calibration_of(self.scene.volume, kind=shown.kind, sequence=frames)

    def _keep_rows(self, rows: List[Any]) -> None:
        add_rows(measurement_table(slicer.mrmlScene), rows)

    def _changed(self, *_: Any) -> None:
        self._dirty = True
