"""Looks of the sections Campaign, Finish, Review and Training. No Qt, see `look`."""

from __future__ import annotations

from datetime import datetime
from html import escape
from typing import Collection, List, Sequence, Tuple

from ..campaign.state import CampaignState, ReviewState, TrainingState
from ..control.state import LOST, OFFLINE, ONLINE, State
from ..wire.campaign_types import Version
from .look import Looks, bar, line, offered

SKIP_REASONS = ("Cannot be judged", "Not the structure that is asked for", "Names a patient")
_STATES = {"final": "to review", "returned": "returned", "approved": "approved", "flagged": "flagged"}


def campaign_look(
    state: State, work: CampaignState, refused: Sequence[str] = (), beside: Collection[str] = ()
) -> Looks:
    """The sections Campaign and Finish.

    Args:
        refused: why the server refused labels.
        beside: the segments of the labels shown beside the person's own.
    """
    connected = state.connection in (ONLINE, LOST)
    return {
        "campaignSection": {"visible": connected or state.shown is not None},
        "campaignFrame": {"visible": connected and work.offered},
        **line("campaignLabel", work.campaign.name),
        **line("instructionsLabel", work.campaign.instructions),
        **line("unitLabel", _unit_text(work, state.annotator) or _own_text(state, work)),
        **line("nameLabel", (work.name_problem or work.name_warning) if connected else ""),
        **offered(["nextButton", "strategyCombo"], work.offered, work.can_next),
        **offered(["proposalCombo", "proposalButton"], bool(work.proposals)),
        "labelsList": {"visible": bool(work.campaign.labels) and state.shown is not None},
        **offered(["volumeSelector", "openButton"], True, state.connection != OFFLINE),
        **_finish(state, work, refused),
        **_conflict(work),
        **offered(["besideFrame"], work.compared),
        "besideLabel": {"text": _beside(state, beside)},
    }


def strategy_items(state: State, work: CampaignState) -> List[Tuple[str, str]]:
    """The strategies that order images: (name, the server's description or the name)."""
    listed = state.info.get("strategies")
    listed = listed if isinstance(listed, dict) else {}
    described = {name: info.get("description") for name, info in listed.items() if isinstance(info, dict)}
    return [(name, str(described.get(name) or name)) for name in work.strategies]


def _unit_text(work: CampaignState, annotator: str) -> str:
    """The unit that `annotator` works on, and the label it begins with."""
    if work.nothing_left and work.unit is None:
        return "Nothing is left for you in this campaign."
    if work.opening:
        return "The next image is on its way…"
    parts = []
    if work.unit is not None:
        position = f", asked for {work.position}" if work.position else ""
        parts.append(f"<b>{escape(work.unit.image)}</b>{position}")
    if work.lease_ended:
        parts.append("Your turn with this image has ended; it may be given to someone else too.")
    if work.resumed is not None:
        parts.append(_resumed(work.resumed, annotator))
    return "<br>".join(parts)


def _beside(state: State, beside: Collection[str]) -> str:
    """A legend of the labels shown beside the person's own."""
    lines = []
    for segment in state.segments:
        if segment.id in beside:
            colour = "#" + "".join(f"{round(255 * part):02x}" for part in segment.colour)
            lines.append(f'<font color="{colour}">\u25a0</font> {escape(segment.name)}')
    return "<br>".join(["Shown beside yours:", *lines])


def _own_text(state: State, work: CampaignState) -> str:
    own = work.offered and state.shown is not None and state.shown.image_id is None
    return "An image of your own: not of the campaign, its masks stay in Slicer." if own else ""


def _resumed(version: Version, annotator: str) -> str:
    if version.annotator != annotator:
        return f"The label of {escape(version.annotator)}, revision {version.revision}."
    if version.state == "returned":
        comment = f": {escape(version.comment)}" if version.comment else "."
        return f"A reviewer returned your label{comment}"
    return "You continue your draft." if version.tag == "draft" else "You continue your label."


def _finish(state: State, work: CampaignState, refused: Sequence[str]) -> Looks:
    of_campaign = work.offered and work.unit is not None
    return {
        "finishSection": {"visible": state.shown is not None},
        "acceptButton": {
            "visible": state.shown is not None,
            "enabled": state.shown is not None and not state.done,
            "text": "Accepted" if state.done else "Accept",
        },
        **offered(["submitButton", "thenNextCheck", "draftButton"], of_campaign, work.can_submit),
        **offered(["skipCombo", "skipButton"], of_campaign, work.can_skip),
        **line("effortLabel", _effort_text(work, refused, state.clicks)),
        **offered(["discardButton"], bool(refused)),
    }


def _effort_text(work: CampaignState, refused: Sequence[str], given: int) -> str:
    """Time and prompts spent on this image, and the labels that wait to be sent."""
    parts = []
    if work.unit is not None:
        minutes, seconds = divmod(int(work.seconds), 60)
        count = max(work.clicks, given)
        parts.append(f"{minutes}:{seconds:02d}, {_many(count, 'prompt')}")
    if work.submitted and work.saved:
        parts.append(f"saved as revision {work.saved}")
    waiting = work.unsent - len(refused) - (work.conflict is not None)
    if waiting > 0:
        parts.append(f"{_many(waiting, 'label')} waiting to be sent")
    parts.extend(f"not taken: {why}" for why in refused)
    return " · ".join(parts)


