"""Slicer's segment editor inside the panel, on the segmentation of the open image."""

from __future__ import annotations

from typing import Any

import slicer

from .section import Section

EFFECTS = ("Paint", "Draw", "Erase", "Scissors", "Islands", "Smoothing")
NODE_TAG = "UniUltraSegmentEditor"


class SegmentsPart(Section):
    """Keeps the editor's node, segmentation, image and segment in step with the panel."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.editor = self.ui.segmentEditor
        self.editor.setEffectNameOrder(EFFECTS)
        self._node: Any = None
        self._tag: Any = None
        self._shown: Any = (None, None)
        self.session.scene.save_undo = self.editor.saveStateForUndo
        self.editor.connect("currentSegmentIDChanged(QString)", lambda *_: self.chosen())

    def chosen(self) -> None:
        """The person chose a segment in the editor's list."""
        segment = self.editor.currentSegmentID()
        if segment and segment != self.controller.state.segment:
            self.controller.select_segment(segment)

    def update(self) -> None:
        """Follow the open image and the chosen segment."""
        self._give_node()
        scene = self.session.scene
        nodes = (scene.segmentation, scene.volume if scene.is_open else None)
        if nodes != self._shown:
            _show(self._shown[0], False)
            _show(nodes[0], True)
            self._shown = nodes
            self.editor.setSegmentationNode(nodes[0])
            self.editor.setSourceVolumeNode(nodes[1])
        segment = self.controller.state.segment
        if segment and nodes[0] is not None and self.editor.currentSegmentID() != segment:
            self.editor.setCurrentSegmentID(segment)

    def _give_node(self) -> None:
        """Give the editor its own node, once per scene, so that Slicer's Segment Editor keeps its state."""
        node = slicer.mrmlScene.GetSingletonNode(NODE_TAG, "vtkMRMLSegmentEditorNode")
        if node is not None and node is self._node:
            return
        if node is None:
            node = slicer.vtkMRMLSegmentEditorNode()
            node.SetSingletonTag(NODE_TAG)
            node = slicer.mrmlScene.AddNode(node)
        # By Slicer's default, painting one segment would take voxels from the others.
        node.SetOverwriteMode(node.OverwriteNone)
        self.forget_node()
        self._node, self._tag = node, node.AddObserver("ModifiedEvent", self._effect_changed)
        self.editor.setMRMLSegmentEditorNode(node)

    def forget_node(self) -> None:
        """Stop observing the editor's node."""
        if self._node is not None:
            self._node.RemoveObserver(self._tag)
        self._node = None

    def _effect_changed(self, node: Any, _event: Any) -> None:
        """When one of Slicer's effects is activated, put our tool down."""
        if node.GetActiveEffectName():
            self.session.tools.put_down()


def _show(segmentation: Any, visible: bool) -> None:
    """Show or hide a segmentation: masks of another image would cover the current one."""
    if segmentation is not None and segmentation.GetScene() is not None:
        display = segmentation.GetDisplayNode()
        if display is not None:
            display.SetVisibility(visible)
