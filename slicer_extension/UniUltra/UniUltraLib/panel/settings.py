"""Settings the panel stores between sessions, in Slicer's settings and never in the scene."""

from __future__ import annotations

from typing import Any, Dict, Mapping

import qt

GROUP = "UniUltra"
DEFAULTS: Mapping[str, Any] = {
    "address": "http://127.0.0.1:8000",
    "annotator": "",
    "key": "",
    "keep_key": False,
    "model": "",
    "auto_model": "",
    "strategy": "",
    "consent": "",
    "studies": "",
    "environment": "",
    "source": "",
    "gpu": False,
    "keys": "",
}


class Settings:
    """A mapping over `qt.QSettings`; each value has the type of its default."""

    def __getitem__(self, name: str) -> Any:
        default = DEFAULTS[name]
        value = qt.QSettings().value(f"{GROUP}/{name}", default)
        if isinstance(default, bool):
            return str(value).lower() in ("true", "1")
        return default if value is None else type(default)(value)

    def __setitem__(self, name: str, value: Any) -> None:
        default = DEFAULTS[name]
        if value == default:
            qt.QSettings().remove(f"{GROUP}/{name}")
        else:
            qt.QSettings().setValue(f"{GROUP}/{name}", value)

    def keep_key(self, key: str, keep: bool) -> None:
        """Store the server's key if `keep`; otherwise delete a stored one."""
        self["keep_key"] = keep
        self["key"] = key if keep else ""

    def own_keys(self) -> Dict[str, str]:
        """The person's own shortcuts by button: `nextButton=Ctrl+J; acceptButton=` in the setting `keys`."""
        pairs = (pair.partition("=") for pair in str(self["keys"]).split(";"))
        return {button.strip(): sequence.strip() for button, equals, sequence in pairs if equals}
