"""Small pictures painted by the panel: training curve, frames of a cine, colour of a label."""

from __future__ import annotations

from typing import Any, Collection, List, Optional, Sequence, Tuple

import qt

# Painted larger than shown, for high-resolution screens.
DENSITY = 2
_GREEN, _BLUE = "#2e9e5b", "#2f80d0"


def _canvas(width: int, height: int) -> Tuple[Any, Any]:
    pixmap = qt.QPixmap(width * DENSITY, height * DENSITY)
    pixmap.fill(qt.QColor(0, 0, 0, 0))
    painter = qt.QPainter()
    painter.begin(pixmap)
    painter.setRenderHint(qt.QPainter.Antialiasing)
    painter.scale(DENSITY, DENSITY)
    return pixmap, painter


def _done(pixmap: Any, painter: Any) -> Any:
    painter.end()
    pixmap.setDevicePixelRatio(DENSITY)
    return pixmap


def swatch(colour: Sequence[float]) -> Any:
    """An icon of a colour (red, green, blue from 0 to 1)."""
    pixmap, painter = _canvas(14, 14)
    painter.setPen(qt.QColor(128, 128, 128))
    painter.setBrush(qt.QColor(*(round(255 * part) for part in colour)))
    painter.drawRoundedRect(1, 1, 12, 12, 3, 3)
    return qt.QIcon(_done(pixmap, painter))


def frame_strip(width: int, frames: int, done: Collection[int], current: Optional[int]) -> Any:
    """One cell per frame: filled when it is done, with a mark below the shown one."""
    pixmap, painter = _canvas(width, 16)
    step = width / max(frames, 1)
    gap = 1.0 if step >= 4 else 0.0
    for frame in range(frames):
        painter.setPen(qt.Qt.NoPen)
        painter.setBrush(qt.QColor(_GREEN) if frame in done else qt.QColor(128, 128, 128, 90))
        painter.drawRect(qt.QRectF(frame * step, 1, max(step - gap, 1.0), 9))
    if current is not None:
        painter.setBrush(qt.QColor(_BLUE))
        painter.drawRect(qt.QRectF(current * step, 12, max(step - gap, 3.0), 3))
    return _done(pixmap, painter)


def curve(width: int, points: Sequence[Tuple[float, float]], text: Any, font: Any) -> Any:
    """Validation Dice (0 to 1) over epochs, the best one marked; `text` is the palette's colour of text."""
    height, left, bottom, top = 96, 30, 16, 6
    pixmap, painter = _canvas(width, height)
    painter.setFont(font)
    wide, high = width - left - 8, height - bottom - top
    first, last = points[0][0], max(points[-1][0], points[0][0] + 1)

    def place(point: Tuple[float, float]) -> Tuple[float, float]:
        share = (point[0] - first) / (last - first)
        return left + wide * share, top + high * (1 - min(max(point[1], 0.0), 1.0))

    faint = qt.QColor(128, 128, 128, 110)
    for level in (0.0, 0.5, 1.0):
        y = place((first, level))[1]
        painter.setPen(faint)
        painter.drawLine(qt.QPointF(left, y), qt.QPointF(left + wide, y))
        painter.setPen(text)
        painter.drawText(
            qt.QRectF(0, y - 8, left - 5, 16), int(qt.Qt.AlignRight | qt.Qt.AlignVCenter), f"{level:.1f}"
        )
    painter.drawText(qt.QRectF(left, height - bottom, wide, bottom), int(qt.Qt.AlignRight), f"epoch {last:g}")
    _line(painter, [place(point) for point in points])
    best = max(points, key=lambda point: point[1])
    x, y = place(best)
    painter.setBrush(qt.QColor(_GREEN))
    painter.setPen(qt.Qt.NoPen)
    painter.drawEllipse(qt.QPointF(x, y), 3.5, 3.5)
    return _done(pixmap, painter)


def _line(painter: Any, places: List[Tuple[float, float]]) -> None:
    pen = qt.QPen(qt.QColor(_BLUE))
    pen.setWidthF(1.8)
    painter.setPen(pen)
    for n in range(len(places) - 1):
        painter.drawLine(qt.QPointF(*places[n]), qt.QPointF(*places[n + 1]))
