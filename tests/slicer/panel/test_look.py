"""What the panel shows in each state, as values: hidden what is not offered, words for what goes on."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from UniUltraLib.campaign.state import CampaignState, LabelConflict, ReviewState, TrainingState
from UniUltraLib.control.state import AUTO, LOST, ONLINE, REFINE, Consent, Problem, State
from UniUltraLib.local_server.server import LocalServerState
from UniUltraLib.panel.campaign_look import (
    campaign_look,
    review_look,
    review_rows,
    review_states,
    strategy_items,
    training_look,
)
from UniUltraLib.panel.local_look import local_look
from UniUltraLib.panel.look import connection_look, frames_look, messages_look, model_look, prompts_look
from UniUltraLib.prompts.planes import Plane
from UniUltraLib.prompts.shown import Shown
from UniUltraLib.wire.campaign_calls import Unit
from UniUltraLib.wire.campaign_types import (
    Agreement,
    Campaign,
    CurvePoint,
    Label,
    Review,
    ToReview,
    Training,
    Version,
)

SHOWN = Shown("k", "cine", Plane("k", 2), (40, 30, 9), frame=2, frames=9)
OPEN = State(ONLINE, "https://us.example:8000", "Dr. A", shown=SHOWN, segment="s", tools=frozenset({"point"}))


@pytest.fixture(autouse=True)
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This computer is two hours before UTC, the server's time."""
    monkeypatch.setenv("TZ", "Etc/GMT-2")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


def test_only_tools_of_the_model_are_offered() -> None:
    looks = prompts_look(OPEN)
    assert looks["includeButton"] == {"visible": True, "enabled": True}
    for name in ("boxButton", "lassoButton", "scribbleButton", "refineButton", "autoButton", "autoAllButton"):
        assert looks[name] == {"visible": False, "enabled": False}
    more = prompts_look(replace(OPEN, tools=frozenset({"point", REFINE, AUTO})))
    assert more["refineButton"]["enabled"] and more["autoAllButton"]["enabled"]
    still = replace(OPEN, tools=frozenset({AUTO}), shown=Shown("k", "still", Plane("k", 0), (40, 30, 1)))
    assert (
        prompts_look(still)["autoButton"]["enabled"] and not prompts_look(still)["autoAllButton"]["visible"]
    )


def test_a_lost_connection_says_that_the_work_is_kept() -> None:
    lost = replace(
        OPEN, connection=LOST, waiting=True, problem=Problem("https://us.example:8000", "gone.", "Wait.")
    )
    looks = messages_look(lost)
    assert "Your work is kept" in looks["stateLabel"]["text"]
    assert looks["problemRetryButton"]["visible"]
    assert looks["problemLabel"]["text"].startswith("<b>Gone.</b>")
    assert "when the server answers again" in prompts_look(lost)["hintLabel"]["text"]
    assert connection_look(lost)["disconnectButton"]["enabled"]


def test_words_of_the_server_are_never_taken_for_markup() -> None:
    evil = Problem("http://x", "<img src=x onerror=1>", "<b>no</b>")
    assert "<img" not in messages_look(replace(OPEN, problem=evil))["problemLabel"]["text"]
    asked = replace(OPEN, needs_consent=Consent("http://<x>", "<script>"))
    assert "<script" not in messages_look(asked)["consentLabel"]["text"]
    work = CampaignState(offered=True, unit=Unit("<i>id"), conflict=LabelConflict("k", 3, "<i>B"))
    looks = campaign_look(OPEN, work)
    assert "<i>" not in looks["unitLabel"]["text"] + looks["conflictLabel"]["text"]


def test_busy_is_shown_with_progress_and_cancel() -> None:
    busy = replace(OPEN, busy=True, busy_text="Sending the image", progress=0.4, can_cancel=True)
    looks = messages_look(busy)
    assert looks["stateLabel"]["text"] == "Sending the image…"
    assert looks["busyBar"] == {"visible": True, "maximum": 100, "value": 40}
    assert looks["cancelButton"]["enabled"]
    assert messages_look(replace(busy, progress=None))["busyBar"]["maximum"] == 0


def test_frames_stop_at_both_ends() -> None:
    looks = frames_look(replace(OPEN, done_frames=frozenset({0, 2}), done=True))
    assert looks["frameLabel"]["text"] == "Frame 3 of 9" and looks["doneCheck"]["checked"]
    assert looks["framesSection"]["text"] == "Frames: 2 of 9 done"
    first = replace(OPEN, shown=replace(SHOWN, plane=Plane("k", 0), frame=0))
    assert not frames_look(first)["previousFrameButton"]["enabled"]
    last = replace(OPEN, shown=replace(SHOWN, plane=Plane("k", 8), frame=8))
    assert not frames_look(last)["nextFrameButton"]["enabled"]


def test_the_answer_names_its_model_and_adapter() -> None:
    scored = replace(OPEN, answered_by="uniultra_mini", adapter="6fbb-3", score=0.8)
    assert "by uniultra_mini, adapter 6fbb-3." in prompts_look(scored)["scoreLabel"]["toolTip"]
    assert model_look(OPEN)["adapterLabel"]["text"] == "nothing on this picture yet"
    own = replace(OPEN, answered_by="uniultra_mini")
    assert model_look(own)["adapterLabel"]["text"] == "uniultra_mini, its own weights"
    assert "adapter 6fbb-3" in model_look(replace(own, adapter="6fbb-3"))["adapterLabel"]["text"]


