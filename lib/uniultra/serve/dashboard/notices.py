"""What the lead should know before all else: what is wrong, and what to do about it."""

from __future__ import annotations

import shutil
from collections import Counter
from collections.abc import Sequence

from uniultra.serve.dashboard.learning import TrainingJob
from uniultra.serve.dashboard.schema import Adapter, Notice
from uniultra.store.campaign import file
from uniultra.store.errors import CampaignError
from uniultra.store.progress import Snapshot
from uniultra.store.store import LabelStore

LOW_BYTES = 2 << 30
REFUSED = 3  # in a row


def notices(
    store: LabelStore,
    snapshot: Snapshot,
    jobs: Sequence[TrainingJob],
    adapters: Sequence[Adapter],
    errors: Sequence[str] = (),
) -> tuple[Notice, ...]:
    """Problems first, then warnings; `errors` are texts of those met while the page was made."""
    all_notices = _folder(store) + _quarantine(store) + _campaign(store) + _labels(snapshot)
    all_notices += _learning(jobs, adapters)
    all_notices += [_problem(text, "") for text in errors]
    return tuple(sorted(all_notices, key=lambda notice: notice.level != "problem"))


def _folder(store: LabelStore) -> list[Notice]:
    if store.index.memory_only:
        text = "The studies folder cannot be written; no label can be saved."
        return [_problem(text, "Check its permissions and whether its disk is full.")]
    try:
        free = shutil.disk_usage(store.studies).free
    except OSError:
        return []
    if free < LOW_BYTES:
        text = f"The disk of the studies folder has only {free / (1 << 30):.1f} GiB left."
        return [_problem(text, "Make room: when it is full, no label can be saved.")]
    return []


def _quarantine(store: LabelStore) -> list[Notice]:
    reasons = Counter(problem.reason for problem in store.problems())
    if not reasons:
        return []
    total = sum(reasons.values())
    what = "1 damaged file was" if total == 1 else f"{total} damaged files were"
    each = sorted(reasons.items())
    why = ", ".join(reason if count == total else f"{reason} ({count})" for reason, count in each)
    action = "Restore from a backup or label again, then empty .uniultra/quarantine."
    return [_problem(f"{what} put aside and not trained on: {why}.", action)]


def _campaign(store: LabelStore) -> list[Notice]:
    try:
        file.load(store.studies)
    except CampaignError as error:
        return [_problem(str(error), "Until then, what it said before holds.")]
    if not (store.studies / file.FILE).exists():
        text = "This folder has no campaign.yaml: structures, readers and patients are guessed."
        return [_warning(text, "Write one with: uniultra campaign init.")]
    return []


def _labels(snapshot: Snapshot) -> list[Notice]:
    nameless = sum(not annotator for _, annotator in snapshot.newest())
    if not nameless:
        return []
    text = "1 label has" if nameless == 1 else f"{nameless} labels have"
    action = "Ask annotators to enter their name (the client id) in Slicer's settings."
    return [_warning(f"{text} no annotator's name.", action)]


def _learning(jobs: Sequence[TrainingJob], adapters: Sequence[Adapter]) -> list[Notice]:
    found = []
    ended = [job.ended for job in jobs if job.ended is not None]
    if ended and ended[-1].status == "ERROR":
        text = f"The last training failed: {ended[-1].error or 'it did not say why.'}"
        found.append(_problem(text, "The model that answers clicks is untouched. Start a training again."))
    if ended and (count := len(ended[-1].left_out)):
        labels = "1 label" if count == 1 else f"{count} labels"
        text = f"{labels} could not be read by the last training and were left out."
        found.append(_warning(text, "Its job in .uniultra/training says which, and why."))
    judged = [one for one in adapters if one.what in ("published", "refused")]
    if len(judged) >= REFUSED and all(one.what == "refused" for one in judged[-REFUSED:]):
        text = f"The last {REFUSED} trainings were refused by the gate."
        found.append(_warning(text, "Look at the agreement of the annotators, and label other patients."))
    return found


def _problem(text: str, action: str) -> Notice:
    return Notice(level="problem", text=text, action=action)


def _warning(text: str, action: str) -> Notice:
    return Notice(level="warning", text=text, action=action)
