"""Slicer's own libraries without the desktop: the globals that `slicer` code expects, and a slice view.

Everything is made once per process; a test empties the scene.
"""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import slicer
import vtk
from vtk.util.numpy_support import vtk_to_numpy

_LOGICS = {
    "Colors": "vtkMRMLColorLogic",
    "Volumes": "vtkSlicerVolumesLogic",
    "Terminologies": "vtkSlicerTerminologiesModuleLogic",
    "SubjectHierarchy": "vtkSlicerSubjectHierarchyModuleLogic",
    "Segmentations": "vtkSlicerSegmentationsModuleLogic",
    "Markups": "vtkSlicerMarkupsLogic",
    "Sequences": "vtkSlicerSequencesLogic",
}
_MANAGERS = (
    "vtkMRMLModelSliceDisplayableManager",
    "vtkMRMLSegmentationsDisplayableManager2D",
    "vtkMRMLMarkupsDisplayableManager",
)


class SlicerApplication:
    """The scene, the application logic and the module logics that the desktop would have."""

    def __init__(self) -> None:
        self.errors = self._record_errors()
        self.scene = slicer.vtkMRMLScene()
        self.logic = slicer.vtkSlicerApplicationLogic()
        self.logic.SetMRMLScene(self.scene)
        self.logic.SetSliceLogics(vtk.vtkCollection())
        self.logic.SetViewLogics(vtk.vtkCollection())
        slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance().SetMRMLApplicationLogic(self.logic)
        modules = SimpleNamespace()
        for name, class_name in _LOGICS.items():
            logic = getattr(slicer, class_name)()
            logic.SetMRMLScene(self.scene)
            if hasattr(logic, "SetMRMLApplicationLogic"):
                logic.SetMRMLApplicationLogic(self.logic)
            self.logic.SetModuleLogic(name, logic)
            setattr(modules, name.lower(), SimpleNamespace(logic=lambda logic=logic: logic))
        self.modules = modules
        self.fill()
        slicer.mrmlScene, slicer.modules = self.scene, modules
        slicer.app = SimpleNamespace(applicationLogic=lambda: self.logic, processEvents=lambda: None)

    def fill(self) -> None:
        """Add the nodes that a new scene of the desktop has."""
        self.logic.GetColorLogic().SetMRMLScene(self.scene)
        self.logic.GetColorLogic().AddDefaultColorNodes()
        slicer.vtkMRMLSliceNode.AddDefaultSliceOrientationPresets(self.scene, True)

    def load(self, path: Any, name: str = "image") -> Any:
        """A volume node of a file that slicer-core can read."""
        node = self.modules.volumes.logic().AddArchetypeVolume(str(path), name, 0)
        if node is None:
            raise RuntimeError("slicer-core could not read the test's image file")
        return node

    def _record_errors(self) -> list[str]:
        errors: list[str] = []
        window = vtk.vtkOutputWindow()
        window.SetDisplayModeToNever()
        vtk.vtkOutputWindow.SetInstance(window)

        def note(_caller: Any, _event: str, text: str) -> None:
            errors.append(text.strip())

        note.CallDataType = vtk.VTK_STRING  # type: ignore[attr-defined]
        window.AddObserver("ErrorEvent", note)
        vtk.vtkLogger.SetStderrVerbosity(vtk.vtkLogger.VERBOSITY_OFF)
        self._window = window
        return errors


def volume_node(array: np.ndarray, ijk_to_ras: Any = None, name: str = "image") -> Any:
    """A volume node of a (K,J,I) or (K,J,I,3) array."""
    kind = "vtkMRMLVectorVolumeNode" if array.ndim == 4 else "vtkMRMLScalarVolumeNode"
    node = slicer.mrmlScene.AddNewNodeByClass(kind, name)
    slicer.util.updateVolumeFromArray(node, array)
    if ijk_to_ras is not None:
        node.SetIJKToRASMatrix(vtk_matrix(ijk_to_ras))
    return node


