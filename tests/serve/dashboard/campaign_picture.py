"""Draws docs/pictures/campaign.png: the page over a campaign that might have been.

    python tests/serve/dashboard/campaign_picture.py [FOLDER]

FOLDER keeps further pictures too: the whole page, light and dark, and on a phone.
"""

from __future__ import annotations

import io
import sys
import tempfile
from pathlib import Path
from typing import Any

import pytest
from browser import chromium, listening
from in_process import serving
from made_campaign import Made, full, scores
from PIL import Image

ROOT = Path(__file__).resolve().parents[3]
PICTURE = ROOT / "docs" / "pictures" / "campaign.png"
MOST_BYTES = 250_000


def main(folder: Path | None) -> None:
    """Make the campaign, look at it, and keep the pictures."""
    with tempfile.TemporaryDirectory() as name, pytest.MonkeyPatch.context() as patch:
        made = full(Path(name) / "studies")
        with made.running().lock(), serving(Path(name), made.studies, patch, preload="false"):
            from monailabel.app import app
            from monailabel.interfaces.utils.app import app_instance

            app_instance().rankings = KnownRanking(made)
            with listening(app) as address, chromium() as browser:
                _settle(address)
                keep(shot(browser, address, 1360, 960, "light", whole=False), PICTURE)
                if folder is not None:
                    folder.mkdir(parents=True, exist_ok=True)
                    for kind in ("light", "dark"):
                        (folder / f"{kind}.png").write_bytes(shot(browser, address, 1360, 900, kind))
                    (folder / "phone.png").write_bytes(shot(browser, address, 390, 844, "light"))


class KnownRanking:
    """Ranks by scores as the default strategy would have them."""

    def __init__(self, made: Made) -> None:
        self.known = scores(made)

    def order(self, strategy: str, units: Any) -> list[Any]:
        return sorted(units, key=lambda unit: -self.known[unit.image])

    def score(self, unit: Any) -> Any:
        from uniultra.active.scoring import UnitScore
        from uniultra.active.summary import Summary

        value = self.known[unit.image]
        summary = Summary(entropy=value / 4, boundary=value, iou=1 - value, foreground=0.1)
        return UnitScore(None, summary)  # type: ignore[arg-type]


def _settle(address: str) -> None:
    """Wait until all labels have been compared."""
    import time

    import requests

    for _ in range(120):
        if requests.get(f"{address}/campaign/data", timeout=60).json()["agreement"]["waiting"] == 0:
            return
        time.sleep(1.5)


def shot(browser: Any, address: str, width: int, height: int, kind: str, whole: bool = True) -> bytes:
    """A picture of the page once all of it is drawn."""
    page = browser.new_page(viewport={"width": width, "height": height}, color_scheme=kind)
    page.on("console", lambda message: sys.stderr.write(f"{message.type}: {message.text}\n"))
    page.on("pageerror", lambda error: sys.stderr.write(f"{error}\n"))
    page.goto(f"{address}/campaign")
    page.wait_for_selector("#training .main-svg")
    page.wait_for_selector("#effort .main-svg")
    if whole:
        page.locator("#next").scroll_into_view_if_needed()
    page.wait_for_timeout(1200)
    data: bytes = page.screenshot(full_page=whole)
    page.close()
    return data


def keep(data: bytes, path: Path) -> None:
    """Keep a picture with few colours, as small as it has to be."""
    picture = Image.open(io.BytesIO(data)).convert("RGB")
    path.parent.mkdir(parents=True, exist_ok=True)
    for colours in (256, 128, 64, 32):
        picture.quantize(colours, dither=Image.Dither.NONE).save(path, optimize=True)
        if path.stat().st_size <= MOST_BYTES:
            return


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else None)
