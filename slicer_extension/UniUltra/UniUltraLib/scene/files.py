"""Loads image files into the scene: stills, cines as sequences, volumes."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Union

import slicer

from ..errors import SceneError
from ..prompts.shown import CINE
from . import coordinates

# Without this option, Slicer loads files whose names differ only in a number as slices of one volume.
_SINGLE_FILE = 4
_SEQUENCES = (".seq.nrrd", ".seq.nhdr")


def load_image(scene: Any, file: Union[str, Path], name: str, kind: str) -> Any:
    """Load an image file as a volume node or, for `kind` cine, as a sequence browser.

    Raises:
        SceneError: Slicer cannot read the file.
    """
    path = Path(file)
    if path.name.lower().endswith(_SEQUENCES):
        return _browser(scene, _read_sequence(scene, path, name), name)
    volume = _read_volume(path, name)
    if kind != CINE:
        return volume
    sequence = split_frames(scene, volume, name)
    scene.RemoveNode(volume)
    return _browser(scene, sequence, name)


def split_frames(scene: Any, volume: Any, name: str) -> Any:
    """Split a volume into a sequence of one-slice volumes, all in the place of the first slice."""
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    sequence.SetIndexName("frame")
    sequence.SetIndexUnit("")
    frame = scene.AddNewNodeByClass(volume.GetClassName(), f"{name} frame")
    frame.SetIJKToRASMatrix(coordinates.vtk_matrix_of(volume.GetIJKToRASMatrix))
    for number, voxels in enumerate(coordinates.voxels(volume)):
        slicer.util.updateVolumeFromArray(frame, voxels[None])
        sequence.SetDataNodeAtValue(frame, str(number))
    scene.RemoveNode(frame)
    return sequence


def show_in_views(volume: Any) -> None:
    """Make a volume the background of every slice view, filling it."""
    logic = slicer.app.applicationLogic()
    logic.GetSelectionNode().SetActiveVolumeID(volume.GetID())
    logic.PropagateVolumeSelection(1)


def _read_volume(path: Path, name: str) -> Any:
    node = slicer.modules.volumes.logic().AddArchetypeVolume(str(path), name, _SINGLE_FILE)
    if node is None:
        raise SceneError(
            f"Slicer cannot read {path.suffix or 'this'} files. Convert the image to NRRD or DICOM."
        )
    return node


def _read_sequence(scene: Any, path: Path, name: str) -> Any:
    storage = scene.AddNewNodeByClass("vtkMRMLVolumeSequenceStorageNode")
    storage.SetFileName(str(path))
    sequence = scene.AddNewNodeByClass("vtkMRMLSequenceNode", name)
    if not storage.ReadData(sequence):
        scene.RemoveNode(sequence)
        scene.RemoveNode(storage)
        raise SceneError("Slicer cannot read this sequence file. Save the cine again.")
    return sequence


def _browser(scene: Any, sequence: Any, name: str) -> Any:
    browser = scene.AddNewNodeByClass("vtkMRMLSequenceBrowserNode", f"{name} browser")
    browser.SetAndObserveMasterSequenceNodeID(sequence.GetID())
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)
    return browser
