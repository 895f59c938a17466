"""Slicer's own libraries without the desktop: the globals that `slicer` code expects, and a slice view.

Everything is made once per process; a test empties the scene.
"""

from __future__ import annotations

import ctypes
import sys
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

slicer = pytest.importorskip("slicer", reason="slicer-core is not installed (it comes with the `test` extra)")

import vtk  # noqa: E402
from vtk.util.numpy_support import vtk_to_numpy  # noqa: E402

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
    "vtkMRMLCrosshairDisplayableManager",  # pan, zoom, scroll
    "vtkMRMLScalarBarDisplayableManager",  # window and level by dragging
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

    def reset(self) -> None:
        """An empty scene; without the slice views too, which Slicer keeps when a scene is closed."""
        self.scene.Clear(0)
        for kind in ("vtkMRMLSliceNode", "vtkMRMLSliceCompositeNode"):
            for _ in range(self.scene.GetNumberOfNodesByClass(kind)):
                self.scene.RemoveNode(self.scene.GetNthNodeByClass(0, kind))
        self.fill()
        self.errors.clear()

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


def save_scene(scene: Any, folder: Any) -> None:
    """Save as the desktop does: every storable node into a file of its own, then the `.mrml`."""
    scene.SetRootDirectory(str(folder))
    scene.SetURL(f"{folder}/scene.mrml")
    for n in range(scene.GetNumberOfNodes()):
        node = scene.GetNthNode(n)
        if not node.IsA("vtkMRMLStorableNode") or not node.GetSaveWithScene():
            continue
        if node.GetStorageNode() is None and not node.AddDefaultStorageNode():
            continue
        storage = node.GetStorageNode()
        name = f"{node.GetID()}.{storage.GetDefaultWriteFileExtension()}"
        storage.SetFileName(f"{folder}/{name}")
        if not storage.WriteData(node):
            raise RuntimeError(f"{node.GetClassName()} was not saved")
    if not scene.Commit(f"{folder}/scene.mrml"):
        raise RuntimeError("the scene was not saved")


def load_scene(application: SlicerApplication, folder: Any) -> None:
    """Close the scene and load the one that `save_scene` wrote."""
    scene = application.scene
    scene.Clear(0)
    application.fill()
    # Sequences of segmentations are kept in an archive, for which Slicer wants a cache folder.
    cache, manager = slicer.vtkCacheManager(), slicer.vtkDataIOManager()
    cache.SetRemoteCacheDirectory(str(folder))
    manager.SetCacheManager(cache)
    scene.SetCacheManager(cache)
    scene.SetDataIOManager(manager)
    scene.SetURL(f"{folder}/scene.mrml")
    loaded = scene.Connect()
    # A view that was turned by hand has no preset of its name; Slicer says so and reads its matrix.
    application.errors[:] = [text for text in application.errors if "name: Reformat" not in text]
    if not loaded:
        raise RuntimeError(f"the scene was not loaded: {application.errors}")


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


def needs_rendering() -> None:
    """Skip the test where a system library that rendering needs is missing."""
    if not sys.platform.startswith("linux"):
        return
    for library in ("libEGL.so.1", "libGL.so.1"):
        try:
            ctypes.CDLL(library)
        except OSError:
            pytest.skip(f"rendering needs {library} (Debian packages libegl1 and libgl1)")


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
        # What the desktop's view does with the mouse: window/level, pan, zoom, scroll, markups.
        self.style = slicer.vtkMRMLSliceViewInteractorStyle()
        self.style.SetSliceLogic(self.logic)
        self.style.SetDisplayableManagers(self.managers)
        self.interactor.SetInteractorStyle(vtk.vtkInteractorStyleUser())
        self.style.SetInteractor(self.interactor)
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

    def xy(self, world: Any) -> tuple[float, float]:
        """The view's pixel over a world position."""
        matrix = vtk.vtkMatrix4x4()
        vtk.vtkMatrix4x4.Invert(self.node.GetXYToRAS(), matrix)
        return matrix.MultiplyPoint([*world, 1.0])[:2]

    def mouse(self, xy: Any, *events: str, shift: bool = False, control: bool = False) -> None:
        """Send events of the mouse at a pixel, as the window system would."""
        x, y = (round(float(v)) for v in xy)
        self.interactor.SetEventInformation(x, y, int(control), int(shift), "\0", 0, None)
        for event in events:
            self.interactor.InvokeEvent(event)

    def click(self, world: Any) -> None:
        """Click on a world position; the view is rendered first, as markups expect."""
        self.window.Render()
        self.mouse(self.xy(world), "MouseMoveEvent", "LeftButtonPressEvent", "LeftButtonReleaseEvent")

    def drag(self, path: Any, *, release: bool = True, **modifiers: bool) -> None:
        """Press on the first world position, move over the others, release on the last."""
        places = [self.xy(world) for world in path]
        self.mouse(places[0], "MouseMoveEvent", "LeftButtonPressEvent", **modifiers)
        for place in places[1:]:
            self.mouse(place, "MouseMoveEvent", **modifiers)
        if release:
            self.mouse(places[-1], "LeftButtonReleaseEvent", **modifiers)

    def key(self, symbol: str) -> None:
        """Press and release a key, named as in `Escape`, over where the mouse is."""
        x, y = self.interactor.GetEventPosition()
        self.interactor.SetEventInformation(x, y, 0, 0, "\0", 0, symbol)
        for event in ("KeyPressEvent", "KeyReleaseEvent"):
            self.interactor.InvokeEvent(event)

    def close(self) -> None:
        """Let go of the scene."""
        self.style.SetInteractor(None)
        self.style.SetDisplayableManagers(None)
        self.logic.RemoveObserver(self.tag)
        self.application.logic.GetSliceLogics().RemoveItem(self.logic)
        self.managers.SetMRMLDisplayableNode(None)
        nodes = (self.node, self.logic.GetSliceCompositeNode())
        self.logic.SetMRMLScene(None)
        for node in nodes:  # clearing the scene would keep them, and the next view of this name get none
            if node is not None and node.GetScene() is not None:
                node.GetScene().RemoveNode(node)
        self.window.Finalize()
