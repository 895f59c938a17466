"""Removes an image of the campaign from the scene once its label is saved, with its derived nodes."""

from __future__ import annotations

from typing import Any, List

import vtk

from .open_volume import nodes_of


def unload(scene: Any, node: Any) -> None:
    """Remove a volume or a sequence browser with its sequences, proxy nodes and segmentations."""
    nodes: List[Any] = [node]
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        sequences = vtk.vtkCollection()
        node.GetSynchronizedSequenceNodes(sequences, True)
        for n in range(sequences.GetNumberOfItems()):
            sequence = sequences.GetItemAsObject(n)
            nodes += [node.GetProxyNode(sequence), sequence]
    images = {image.GetID() for image in nodes if image is not None}
    for segmentation in nodes_of(scene, "vtkMRMLSegmentationNode"):
        role = segmentation.GetReferenceImageGeometryReferenceRole()
        if segmentation.GetNodeReferenceID(role) in images:
            nodes.append(segmentation)
    for finished in nodes:
        if finished is not None and finished.GetScene() is scene:
            scene.RemoveNode(finished)
