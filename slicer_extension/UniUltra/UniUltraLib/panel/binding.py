"""Writes looks (see `look`) to the widgets, and connects widgets to callbacks."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

import qt

from .keys import labelled

# Rows of a table that are visible without scrolling.
FEWEST_ROWS, MOST_ROWS = 2, 7


class Binding:
    """The widgets of the panel by name.

    A property is written only when it has changed, and without signals: nothing flickers, no text cursor
    jumps, and no callback answers a change that came from here.
    """

    def __init__(self, ui: Any) -> None:
        self.ui = ui
        self.sequences: Mapping[str, str] = {}
        self._last: Dict[Tuple[str, str], Any] = {}
        self._items: Dict[str, Tuple[Tuple[str, str], ...]] = {}
        self._rows: Dict[str, Sequence[Sequence[str]]] = {}

    def show(self, looks: Mapping[str, Mapping[str, Any]]) -> None:
        """Write the properties in `looks` that have changed."""
        for name, properties in looks.items():
            for key, value in properties.items():
                if (name, key) in self._last and self._last[name, key] == value:
                    continue
                self._last[name, key] = value
                self._write(name, key, value)

    def forget(self, name: str, key: str) -> None:
        """Write this property at the next `show`, because the person may have changed it since."""
        self._last.pop((name, key), None)

    def items(self, name: str, items: Sequence[Tuple[str, str]], chosen: str) -> None:
        """Fill a combo box with (value, text) pairs and select a value."""
        box = getattr(self.ui, name)
        before = box.blockSignals(True)
        if self._items.get(name) != tuple(items):
            self._items[name] = tuple(items)
            box.clear()
            for row, (value, text) in enumerate(items):
                box.addItem(text, value)
                box.setItemData(row, text, qt.Qt.ToolTipRole)
        index = next((n for n, (value, _) in enumerate(items) if value == chosen), -1)
        if index >= 0 and box.currentIndex != index:
            box.setCurrentIndex(index)
        box.blockSignals(before)

    def chosen(self, name: str) -> str:
        """The selected value of a combo box filled by `items`; empty when nothing is selected."""
        index = getattr(self.ui, name).currentIndex
        items = self._items.get(name, ())
        return items[index][0] if 0 <= index < len(items) else ""

    def table(self, name: str, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> bool:
        """Show rows of texts under a heading; returns whether they have changed."""
        if self._rows.get(name) == rows:
            return False
        self._rows[name] = rows
        table = getattr(self.ui, name)
        table.setColumnCount(len(columns))
        table.setHorizontalHeaderLabels(list(columns))
        table.setRowCount(len(rows))
        for row, cells in enumerate(rows):
            for column, text in enumerate(cells):
                table.setItem(row, column, qt.QTableWidgetItem(text))
        table.verticalHeader().setVisible(False)
        # The last column takes the remaining width, except while the columns are fitted.
        table.horizontalHeader().setStretchLastSection(False)
        table.resizeColumnsToContents()
        table.horizontalHeader().setStretchLastSection(True)
        table.resizeRowsToContents()
        high = table.rowHeight(0) if rows else table.horizontalHeader().height
        seen = min(max(len(rows), FEWEST_ROWS), MOST_ROWS)
        table.setFixedHeight(table.horizontalHeader().height + seen * high + 6)
        return True

    def clicked(self, name: str, call: Callable[[], Any]) -> None:
        """Call a function when a button is clicked."""
        getattr(self.ui, name).connect("clicked(bool)", lambda *_: call())

    def picked(self, name: str, call: Callable[[str], Any]) -> None:
        """Call a function with the value that the person selects in a combo box filled by `items`."""
        getattr(self.ui, name).connect("activated(int)", lambda *_: call(self.chosen(name)))

    def _write(self, name: str, key: str, value: Any) -> None:
        widget = getattr(self.ui, name)
        if key == "text" and name in self.sequences:
            value = labelled(value, self.sequences[name])
        before = widget.blockSignals(True)
        setattr(widget, key, value)
        widget.blockSignals(before)
