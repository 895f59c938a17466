"""A slice view the way a radiologist sees it: image, mask, clicks."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

GREEN = (0.2, 1.0, 0.3)
AMBER, BLUE = (1.0, 0.72, 0.1), (0.4, 0.75, 1.0)


def add_clicks(scene: Any, name: str, places: Any, colour: tuple[float, float, float]) -> Any:
    """Control points at world positions, drawn as dots without labels."""
    node = _markups(scene, "vtkMRMLMarkupsFiducialNode", name, places, colour)
    node.GetDisplayNode().SetGlyphTypeFromString("Circle2D")
    node.GetDisplayNode().SetGlyphScale(3.4)
    return node


def add_outline(scene: Any, places: Any, colour: tuple[float, float, float]) -> Any:
    """A closed curve through world positions, drawn as a line without its control points."""
    node = _markups(scene, "vtkMRMLMarkupsClosedCurveNode", "lasso", places, colour)
    display = node.GetDisplayNode()
    display.SetGlyphScale(0.01)
    display.SetCurveLineSizeMode(display.UseLineDiameter)  # else it would be as thin as the glyphs
    display.SetLineDiameter(0.6)
    return node


def _markups(scene: Any, kind: str, name: str, places: Any, colour: tuple[float, float, float]) -> Any:
    node = scene.AddNewNodeByClass(kind, name)
    node.CreateDefaultDisplayNodes()
    for place in places:
        node.AddControlPoint(place)
        node.SetNthControlPointLabel(node.GetNumberOfControlPoints() - 1, "")
    display = node.GetDisplayNode()
    display.SetSelectedColor(*colour)
    display.SetColor(*colour)
    display.SetPointLabelsVisibility(False)
    display.SetPropertiesLabelVisibility(False)
    return node


def style_segment(segmentation: Any) -> None:
    """A filled mask through which the image shows, with a firm outline."""
    display = segmentation.GetDisplayNode()
    display.SetOpacity2DFill(0.28)
    display.SetOpacity2DOutline(1.0)
    display.SetSliceIntersectionThickness(3)


def zoom_to(view: Any, centre: Any, height_mm: float) -> None:
    """Centre a slice view on a world position; `height_mm` of the slice fill its height."""
    width, height = view.node.GetDimensions()[:2]
    view.node.SetFieldOfView(height_mm * width / height, height_mm, view.node.GetFieldOfView()[2])
    view.node.JumpSliceByCentering(*centre)


def save(picture: np.ndarray, file: Path) -> None:
    """An (H,W,3) uint8 picture as a small PNG."""
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(picture).save(file, optimize=True)
