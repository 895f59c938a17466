"""Images of the kinds that ultrasound comes in, as nodes of the scene."""

from __future__ import annotations

from typing import Any

import numpy as np
from slicer_harness import slicer, volume_node, vtk_matrix

LPS = np.diag([-0.4, -0.5, 0.8, 1.0])
SHEARED = np.array([[0.3, -0.1, 0.2, 5], [0.1, 0.4, 0, 6], [-0.05, 0, 1.5, 7], [0, 0, 0, 1]])
TURNED = np.array([[0, -1, 0, 40], [1, 0, 0, -9], [0, 0, 1, 7], [0, 0, 0, 1.0]])
CENTRE, RADII = np.array([60, 45, 20]), np.array([22, 16, 11])


def ball(size: tuple[int, int, int] = (120, 90, 40)) -> np.ndarray:
    """(K,J,I) bool of an ellipsoid."""
    k, j, i = np.indices(size[::-1])
    return sum(((a - c) / r) ** 2 for a, c, r in zip((i, j, k), CENTRE, RADII, strict=True)) <= 1


def speckle(inside: np.ndarray, seed: int = 0) -> np.ndarray:
    """Bright speckle, dark where `inside`."""
    rng = np.random.default_rng(seed)
    return np.clip(rng.rayleigh(np.where(inside, 9, 55)), 0, 255).astype(np.uint8)


def still(rgb: bool = False) -> Any:
    """One slice of 120 x 90 pixels."""
    array = speckle(ball()[20:21])
    return volume_node(np.stack([array, array // 2, 255 - array], -1) if rgb else array, LPS)


def volume(place: np.ndarray = LPS) -> Any:
    """120 x 90 x 40 voxels."""
    return volume_node(speckle(ball()), place)


def cine(scene: Any, frames: int = 6, rgb: bool = True) -> Any:
    """A browser over frames of 120 x 90 pixels, indexed by seconds, the first of them shown."""
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", "echo")
    sequence.SetIndexName("time")
    sequence.SetIndexUnit("s")
    for n in range(frames):
        array = speckle(ball()[20:21], n)
        frame = volume_node(np.stack([array] * 3, -1) if rgb else array, LPS, "frame")
        sequence.SetDataNodeAtValue(frame, f"{n * 0.033:.3f}")
        scene.RemoveNode(frame)
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", "browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    browse(browser, 0)
    return browser


def browse(browser: Any, frame: int) -> None:
    """Move the sequence slider."""
    browser.SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def slice_node(scene: Any, name: str = "Red", orientation: str = "Axial", shows: Any = None) -> Any:
    """A slice view's nodes, without the view."""
    node = scene.CreateNodeByClass("vtkMRMLSliceNode")  # with the orientations that new views get
    node.UnRegister(None)
    node.SetName(name)
    node.SetLayoutName(name)
    node = scene.AddNode(node)
    node.SetOrientation(orientation)
    composite = slicer.vtkMRMLSliceCompositeNode()
    composite.SetLayoutName(name)
    composite = scene.AddNode(composite)
    if shows is not None:
        composite.SetBackgroundVolumeID(shows.GetID())
    return node


def viewed(scene: Any, place: np.ndarray = LPS) -> tuple[Any, Any]:
    """A volume, and an axial view of it."""
    node = volume(place)
    return node, slice_node(scene, shows=node)


def askew(node: Any, world: Any) -> None:
    """Turn a slice view out of every axis, through a world position."""
    node.SetSliceToRASByNTP(0.2, -0.5, 0.84, 0.97, 0, -0.24, *world, 0)


def move(scene: Any, node: Any, matrix: np.ndarray = TURNED) -> Any:
    """Put a node under a linear transform; gives the transform node."""
    transform = scene.AddNewNodeByClass("vtkMRMLLinearTransformNode")
    transform.SetMatrixTransformToParent(vtk_matrix(matrix))
    node.SetAndObserveTransformNodeID(transform.GetID())
    return transform


def paint(segmentation: Any, segment: str, reference: Any, array: np.ndarray) -> None:
    """Set all of a segment, (K,J,I), as Slicer's own tools do."""
    slicer.util.updateSegmentBinaryLabelmapFromArray(
        np.asarray(array, np.uint8), segmentation, segment, reference
    )


def whole(segmentation: Any, segment: str, reference: Any) -> np.ndarray:
    """All of a segment, (K,J,I), as Slicer's own function reads it."""
    return slicer.util.arrayFromSegmentBinaryLabelmap(segmentation, segment, reference).astype(bool)


class Heard:
    """What a `SlicerScene` told."""

    def __init__(self, scene: Any) -> None:
        from UniUltraLib.prompts.shown import EVENTS

        self.events: list[tuple[Any, ...]] = []
        for event in EVENTS:
            scene.on(event, lambda *values, event=event: self.events.append((event, *values)))

    def take(self) -> list[tuple[Any, ...]]:
        """What was told since the last time."""
        events, self.events[:] = list(self.events), []
        return events
