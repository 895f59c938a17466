from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from browser import chromium, listening
from in_process import serving
from made_campaign import Made, begin, tick

CHARTS = ("model", "days", "effort", "training")


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    with chromium() as found:
        yield found


class Seen:
    """What a page asked for and complained about."""

    def __init__(self, page: Any) -> None:
        self.hosts: set[str] = set()
        self.complaints: list[str] = []
        page.on("request", lambda one: self.hosts.add(urlsplit(one.url).netloc))
        page.on("console", lambda one: self.complaints.append(f"{one.type}: {one.text}"))
        page.on("pageerror", lambda one: self.complaints.append(str(one)))


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, tasks_folder: Path) -> Iterator[tuple[str, Made]]:
    folder = tmp_path_factory.mktemp("looked_at")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
        made = begin(folder / "studies", 6, days=2, size=64)
        names = sorted(made.truth)
        for name in names[:3]:
            made.label(name, "Amina")
        made.train(0.7, 0.8, publish=True, why="It is better on <b>labels</b> that it never saw.")
        tick(made, days=1)
        made.label(names[0], "Mei")
        made.train(0.8, 0.79, publish=False, why="It is not better.")
        with made.running(12).lock(), serving(folder, made.studies, patch, preload="false"):
            from monailabel.app import app

            with listening(app) as address:
                yield address, made


def opened(browser: Any, address: str, **how: Any) -> tuple[Any, Seen]:
    page = browser.new_page(**how)
    seen = Seen(page)
    page.goto(f"{address}/campaign")
    return page, seen


@pytest.mark.parametrize("kind", ["light", "dark"])
def test_all_charts_are_drawn_and_nothing_is_asked_elsewhere(
    browser: Any, served: tuple[str, Made], kind: str
) -> None:
    address, _ = served
    page, seen = opened(browser, address, color_scheme=kind)
    for chart in CHARTS:
        page.wait_for_selector(f"#{chart} .main-svg")
        assert page.get_attribute(f"#{chart}", "aria-label")
        assert page.locator(f"#{chart} .trace, #{chart} .points path").count()
        page.locator(f"#{chart}-table summary").click()
        assert page.locator(f"#{chart}-table tbody tr").count()
    assert page.inner_text("h1") == "Thyroid nodules"
    assert page.locator("#who tbody tr").count() == 2
    page.locator("#next img").first.scroll_into_view_if_needed()
    page.wait_for_function("() => [...document.images].every((one) => one.complete && one.naturalWidth > 0)")
    page.get_by_role("button", name="Seconds").click()
    page.wait_for_function("() => document.querySelector('#effort').ariaLabel.startsWith('Seconds')")
    assert seen.hosts == {urlsplit(address).netloc}
    assert seen.complaints == []
    page.close()


def test_the_verdict_is_told_on_hover_and_never_read_as_markup(
    browser: Any, served: tuple[str, Made]
) -> None:
    page, seen = opened(browser, served[0])
    page.wait_for_selector("#model .main-svg")
    first = page.locator("#model .points path").first.bounding_box()
    page.locator("#model").scroll_into_view_if_needed()
    first = page.locator("#model .points path").first.bounding_box()
    page.mouse.move(first["x"] + first["width"] / 2, first["y"] + first["height"] / 2)
    told = page.locator("#model .hoverlayer .hovertext").text_content()
    assert "Published" in told and "before 0.700" in told and "<b>labels</b>" in told.replace("\xa0", " ")
    assert seen.complaints == []
    page.close()


def test_a_label_that_arrives_is_seen_without_loading_again(browser: Any, served: tuple[str, Made]) -> None:
    address, made = served
    page, seen = opened(browser, address)
    page.wait_for_selector("#days .main-svg")
    assert page.inner_text("#big b") == "1"
    made.label(sorted(made.truth)[1], "Mei")
    page.wait_for_function("() => document.querySelector('#big b').textContent === '2'", timeout=20_000)
    page.wait_for_function("() => document.querySelector('#days').ariaLabel.startsWith('5 images')")
    assert seen.complaints == []
    page.close()


def test_an_empty_campaign_says_what_to_do(
    browser: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tasks_folder: Path
) -> None:
    monkeypatch.setenv("UNIULTRA_WEIGHTS", str(tasks_folder))
    (tmp_path / "studies").mkdir()
    with serving(tmp_path, tmp_path / "studies", monkeypatch, preload="false"):
        from monailabel.app import app

        with listening(app) as address:
            page, seen = opened(browser, address, viewport={"width": 390, "height": 800})
            page.wait_for_selector("#notices li")
            assert "uniultra campaign init" in page.inner_text("#notices")
            assert "studies folder" in page.inner_text("#big")
            for part in ("who", "model", "days", "effort", "training-text", "agreement", "next"):
                assert page.locator(f"#{part} .empty b").inner_text(), part
            wide = page.evaluate("document.documentElement.scrollWidth")
            assert wide <= 390
            assert seen.complaints == []
            page.close()
