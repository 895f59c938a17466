"""The UniUltra module of 3D Slicer: interactive segmentation of ultrasound, with a server that learns.

This file has the classes that Slicer looks for: module, widget, logic, test. The decisions are made in
`UniUltraLib/control`, `campaign` and `measure`, which are free of Qt.
"""

from __future__ import annotations

from typing import Any, Optional

import slicer
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin


class UniUltra(ScriptedLoadableModule):
    """The module's entry in Slicer's list."""

    def __init__(self, parent: Any) -> None:
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "UniUltra"
        parent.categories = ["Ultrasound", "Segmentation"]
        parent.dependencies = ["Segmentations", "Sequences", "Markups"]
        parent.contributors = ["The UniUltra authors"]
        parent.helpText = (
            "Outline structures in ultrasound stills, cines and volumes by a click, a box, a scribble or a "
            "lasso. A UniUltra server answers with the mask, hands out the images of a campaign, keeps the "
            "labels and learns from them.<br><br>For research use. Not a medical device."
        )
        parent.acknowledgementText = (
            "After UniUltra (arXiv 2511.15771), SAMUS and AutoSAMUS (arXiv 2309.06824), LG-MedSeg (DOI "
            "10.12677/mos.2025.144358) and SAM2."
        )


class UniUltraWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: creates its parts, and forwards Slicer's events to them."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)
        self.logic: Optional[UniUltraLogic] = None
        self.ui: Any = None
        self.panel: Any = None

    def setup(self) -> None:
        """Called once, when the module is opened for the first time."""
        ScriptedLoadableModuleWidget.setup(self)
        from UniUltraLib.panel.panel import Panel

        widget = slicer.util.loadUI(self.resourcePath("UI/UniUltra.ui"))
        self.layout.addWidget(widget)
        self.ui = slicer.util.childWidgetVariables(widget)
        widget.setMRMLScene(slicer.mrmlScene)
        self.logic = UniUltraLogic()
        self.panel = Panel(self.ui, self.logic, self.resourcePath)
        events = slicer.vtkMRMLScene
        self.addObserver(slicer.mrmlScene, events.StartCloseEvent, self.on_scene_closing)
        self.addObserver(slicer.mrmlScene, events.EndCloseEvent, self.on_scene_closed)

    def enter(self) -> None:
        """The module was selected."""
        self.panel.enter()

    def exit(self) -> None:
        """Another module was selected."""
        self.panel.exit()

    def cleanup(self) -> None:
        """Slicer exits, or the module is reloaded."""
        self.removeObservers()
        if self.panel is not None:
            self.panel.close()

    def on_scene_closing(self, *_: Any) -> None:
        """All nodes are about to be removed."""
        self.logic.session.scene_closing()

    def on_scene_closed(self, *_: Any) -> None:
        """The scene is empty."""
        self.logic.session.scene_closed()


class UniUltraLogic(ScriptedLoadableModuleLogic):
    """The module without its panel, for scripts and the Python console."""

    def __init__(self, parent: Any = None) -> None:
        ScriptedLoadableModuleLogic.__init__(self, parent)
        self._session: Any = None

    @property
    def session(self) -> Any:
        """Scene, controller, campaign, measurements and local server; created at the first access."""
        if self._session is None:
            from UniUltraLib.panel.session import Session

            self._session = Session()
        return self._session

    def close(self) -> None:
        """End the threads, close the connection, stop the local server."""
        if self._session is not None:
            self._session.close()
            self._session = None


class UniUltraTest(ScriptedLoadableModuleTest):
    """The self-test that Slicer offers in developer mode; needs no server."""

    def runTest(self) -> None:
        """Run the checks of Testing/Python."""
        self.setUp()
        self.test_panel()

    def setUp(self) -> None:
        """Start with an empty scene."""
        slicer.mrmlScene.Clear(0)

    def test_panel(self) -> None:
        """The module opens, loads an image, and shows the right tools without a server."""
        from UniUltraLib.panel.selftest import check_panel

        check_panel()
        self.delayDisplay("Test passed")