def test_the_campaign_tells_what_is_worked_on() -> None:
    campaign = Campaign("Thyroid", "Draw the edge.", (Label("nodule", 1),))
    version = Version(
        4, "final", "Dr. A", state="returned", reviews=(Review("returned", "Dr. C", "Too wide", ""),)
    )
    work = CampaignState(
        campaign, True, unit=Unit("case"), position="frame 3 of 9", resumed=version, unsent=2, seconds=75
    )
    looks = campaign_look(OPEN, work, ["the image is gone"])
    assert "asked for frame 3 of 9" in looks["unitLabel"]["text"]
    assert "Too wide" in looks["unitLabel"]["text"]
    effort = looks["effortLabel"]["text"]
    assert effort == "1:15, 0 prompts · 1 label waiting to be sent · not taken: the image is gone"
    assert looks["discardButton"]["enabled"] and looks["labelsList"]["visible"]
    info = {"strategies": {"random": {"description": "By chance"}}}
    named = replace(work, strategies=("random", "own"))
    assert strategy_items(replace(OPEN, info=info), named) == [("random", "By chance"), ("own", "own")]


def test_an_own_image_is_told_from_one_of_the_campaign() -> None:
    work = CampaignState(Campaign("Thyroid"), True)
    assert "your own" in campaign_look(OPEN, work)["unitLabel"]["text"]
    ours = replace(OPEN, shown=replace(SHOWN, image_id="case"))
    assert not campaign_look(ours, work)["unitLabel"]["visible"], "it is being taken up"
    assert not campaign_look(OPEN, CampaignState())["unitLabel"]["visible"], "there is no campaign"


def test_a_name_is_a_matter_of_a_connection() -> None:
    shared = CampaignState(offered=True, name_warning="It looks shared.")
    assert campaign_look(OPEN, shared)["nameLabel"] == {"text": "It looks shared.", "visible": True}
    assert not campaign_look(State(), CampaignState(name_problem="None."))["nameLabel"]["visible"]


def test_accept_says_that_it_is_done() -> None:
    assert campaign_look(OPEN, CampaignState())["acceptButton"]["text"] == "Accept"
    done = campaign_look(replace(OPEN, done=True), CampaignState())["acceptButton"]
    assert done == {"visible": True, "enabled": False, "text": "Accepted"}


def test_the_answer_of_a_test_stands_in_the_panel() -> None:
    told = State(notice="The server answers.")
    assert connection_look(told, tested=True)["testLabel"] == {"text": "The server answers.", "visible": True}
    assert not connection_look(told)["testLabel"]["visible"], "it is of something else"


def test_a_conflict_is_a_question_and_another_images_says_so() -> None:
    conflict = LabelConflict("k", 7, "Dr. B", "2027-01-02T03:04:05Z")
    looks = campaign_look(OPEN, CampaignState(offered=True, conflict=conflict))
    assert "Dr. B saved a newer label (2027-01-02 05:04)" in looks["conflictLabel"]["text"]
    assert looks["conflictLookButton"]["text"] == "Compare"
    away = campaign_look(OPEN, CampaignState(offered=True, conflict=replace(conflict, here=False)))
    assert "another image" in away["conflictLabel"]["text"]
    assert away["conflictLookButton"]["text"] == "Open and compare"


def test_a_review_shows_who_said_what_and_how_far_readers_agree() -> None:
    item = ToReview("case", 3, "Dr. A", "final", "2027-01-02T03:04:05Z")
    pair = Agreement(("Dr. A", "Dr. B"), (3, 4), "nodule", 0.9126, 2.14, "mm")
    state = ReviewState(True, items=(item,), counts=(("final", 1),), item=item, agreement=(pair,))
    text = review_look(OPEN, state)["reviewLabel"]["text"]
    assert "Dr. A and Dr. B, Dice 0.913, HD95 2.1 mm" in text
    assert review_rows(state) == [("case", "Dr. A", "to review", "2027-01-02 05:04")]
    assert review_rows(replace(state, items=(replace(item, made="lately"),)))[0][3] == "lately"
    assert review_states(state)[0] == ("final", "to review (1)")
    assert not review_look(OPEN, ReviewState())["reviewSection"]["visible"]
    assert not review_look(OPEN, ReviewState(True))["approveButton"]["enabled"]


@pytest.mark.parametrize(("epoch", "value"), [(None, 0), (3, 30)])
def test_training_shows_its_progress_and_its_curve(epoch: int | None, value: int) -> None:
    points = (CurvePoint(1, 0.9), CurvePoint(2, 0.7, 0.6), CurvePoint(3, 0.5, 0.7))
    training = Training(
        "running", "uniultra_mini", epoch=epoch, epochs=10, left_s=130, labels=12, curve=points
    )
    looks = training_look(OPEN, TrainingState(True, training=training, can_stop=True))
    assert looks["trainingBar"]["visible"] and looks["trainingBar"]["value"] == value
    assert "12 labels, about 2 min left" in looks["trainingLabel"]["text"]
    assert looks["curveLabel"]["visible"] and looks["stopTrainingButton"]["enabled"]
    over = TrainingState(True, training=Training("refused", message="The gate refused it."), can_start=True)
    assert training_look(OPEN, over)["trainingLabel"]["text"] == "The gate refused it."


def test_the_local_server_asks_before_it_downloads() -> None:
    asking = local_look(LocalServerState("asking", question="Downloads 1 GB.\nInto <here>."), "")
    assert asking["localQuestionFrame"]["visible"] and not asking["localServerButton"]["enabled"]
    assert "&lt;here&gt;" in asking["localQuestionLabel"]["text"]
    assert not asking["sourcePath"]["visible"] and not asking["localGpuCheck"]["visible"]
    alone = local_look(LocalServerState(), "", source=True, card=True)
    assert alone["sourcePath"]["enabled"] and alone["localGpuCheck"]["enabled"]
    running = local_look(LocalServerState("running", "http://127.0.0.1:8000"), "log")
    assert running["localStopButton"]["enabled"] and not running["localServerButton"]["visible"]
