"""How a label was made: the metadata sent with it, and prompts restored from it."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

from ..control.scene_protocol import SceneSide
from ..errors import PromptsError
from ..prompts.prompt_set import PromptBook, PromptSet
from .label_map import LabelMap

# Bytes; the server accepts form fields of at most 1 MiB.
MAX_PROMPTS = 500_000


def prompts_of(scene: SceneSide, segments: Mapping[str, str], image: str) -> List[Dict[str, Any]]:
    """The prompts of an image's segments (name -> ID), without the image's ID.

    Beyond `MAX_PROMPTS` bytes the scribbles are left out; if that is not enough, all prompts are.
    """
    prompts: List[Dict[str, Any]] = []
    for name, segment in segments.items():
        for entry in _entries(scene.load_prompts(segment)):
            if entry.get("image") == image:
                prompts.append({"segment": name, **{k: v for k, v in entry.items() if k != "image"}})
    if _length(prompts) > MAX_PROMPTS:
        prompts = [{**entry, "scribbles": []} for entry in prompts]
    return prompts if _length(prompts) <= MAX_PROMPTS else []


def restore_prompts(
    scene: SceneSide, sent: Iterable[Mapping[str, Any]], segments: Mapping[str, str], image: str
) -> List[str]:
    """Store the prompts that `prompts_of` sent with the segments (name -> ID); returns the IDs of these.

    Entries in the format of other clients are skipped.
    """
    book, restored = PromptBook(), []
    for entry in sent:
        segment = segments.get(str(entry.get("segment")))
        if segment is None:
            continue
        try:
            book.put(image, segment, PromptSet.from_dict(entry))
        except PromptsError:
            continue
        if segment not in restored:
            restored.append(segment)
    for segment in restored:
        scene.save_prompts(segment, book.to_tag(segment))
    return restored


def params_of(
    annotator: str, label: LabelMap, frames: Optional[Sequence[int]], **made: Any
) -> Dict[str, Any]:
    """The metadata of a label, as it is sent with the file; see docs/labels.md.

    Args:
        frames: the frames of a cine that are done; None for a still or a volume.
        made: how the label was made: `seen_revision` (the newest final revision that the person knew),
            `seconds`, `clicks`, `prompts`, `model`, `adapter`; what is None is not sent.
    """
    hidden, _ = label.packed_hidden()
    optional = {**made, "hidden": hidden or None, "frames": None if frames is None else sorted(frames)}
    return {
        "annotator": annotator,
        "client_id": annotator,
        "label_info": [{"name": name, "idx": index} for name, index in label.names.items()],
        **{name: value for name, value in optional.items() if value is not None},
    }


def _entries(text: Optional[str]) -> List[Dict[str, Any]]:
    try:
        stored = json.loads(text or "[]")
    except ValueError:
        return []
    return [entry for entry in stored if isinstance(entry, dict)] if isinstance(stored, list) else []


def _length(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))
