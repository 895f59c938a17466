"""How a label came about, as it is sent with it: prompts, model, adapter, clicks, seconds; and back."""

from __future__ import annotations

import json
from typing import Any, Dict, Iterable, List, Mapping, Optional, Sequence

from ..control.scene_protocol import SceneSide
from ..errors import PromptsError
from ..prompts.prompt_set import PromptBook, PromptSet

# The server takes one form field of at most 1 MiB.
MAX_PROMPTS = 500_000


def prompts_of(scene: SceneSide, segments: Mapping[str, str], image: str) -> List[Dict[str, Any]]:
    """The prompts of an image's segments (name -> id), without the image's name; without scribbles, or all
    left out, when they are too many to send."""
    found: List[Dict[str, Any]] = []
    for name, segment in segments.items():
        for entry in _entries(scene.load_prompts(segment)):
            if entry.get("image") == image:
                found.append({"segment": name, **{k: v for k, v in entry.items() if k != "image"}})
    if _length(found) > MAX_PROMPTS:
        found = [{**entry, "scribbles": []} for entry in found]
    return found if _length(found) <= MAX_PROMPTS else []


def restore_prompts(
    scene: SceneSide, sent: Iterable[Mapping[str, Any]], segments: Mapping[str, str], image: str
) -> List[str]:
    """Give segments (name -> id) back the prompts that `prompts_of` sent; the ids of those that got any.

    What other clients sent is skipped.
    """
    book, given = PromptBook(), []
    for entry in sent:
        segment = segments.get(str(entry.get("segment")))
        if segment is None:
            continue
        try:
            book.put(image, segment, PromptSet.from_dict(entry))
        except PromptsError:
            continue
        if segment not in given:
            given.append(segment)
    for segment in given:
        scene.save_prompts(segment, book.to_tag(segment))
    return given


def params_of(
    *,
    annotator: str,
    frames: Optional[Sequence[int]],
    names: Mapping[str, int],
    seen: int,
    seconds: float,
    clicks: int,
    model: Optional[str],
    adapter: Optional[str],
    prompts: Sequence[Mapping[str, Any]],
    hidden: Sequence[Mapping[str, Any]] = (),
) -> Dict[str, Any]:
    """What goes along with a label; see docs/labels.md.

    Args:
        frames: of a cine, those that are done; None for a still or a volume.
        names: value of each structure.
        hidden: pixels that the file cannot hold, as another structure has them there.
        seen: the newest final revision that the person knew; kept with a draft.
    """
    params: Dict[str, Any] = {
        "annotator": annotator,
        "client_id": annotator,
        "label_info": [{"name": name, "idx": index} for name, index in names.items()],
        "seen_revision": seen,
        "seconds": round(seconds, 1),
        "clicks": clicks,
        "prompts": list(prompts),
    }
    if hidden:
        params["hidden"] = list(hidden)
    if frames is not None:
        params["frames"] = sorted(frames)
    return {**params, **({"model": model} if model else {}), **({"adapter": adapter} if adapter else {})}


def _entries(text: Optional[str]) -> List[Dict[str, Any]]:
    try:
        told = json.loads(text or "[]")
    except ValueError:
        return []
    return [entry for entry in told if isinstance(entry, dict)] if isinstance(told, list) else []


def _length(value: Any) -> int:
    return len(json.dumps(value, separators=(",", ":")))