def vtk_matrix(array: Any) -> vtk.vtkMatrix4x4:
    """A 4x4 array as VTK has it."""
    matrix = vtk.vtkMatrix4x4()
    matrix.DeepCopy(np.asarray(array, float).ravel())
    return matrix


def missing_gl() -> str:
    """The system library that rendering lacks, or nothing."""
    if not sys.platform.startswith("linux"):
        return ""
    for library in ("libEGL.so.1", "libGL.so.1"):
        try:
            ctypes.CDLL(library)
        except OSError:
            return library
    return ""


class SliceView:
    """One slice view, rendered off the screen; call `close` before the scene is emptied."""

    def __init__(self, application: SlicerApplication, size: tuple[int, int], name: str = "Red") -> None:
        self.application = application
        self.renderer = vtk.vtkRenderer()
        self.renderer.GetActiveCamera().ParallelProjectionOn()
        self.window = vtk.vtkRenderWindow()
        self.window.ShowWindowOff()
        self.window.SetOffScreenRendering(1)
        self.window.SetMultiSamples(8)
        self.window.SetSize(*size)
        self.window.AddRenderer(self.renderer)
        self.interactor = vtk.vtkRenderWindowInteractor()
        self.interactor.SetRenderWindow(self.window)
        self.interactor.Initialize()
        factory = slicer.vtkMRMLSliceViewDisplayableManagerFactory.GetInstance()
        for manager in _MANAGERS:
            if not factory.IsDisplayableManagerRegistered(manager):
                factory.RegisterDisplayableManager(manager)
        self.managers = slicer.vtkMRMLDisplayableManagerGroup()
        self.managers.SetRenderer(self.renderer)
        self.managers.Initialize(factory, self.renderer)
        self.logic = slicer.vtkMRMLSliceLogic()
        self.logic.SetMRMLApplicationLogic(application.logic)
        application.logic.GetSliceLogics().AddItem(self.logic)
        self.logic.SetMRMLScene(application.scene)
        self.node = self.logic.AddSliceNode(name)
        self.managers.SetMRMLDisplayableNode(self.node)
        self._add_picture()
        self.node.SetDimensions(size[0], size[1], 1)
        self.logic.ResizeSliceNode(*size)

    def _add_picture(self) -> None:
        self.mapper = vtk.vtkImageMapper()
        self.mapper.SetColorWindow(255)
        self.mapper.SetColorLevel(127.5)
        actor = vtk.vtkActor2D()
        actor.SetMapper(self.mapper)
        actor.GetProperty().SetDisplayLocationToBackground()
        self.renderer.AddViewProp(actor)
        # The blended picture is another object whenever the layers change.
        self.tag = self.logic.AddObserver(
            "ModifiedEvent", lambda *_: self.mapper.SetInputConnection(self.logic.GetImageDataConnection())
        )

    def show(self, volume: Any, orientation: str = "Axial") -> None:
        """Show a volume, filling the view; the slice through its middle."""
        self.node.SetOrientation(orientation)
        self.logic.GetSliceCompositeNode().SetBackgroundVolumeID(volume.GetID())
        self.logic.FitSliceToAll()

    def picture(self) -> np.ndarray:
        """What the view shows now, (H,W,3) uint8."""
        self.window.Render()
        grab = vtk.vtkWindowToImageFilter()
        grab.SetInput(self.window)
        grab.ReadFrontBufferOff()
        grab.Update()
        image = grab.GetOutput()
        width, height, _ = image.GetDimensions()
        return vtk_to_numpy(image.GetPointData().GetScalars()).reshape(height, width, -1)[::-1].copy()

    def close(self) -> None:
        """Let go of the scene."""
        self.logic.RemoveObserver(self.tag)
        self.application.logic.GetSliceLogics().RemoveItem(self.logic)
        self.managers.SetMRMLDisplayableNode(None)
        self.logic.SetMRMLScene(None)
        self.window.Finalize()
