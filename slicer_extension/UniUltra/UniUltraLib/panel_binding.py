"""Puts looks (see `panel_look`) on the widgets, and connects widgets to what they call."""

from __future__ import annotations

from typing import Any, Callable, Dict, Mapping, Sequence, Tuple

from .keys import labelled


class Binding:
    """The widgets of the panel by name.

    A property is written only when it changed, so that nothing flickers, no cursor jumps in a text, and a
    signal never answers a change that came from here.
    """

    def __init__(self, ui: Any) -> None:
        self.ui = ui
        self.sequences: Mapping[str, str] = {}
        self._last: Dict[Tuple[str, str], Any] = {}
        self._items: Dict[str, Tuple[Tuple[str, str], ...]] = {}

    def show(self, looks: Mapping[str, Mapping[str, Any]]) -> None:
        """Write what is new in `looks`."""
        for name, properties in looks.items():
            for key, value in properties.items():
                if self._last.get((name, key), _Nothing) == value:
                    continue
                self._last[name, key] = value
                self._write(name, key, value)

    def forget(self, name: str, key: str) -> None:
        """The person may have changed this since: write it again at the next `show`."""
        self._last.pop((name, key), None)

    def items(self, name: str, items: Sequence[Tuple[str, str]], chosen: str) -> None:
        """Fill a combo box with (value, text) and choose a value."""
        box = getattr(self.ui, name)
        wanted = tuple(items)
        before = box.blockSignals(True)
        if self._items.get(name) != wanted:
            self._items[name] = wanted
            box.clear()
            for value, text in wanted:
                box.addItem(text, value)
        index = next((n for n, (value, _) in enumerate(wanted) if value == chosen), -1)
        if index >= 0 and box.currentIndex != index:
            box.setCurrentIndex(index)
        box.blockSignals(before)

    def chosen(self, name: str) -> str:
        """The value that is chosen in a combo box filled by `items`; empty when none is."""
        index = getattr(self.ui, name).currentIndex
        items = self._items.get(name, ())
        return items[index][0] if 0 <= index < len(items) else ""

    def clicked(self, name: str, call: Callable[[], Any]) -> None:
        """Call something when a button is clicked."""
        getattr(self.ui, name).connect("clicked(bool)", lambda *_: call())

    def _write(self, name: str, key: str, value: Any) -> None:
        widget = getattr(self.ui, name)
        if key == "text" and name in self.sequences:
            value = labelled(value, self.sequences[name])
        before = widget.blockSignals(True)
        setattr(widget, key, value)
        widget.blockSignals(before)


class _Nothing:
    """Equal to no value."""
