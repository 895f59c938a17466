"""Takes an image of the campaign out of the scene once its label is kept, with all that was made for it."""

from __future__ import annotations

from typing import Any, List

import vtk


def unload(scene: Any, node: Any) -> None:
    """Remove a volume or a sequence browser, what the browser shows, and segmentations on it."""
    nodes: List[Any] = [node]
    if node.IsA("vtkMRMLSequenceBrowserNode"):
        sequences = vtk.vtkCollection()
        node.GetSynchronizedSequenceNodes(sequences, True)
        for n in range(sequences.GetNumberOfItems()):
            sequence = sequences.GetItemAsObject(n)
            nodes += [node.GetProxyNode(sequence), sequence]
    held = {one.GetID() for one in nodes if one is not None}
    for n in range(scene.GetNumberOfNodesByClass("vtkMRMLSegmentationNode")):
        segmentation = scene.GetNthNodeByClass(n, "vtkMRMLSegmentationNode")
        role = segmentation.GetReferenceImageGeometryReferenceRole()
        if segmentation.GetNodeReferenceID(role) in held:
            nodes.append(segmentation)
    for one in nodes:
        if one is not None and one.GetScene() is scene:
            scene.RemoveNode(one)
