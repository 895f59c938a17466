"""Fills a table widget with texts."""

from __future__ import annotations

from typing import Any, Sequence

import qt


def fill(table: Any, columns: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Show rows under a heading; the last column takes the room that is left."""
    table.setColumnCount(len(columns))
    table.setHorizontalHeaderLabels(list(columns))
    table.setRowCount(len(rows))
    for row, cells in enumerate(rows):
        for column, text in enumerate(cells):
            table.setItem(row, column, qt.QTableWidgetItem(text))
    table.verticalHeader().setVisible(False)
    table.horizontalHeader().setStretchLastSection(True)
    table.resizeColumnsToContents()
    table.resizeRowsToContents()