def _conflict(work: CampaignState) -> Looks:
    conflict = work.conflict
    if conflict is None:
        return {"conflictFrame": {"visible": False}}
    who = escape(conflict.annotator or "Another person")
    when = f" ({escape(_when_text(conflict.made))})" if conflict.made else ""
    text = f"<b>{who} saved a newer label{when}.</b><br>Yours is kept here and was not saved."
    if not conflict.here:
        text += " It is of another image than the one that is open."
    return {
        "conflictFrame": {"visible": True},
        "conflictLabel": {"text": text},
        "conflictLookButton": {"text": "Compare" if conflict.here else "Open and compare"},
    }


def review_look(state: State, review: ReviewState) -> Looks:
    """The section Review."""
    verdicts = ["approveButton", "returnButton", "flagButton", "commentEdit", "compareButton"]
    return {
        "reviewSection": {"visible": review.offered and state.connection in (ONLINE, LOST)},
        **offered(["reviewListButton", "reviewOpenButton"], review.offered, not review.busy),
        **offered(verdicts, review.offered, review.item is not None and not review.busy),
        **line("reviewLabel", _review_text(review)),
    }


def _review_text(review: ReviewState) -> str:
    """The open label, its reviews, and the agreement of the readers."""
    parts = []
    item = review.item
    if item is not None:
        parts.append(f"<b>{escape(item.image)}</b>, revision {item.revision} by {escape(item.annotator)}")
    version = review.version
    if version is not None and version.seconds:
        parts.append(f"Made in {version.seconds:.0f} s with {_many(version.clicks, 'prompt')}")
    for verdict in version.reviews if version is not None else ():
        comment = f", {escape(verdict.comment)}" if verdict.comment else ""
        parts.append(f"{escape(verdict.reviewer)}: {escape(verdict.state)}{comment}")
    agreement = review.agreement if item is not None else None
    for pair in agreement or ():
        first, second = map(escape, pair.annotators)
        distance = "" if pair.hd95 is None else f", HD95 {pair.hd95:.1f} {escape(pair.unit)}"
        parts.append(f"{escape(pair.label)}: {first} and {second}, Dice {pair.dice:.3f}{distance}")
    if agreement == ():
        parts.append("No one else has labelled this image.")
    return "<br>".join(parts)


def review_states(review: ReviewState) -> List[Tuple[str, str]]:
    """The lists of labels: (state, text with the number of labels)."""
    counts = dict(review.counts)
    return [(name, text + (f" ({counts[name]})" if name in counts else "")) for name, text in _STATES.items()]


def review_rows(review: ReviewState) -> List[Tuple[str, ...]]:
    """The rows of the table of labels."""
    return [
        (item.image, item.annotator, _STATES.get(item.state, item.state), _when_text(item.made))
        for item in review.items
    ]


def training_look(state: State, training: TrainingState) -> Looks:
    """The section Training."""
    now = training.training
    return {
        "trainingSection": {"visible": training.offered and state.connection in (ONLINE, LOST)},
        **offered(["trainCombo"], len(training.models) > 1),
        **offered(["trainButton"], training.offered, training.can_start),
        **offered(["stopTrainingButton"], now.running, training.can_stop),
        **bar("trainingBar", now.running, now.progress),
        **line("trainingLabel", _training_text(training)),
        "curveLabel": {"visible": bool(training_points(training))},
    }


def training_points(training: TrainingState) -> List[Tuple[float, float]]:
    """(epoch, validation Dice) of the epochs at which it was measured."""
    return [(float(point.epoch), point.dice) for point in training.training.curve if point.dice is not None]


def _training_text(training: TrainingState) -> str:
    """The progress of the training, or the result of the last one."""
    now, parts = training.training, []
    if now.running:
        parts.append(f"Training {now.model or training.model}")
        if now.epoch is not None and now.epochs:
            parts.append(f"epoch {now.epoch} of {now.epochs}")
        if now.labels:
            parts.append(f"{now.labels} labels")
        if now.left_s:
            parts.append(f"about {max(1, round(now.left_s / 60))} min left")
        return ", ".join(parts)
    if now.state != "none":
        parts.append(now.message or f"The last training was {now.state}.")
    if training.new_adapter and training.adapter:
        parts.append(f"A new adapter answers now: {training.adapter}.")
    return " ".join(parts)


def _many(count: int, what: str) -> str:
    return f"{count} {what}" + ("" if count == 1 else "s")


def _when_text(made: str) -> str:
    """A time from the server in this computer's time zone, to the minute."""
    try:
        # Python 3.9 does not parse the Z.
        return datetime.fromisoformat(made.replace("Z", "+00:00")).astimezone().strftime("%Y-%m-%d %H:%M")
    except ValueError:
        return made
