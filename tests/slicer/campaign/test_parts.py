"""What of campaign work needs neither Slicer nor a server: time, names, spool, answers, label files."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scripted_server import Scripted
from UniUltraLib.campaign import fetch_unit, provenance
from UniUltraLib.campaign.annotators import AnnotatorError, checked_name, name_warning
from UniUltraLib.campaign.effort import IDLE_S, Effort
from UniUltraLib.campaign.spool import Spool, SpoolError
from UniUltraLib.control.worker import JobCancelled, Ticket
from UniUltraLib.errors import Conflict, PackedMaskError, Refused, SceneError, UnexpectedAnswer
from UniUltraLib.prompts.mask_packing import pack_mask
from UniUltraLib.prompts.nrrd import label_array, nrrd_bytes
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.prompts.prompt_set import PromptBook, PromptSet
from UniUltraLib.wire import campaign_calls
from UniUltraLib.wire.campaign_calls import Unit
from UniUltraLib.wire.campaign_types import Campaign, Masks, Training, Version
from UniUltraLib.wire.client import Client


def test_only_working_time_counts() -> None:
    now = [100.0]
    effort = Effort(lambda: now[0])
    effort.touch(5)
    assert (effort.seconds, effort.clicks, effort.active) == (0, 0, False), "before an image is open"
    effort.start(seconds=10, clicks=2)
    for step in (3, 1, 4000, 2):
        now[0] += step
        effort.touch(1)
    assert (effort.seconds, effort.clicks) == (10 + 3 + 1 + IDLE_S + 2, 6)
    now[0] += 5
    assert effort.seconds == 16 + IDLE_S + 5 and effort.active
    now[0] += 1000
    assert effort.seconds == 16 + 2 * IDLE_S and not effort.active
    effort.stop()
    assert (effort.seconds, effort.clicks) == (0, 0)


@pytest.mark.parametrize("name", ["", "   ", "a" * 201, "a\x00b"])
def test_names_that_nobody_has(name: str) -> None:
    with pytest.raises(AnnotatorError, match="name"):
        checked_name(name)


def test_names_that_several_people_share() -> None:
    assert checked_name("  Dr.  Eva  ") == "Dr. Eva"
    for shared in ("user", "Admin", "reader 2", "Dr", "workstation-3", "user-xyz"):
        assert name_warning(shared), shared
    for own in ("Eva Adams", "Demos", "useful", "Dr. Eva"):
        assert name_warning(own) is None, own


def test_the_spool_survives_the_program_and_names_no_image(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "unsent")
    first = spool.add("http://a:1", "DOE^JANE", "final", 3, b"label", {"frames": [1], "clicks": 2})
    spool.add("http://b:1", "other", "draft", 0, b"elsewhere", {})
    second = spool.add("http://a:1", "scan 2", "draft", 0, b"later", {})
    spool.change(first.key, newer=7)
    (tmp_path / "unsent" / "half.json").write_text('{"format": 1,')
    (tmp_path / "unsent" / "other.json").write_text('{"format": 9}')
    for file in (tmp_path / "unsent").iterdir():
        assert b"DOE" not in file.read_bytes() and "DOE" not in file.name
    again = Spool(tmp_path / "unsent")
    waiting = again.waiting("http://a:1")
    assert [(one.key, one.newer, one.base, one.image) for one in waiting] == [
        (first.key, 7, 3, None),
        (second.key, None, 0, None),
    ]
    assert again.label(waiting[0]) == b"label" and waiting[0].params == {"frames": [1], "clicks": 2}
    assert waiting[0].names("DOE^JANE") and not waiting[0].names("DOE^JOHN")
    assert waiting[0].resolved(["x", "y"]) is None
    found = waiting[0].resolved(["x", "DOE^JANE"])
    assert found is not None and found.image == "DOE^JANE"
    again.change(first.key, base=9)
    assert b"DOE" not in (tmp_path / "unsent" / f"{first.key}.json").read_bytes()
    again.remove(first.key)
    assert [one.key for one in Spool(tmp_path / "unsent").waiting("http://a:1")] == [second.key]
    (tmp_path / "unsent" / f"{second.key}.nrrd").unlink()
    with pytest.raises(SpoolError, match="Submit it again"):
        again.label(second)


def test_a_folder_that_cannot_be_used_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(SpoolError, match="another folder"):
        Spool(tmp_path / "file").add("http://a:1", "x", "final", 0, b"", {})


def test_label_files_are_read_back(tmp_path: Path) -> None:
    import SimpleITK

    values = np.random.default_rng(0).integers(0, 6, (5, 9, 7), np.uint8)
    values[[0, 2, 3]] = 0
    for compressed in (False, True):
        file = nrrd_bytes(values, np.eye(4), compressed)
        np.testing.assert_array_equal(label_array(file), values)
        (tmp_path / "label.nrrd").write_bytes(file)
        read = SimpleITK.ReadImage(str(tmp_path / "label.nrrd"))
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(read), values)
    for damage in (b"", b"NRRD0004\n\n", nrrd_bytes(values, np.eye(4), True)[:-9]):
        with pytest.raises(SceneError, match="cannot be read"):
            label_array(damage)


class Kept:
    """Texts of segments, as the scene keeps them."""

    def __init__(self, **texts: str) -> None:
        self.texts: dict[str, str | None] = dict(texts)

    def load_prompts(self, segment: str) -> str | None:
        return self.texts.get(segment)

    def save_prompts(self, segment: str, text: str | None) -> None:
        self.texts[segment] = text


def test_prompts_travel_by_structure_and_come_back() -> None:
    book, size = PromptBook(), (30, 20, 4)
    here = (
        PromptSet(size, Plane("k", 2)).with_prompt("point", (3, 4, 2), "a").with_prompt("box", (1, 1, 9, 9))
    )
    book.put("scan", "s1", here)
    book.put("another", "s1", PromptSet(size, Plane("k", 0)).with_prompt("point", (1, 1, 0), "b"))
    sent = provenance.prompts_of(
        Kept(s1=book.to_tag("s1"), s2="nonsense"), {"head": "s1", "femur": "s2"}, "scan"
    )
    assert [one["segment"] for one in sent] == ["head"] and "scan" not in json.dumps(sent)
    scene = Kept()
    assert provenance.restore_prompts(scene, [*sent, {"foreground": [[1, 2, 0]]}, {"segment": "head"}],
                                    {"head": "new"}, "scan") == ["new"]  # fmt: skip
    back = PromptBook()
    back.from_tag("new", scene.texts["new"] or "")
    assert back.get("scan", Plane("k", 2), "new", size) == here


def test_too_many_prompts_are_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    stroke = np.random.default_rng(0).random((200, 200)) < 0.5
    book = PromptBook()
    book.put("scan", "s", PromptSet((200, 200, 1), Plane("k", 0)).with_prompt("scribble", stroke, "a"))
    monkeypatch.setattr(provenance, "MAX_PROMPTS", 500)
    [only] = provenance.prompts_of(Kept(s=book.to_tag("s")), {"head": "s"}, "scan")
    assert only["scribbles"] == []
    monkeypatch.setattr(provenance, "MAX_PROMPTS", 5)
    assert provenance.prompts_of(Kept(s=book.to_tag("s")), {"head": "s"}, "scan") == []


def test_a_server_without_a_campaign_offers_nothing() -> None:
    for info in ({}, {"campaign": None}, {"campaign": "x"}):
        assert Campaign.of(info) == Campaign()
    odd = {"labels": [{"name": "a", "index": 1, "color": "red"}, {"name": "b"}, 3], "readers": "two"}
    told = Campaign.of({"campaign": odd})
    assert [one.name for one in told.labels] == ["a"] and told.readers == 1


def test_what_a_draft_may_be_made_from() -> None:
    def version(revision: int, tag: str, annotator: str, seen: int | None = None) -> Version:
        return Version(revision, tag, annotator, seen=seen)

    line = [version(1, "final", "Ben"), version(2, "draft", "Ada", seen=0), version(3, "final", "Ada")]
    together, alone = fetch_unit.Annotator("Ada"), fetch_unit.Annotator("Ada", alone=True)
    assert fetch_unit.to_resume(line, together) == line[2]
    assert fetch_unit.to_resume(line[:2], together) == line[1]
    assert (
        fetch_unit.to_resume(line[:1], together) == line[0] and fetch_unit.to_resume(line[:1], alone) is None
    )
    assert fetch_unit.bases(line, together, line[2]) == {"draft": 2, "final": 3}
    assert fetch_unit.bases(line[:2], together, line[1]) == {"draft": 2, "final": 0}, "it knew no final label"
    assert fetch_unit.bases(line[:2], alone, line[1]) == {"draft": 2, "final": 0}


def test_a_conflict_tells_what_stands(server: Scripted, client: Client) -> None:
    newer = {"revision": 4, "annotator": "Ben", "made": "2026-01-01T00:00:00"}
    server.reply = lambda h: h.send(409, {"detail": {"message": "Nothing was saved.", "newer": newer}})
    with pytest.raises(Conflict, match="newer version") as caught:
        campaign_calls.save(client, "patient-7", "final", b"x", {"base_revision": 1})
    assert (caught.value.revision, caught.value.annotator, caught.value.detail) == (
        4,
        "Ben",
        "Nothing was saved.",
    )
    assert "patient-7" not in str(caught.value)
    asked = server.asked[0]
    assert (asked.command, asked.query) == ("PUT", {"image": "patient-7", "tag": "final"})
    server.reply = lambda h: h.send(409, {"detail": "something else"})
    with pytest.raises(Refused) as other:
        campaign_calls.save(client, "patient-7", "final", b"x", {})
    assert not isinstance(other.value, Conflict)


@pytest.mark.parametrize(
    "call",
    [
        lambda c: campaign_calls.versions(c, "a"),
        lambda c: campaign_calls.masks(c, "a", 1),
        lambda c: campaign_calls.to_review(c, ["final"]),
        lambda c: campaign_calls.agreement(c, "a"),
        lambda c: campaign_calls.save(c, "a", "final", b"", {}),
        lambda c: campaign_calls.next_unit(c, "first", "me"),
        lambda c: campaign_calls.training(c),
        lambda c: fetch_unit.image_place(c, "a"),
    ],
)
@pytest.mark.parametrize(
    "answer", [[], {"id": {}}, {"versions": [{}], "pairs": 3, "size": "abc", "curve": [1]}]
)
def test_answers_that_no_server_gives(server: Scripted, client: Client, call: Any, answer: Any) -> None:
    server.reply = lambda h: h.send(200, answer)
    try:
        found = call(client)
    except UnexpectedAnswer as error:
        assert str(error).startswith(server.address)
    else:  # an answer may lack what has a harmless value
        assert isinstance(found, (Training, Unit)) or found is None


def test_masks_are_checked_when_they_are_unpacked() -> None:
    pixels = np.zeros((6, 8), bool)
    pixels[2:4, 3:7] = True
    told = {"revision": 1, "size": [8, 6, 2], "axis_kind": "cine", "frames": [1],
            "masks": [{"label": "head", "frame": 1, **(pack_mask(pixels) or {})}]}  # fmt: skip
    masks = Masks.of(told)
    np.testing.assert_array_equal(masks.planes[0].pixels(masks.size), pixels)
    with pytest.raises(PackedMaskError):
        masks.planes[0].pixels((4, 4, 1))


def test_a_file_of_the_server_that_is_seen_here_is_not_downloaded(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    own = tmp_path / "scan.png"
    own.write_bytes(b"picture")
    server.reply = lambda h: h.send(200, {})
    server.RequestHandlerClass.do_HEAD = server.RequestHandlerClass.do_GET  # type: ignore[attr-defined]
    unit = Unit("scan", path=str(own))
    assert campaign_calls.image_file(client, unit, tmp_path / "down") == own
    [asked] = server.asked
    assert asked.command == "HEAD" and asked.query["check_sum"].startswith("SHA256:")

    def other(handler: Any) -> None:
        handler.send(
            404 if handler.command == "HEAD" else 200, b"another", Content_Disposition='x; filename="a.png"'
        )

    server.reply = other
    got = campaign_calls.image_file(client, unit, tmp_path / "down")
    assert got.parent == tmp_path / "down" and got.read_bytes() == b"another"
    assert "scan" not in got.name and got.suffix == ".png"


def test_a_path_of_the_server_that_cannot_be_looked_at_is_not_here(
    server: Scripted, client: Client, tmp_path: Path
) -> None:
    server.reply = lambda h: h.send(200, b"picture", Content_Disposition='x; filename="a.png"')
    for path in ("/" + "a" * 5000, "a\0b"):
        got = campaign_calls.image_file(client, Unit("scan", path=path), tmp_path)
        assert got.read_bytes() == b"picture"


def test_prompts_of_an_endless_image_are_passed_over() -> None:
    sent = {"segment": "head", "size": [float("inf"), 1, 1], "plane": {"axis": "k", "index": 0}}
    assert provenance.restore_prompts(Kept(), [sent], {"head": "s"}, "scan") == []


def test_the_lease_of_a_cancelled_next_image_is_released(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    released: list[Unit] = []
    monkeypatch.setattr(campaign_calls, "next_unit", lambda *_: Unit("scan"))
    monkeypatch.setattr(campaign_calls, "release", lambda _client, unit, _name: released.append(unit))
    monkeypatch.setattr(fetch_unit, "fetch", lambda *_, **__: fetch_unit.Fetched(Unit("scan"), None))
    ticket = Ticket("Next image", None, False)
    client, who = Client("http://127.0.0.1:9").with_report(ticket.report), fetch_unit.Annotator("Ada")
    assert fetch_unit.next_unit(client, "random", who, "scan", tmp_path) is not None and released == []
    ticket.cancelled = True
    with pytest.raises(JobCancelled):
        fetch_unit.next_unit(client, "random", who, "scan", tmp_path)
    assert released == [Unit("scan")]
