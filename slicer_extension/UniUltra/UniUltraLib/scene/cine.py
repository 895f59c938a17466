"""A cine in the scene: a sequence of one-slice volumes, its browser, and a segmentation for every frame.

The server knows a cine as one image of (I,J,T) voxels whose slice k is the frame; in the scene every frame
is a volume of its own with k = 0. A frame is an item number of the browser, never a slice offset.
"""

from __future__ import annotations

from typing import Any, Optional, Sequence

import numpy as np
import slicer

from ..errors import SceneError
from ..prompts.planes import Plane, Size
from . import coordinates
from .coordinates import image_size
from .segments import new_segmentation, read_plane, write_plane

FRAME_PLANE = Plane("k", 0)


def frames_of(browser: Any) -> Any:
    """The sequence of image frames that a browser steps through.

    Raises:
        SceneError: there is no browser, or it has no frames.
    """
    sequence = browser.GetMasterSequenceNode() if browser is not None else None
    if sequence is None or sequence.GetNumberOfDataNodes() == 0:
        raise SceneError("Expected a sequence browser with frames; got none. Load or choose a cine first.")
    return sequence


def current_frame(browser: Any) -> int:
    """The frame that the browser shows.

    Raises:
        SceneError: see `frames_of`; or no frame is selected.
    """
    frames_of(browser)
    frame = browser.GetSelectedItemNumber()
    if frame < 0:
        raise SceneError("No frame of the cine is selected. Move the sequence slider to a frame.")
    return frame


def show_frame(browser: Any, frame: int) -> None:
    """Have the browser show a frame.

    Raises:
        OutsideImage: the cine has no such frame.
    """
    Plane("k", frame).check(cine_size(browser))
    browser.SetSelectedItemNumber(frame)
    slicer.modules.sequences.logic().UpdateProxyNodesFromSequences(browser)


def cine_size(browser: Any) -> Size:
    """(I,J,T) of the cine.

    Raises:
        SceneError: see `frames_of`; or a frame has more than one slice.
    """
    sequence = frames_of(browser)
    i, j, k = image_size(sequence.GetNthDataNode(0))
    if k != 1:
        raise SceneError(f"Expected frames of one slice; got {k} slices. Work on each volume by itself.")
    return i, j, sequence.GetNumberOfDataNodes()


def frame_array(browser: Any, frame: int) -> np.ndarray:
    """One frame, (J,I) or (J,I,3); a view, whether or not the browser shows it.

    Raises:
        OutsideImage: the cine has no such frame.
    """
    Plane("k", frame).check(cine_size(browser))
    return coordinates.voxels(frames_of(browser).GetNthDataNode(frame))[0]


def all_frames(browser: Any) -> np.ndarray:
    """All frames, (T,J,I) or (T,J,I,C).

    Raises:
        SceneError: see `cine_size`; or the frames are not of one size.
    """
    frames = [frame_array(browser, n) for n in range(cine_size(browser)[2])]
    if len({frame.shape for frame in frames}) != 1:
        raise SceneError("Expected frames of one size; got several. Split the cine where its size changes.")
    return np.stack(frames)


def add_masks(scene: Any, browser: Any, name: str) -> Any:
    """A sequence with an empty segmentation for every frame, shown and edited along with the frames."""
    images = frames_of(browser)
    shown = browser.GetProxyNode(images)
    segmentation = new_segmentation(scene, shown, name)
    masks = scene.AddNewNodeByClass("vtkMRMLSequenceNode", f"{name} frames")
    masks.SetIndexName(images.GetIndexName())
    masks.SetIndexUnit(images.GetIndexUnit())
    masks.SetIndexType(images.GetIndexType())
    # All frames at once: on a frame without an item of its own, Slicer would drop what is drawn there.
    for frame in range(images.GetNumberOfDataNodes()):
        masks.SetDataNodeAtValue(segmentation, images.GetNthIndexValue(frame))
    browser.AddSynchronizedSequenceNodeID(masks.GetID())
    browser.AddProxyNode(segmentation, masks, False)
    browser.SetSaveChanges(masks, True)
    return masks


def add_segment(browser: Any, masks: Any, name: str, colour: Optional[Sequence[float]] = None) -> str:
    """Add a segment, still empty, to every frame; gives its id, the same on all of them."""
    nodes = [browser.GetProxyNode(masks)]
    nodes += [masks.GetNthDataNode(frame) for frame in range(masks.GetNumberOfDataNodes())]
    taken = {s for node in nodes for s in node.GetSegmentation().GetSegmentIDs()}
    segment = next(s for s in (name, *(f"{name}_{n}" for n in range(1, len(taken) + 2))) if s not in taken)
    for node in nodes:
        if node.GetSegmentation().GetSegment(segment) is None:
            node.GetSegmentation().AddEmptySegment(segment, name, colour or (1.0, 0.7, 0.1))
    return segment


def write_frame(browser: Any, masks: Any, frame: int, segment: str, mask: np.ndarray) -> None:
    """Make `mask` (J,I) all that `segment` holds on one frame; other frames and segments stay.

    Raises:
        OutsideImage: the cine has no such frame.
        SceneError: see `segments.write_block`.
    """
    Plane("k", frame).check(cine_size(browser))
    if frame == current_frame(browser):
        # What is shown is a copy, which the browser saves back into the sequence.
        shown = browser.GetProxyNode(frames_of(browser))
        write_plane(browser.GetProxyNode(masks), segment, shown, FRAME_PLANE, mask)
    else:
        image = frames_of(browser).GetNthDataNode(frame)
        write_plane(masks.GetNthDataNode(frame), segment, image, FRAME_PLANE, mask)


def read_frame(browser: Any, masks: Any, frame: int, segment: str) -> np.ndarray:
    """What `segment` holds on one frame, (J,I) bool.

    Raises:
        OutsideImage: the cine has no such frame.
        SceneError: see `segments.write_block`.
    """
    Plane("k", frame).check(cine_size(browser))
    image = frames_of(browser).GetNthDataNode(frame)
    return read_plane(masks.GetNthDataNode(frame), segment, image, FRAME_PLANE)
