"""The prompts of one segment on one plane of one image, and how they are sent and stored.

A `PromptSet` is immutable: every edit returns a new one, so undo only has to keep the old one.
"""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any, Collection, Dict, Optional, Tuple

import numpy as np

from ..errors import PromptsError
from .kinds import PROMPT_KINDS, Picture, Prompt
from .mask_packing import pack_mask
from .planes import Plane, Size, describe


@dataclass(frozen=True)
class PromptSet:
    """The prompts of one segment on one plane of an image.

    Attributes:
        size: (I,J,K) voxels of the image.
        plane: the plane that the prompts lie on.
        prompts: in the order of `PROMPT_KINDS`.
        previous: the mask to refine, (rows, columns) bool; `to_dict` omits it, as the segment itself has it.

    Raises:
        OutsideImage: the image does not have the plane.

    >>> from UniUltraLib.prompts.planes import Plane
    >>> prompts = PromptSet((120, 90, 1), Plane("k", 0))
    >>> prompts = prompts.with_prompt("point", (40, 30, 0)).with_prompt("box", (60, 50, 20, 20))
    >>> [(prompt.kind, prompt.key, prompt.value) for prompt in prompts.prompts]
    [('point', 'point0', (40, 30, 0)), ('box', '', (20, 20, 60, 50))]
    >>> prompts.without("point", "point0").to_params()["roi"]
    [20, 60, 20, 50, 0, 0]
    >>> PromptSet.from_dict(prompts.to_dict()) == prompts
    True
    """

    size: Size
    plane: Plane
    prompts: Tuple[Prompt, ...] = ()
    previous: Optional[np.ndarray] = field(default=None, compare=False)

    def __post_init__(self) -> None:
        self.plane.check(self.size)

    def __bool__(self) -> bool:
        return bool(self.prompts or self.previous is not None)

    @property
    def picture(self) -> Picture:
        """The plane's picture."""
        return Picture(self.plane, self.size)

    @property
    def shape(self) -> Tuple[int, int]:
        """(rows, columns) of the plane's picture."""
        return self.plane.shape(self.size)

    def of(self, kind: str) -> Tuple[Prompt, ...]:
        """The prompts of one kind."""
        return tuple(prompt for prompt in self.prompts if prompt.kind == kind)

    def with_prompt(self, kind: str, value: Any, key: str = "", positive: bool = True) -> PromptSet:
        """Add a prompt, or replace the one of the same kind and key.

        Args:
            kind: name in `PROMPT_KINDS`.
            value: what the `check` of that kind takes.
            key: by default a free one, if a picture may have several prompts of the kind.
            positive: True if the prompt lies on the structure, False if on the background.

        Raises:
            OutsideImage: a part of the prompt is not on the picture.
            PromptsError: the value cannot be a prompt of this kind.
        """
        if PROMPT_KINDS[kind].many and not key:
            taken = {prompt.key for prompt in self.of(kind)}
            key = next(f"{kind}{n}" for n in range(len(taken) + 1) if f"{kind}{n}" not in taken)
        return self._put(Prompt(kind, PROMPT_KINDS[kind].check(value, self.picture), key, positive))

    def without(self, kind: str, key: str = "") -> PromptSet:
        """Remove a prompt, if it exists."""
        left = tuple(prompt for prompt in self.prompts if (prompt.kind, prompt.key) != (kind, key))
        return replace(self, prompts=left)

    def only(self, kinds: Collection[str]) -> PromptSet:
        """Only the prompts of these kinds, such as those that a model takes."""
        return replace(self, prompts=tuple(prompt for prompt in self.prompts if prompt.kind in kinds))

    def agreeing(self, mask: np.ndarray) -> PromptSet:
        """Only the prompts that are consistent with a (rows, columns) mask."""
        agreeing = (p for p in self.prompts if PROMPT_KINDS[p.kind].agrees(p, mask, self.picture))
        return replace(self, prompts=tuple(agreeing))

    def with_previous(self, mask: Optional[np.ndarray]) -> PromptSet:
        """Set the (rows, columns) mask to refine; None or an empty mask removes it.

        Raises:
            PromptsError: the mask does not have the picture's shape.
        """
        if mask is None or not np.any(mask):
            return replace(self, previous=None)
        self.picture.check_shape(mask, "mask")
        return replace(self, previous=np.array(mask, bool))

    def to_params(self) -> Dict[str, Any]:
        """The prompts as the server's `params`, JSON-ready; see docs/wire.md."""
        params: Dict[str, Any] = {"plane": self.plane.to_dict()}
        for name, kind in PROMPT_KINDS.items():
            params.update(kind.to_params(self.of(name), self.picture))
        if self.previous is not None:
            params["mask"] = pack_mask(self.previous)
        return params

    def to_dict(self) -> Dict[str, Any]:
        """The prompts with their keys, JSON-ready, to be stored with the segment."""
        stored: Dict[str, Any] = {"size": list(self.size), "plane": self.plane.to_dict()}
        for name, kind in PROMPT_KINDS.items():
            entries = [kind.to_stored(prompt) for prompt in self.of(name)]
            stored[kind.stored] = entries if kind.many else next(iter(entries), None)
        return stored

    @classmethod
    def from_dict(cls, value: Any) -> PromptSet:
        """The prompts that `to_dict` wrote.

        Raises:
            PromptsError: `value` is malformed, or has a prompt outside its image.
        """
        try:
            i, j, k = (int(n) for n in value["size"])
            prompts = cls((i, j, k), Plane.from_dict(value["plane"]))
            for name, kind in PROMPT_KINDS.items():
                stored = value.get(kind.stored, [] if kind.many else None)
                for entry in stored if kind.many else () if stored is None else (stored,):
                    prompts = prompts._put(Prompt(name, *kind.from_stored(entry, prompts.picture)))
            return prompts
        except PromptsError:
            raise
        except (AttributeError, KeyError, TypeError, ValueError, IndexError, OverflowError):
            raise PromptsError("Stored prompts cannot be read. Place them again.") from None

    def _put(self, prompt: Prompt) -> PromptSet:
        """Add or replace, and sort by kind, so that equality does not depend on the order of edits."""
        name = (prompt.kind, prompt.key)
        prompts = [prompt if (p.kind, p.key) == name else p for p in self.prompts]
        if prompt not in prompts:
            prompts.append(prompt)
        order = list(PROMPT_KINDS)
        return replace(self, prompts=tuple(sorted(prompts, key=lambda p: order.index(p.kind))))


class PromptBook:
    """The prompts of all segments by image (its content hash or ID), plane and segment."""

    def __init__(self) -> None:
        self._sets: Dict[Tuple[str, Plane, str], PromptSet] = {}

    def get(self, image: str, plane: Plane, segment: str, size: Size) -> PromptSet:
        """The prompts of `segment` on `plane` of `image`; an empty set if there are none.

        Raises:
            PromptsError: the stored prompts belong to an image of another size.
        """
        prompts = self._sets.get((image, plane, segment), PromptSet(size, plane))
        if prompts.size != size:
            raise PromptsError(
                f"Expected prompts of {describe(size)}; the stored prompts belong to "
                f"{describe(prompts.size)}. Place them again."
            )
        return prompts

    def put(self, image: str, segment: str, prompts: PromptSet) -> None:
        """Store a set; an empty one is deleted."""
        key = (image, prompts.plane, segment)
        if prompts:
            self._sets[key] = prompts
        else:
            self._sets.pop(key, None)

    def forget_segment(self, segment: str) -> None:
        """Delete the prompts of a segment that was removed."""
        self._sets = {key: value for key, value in self._sets.items() if key[2] != segment}

    def to_tag(self, segment: str) -> str:
        """A segment's prompts on all planes and images, as the text of a segment tag."""
        entries = [
            {"image": image, **prompts.to_dict()}
            for (image, _, owner), prompts in self._sets.items()
            if owner == segment
        ]
        # A .seg.nrrd header joins its tags with "|".
        return json.dumps(entries, separators=(",", ":")).replace("|", "\\u007c")

    def from_tag(self, segment: str, text: str) -> None:
        """Replace the prompts of `segment` by those of a text that `to_tag` wrote.

        Raises:
            PromptsError: `text` is malformed; the present prompts stay.
        """
        try:
            entries = json.loads(text)
            if not isinstance(entries, list):
                raise TypeError
            sets = [(str(entry["image"]), PromptSet.from_dict(entry)) for entry in entries]
        except PromptsError:
            raise
        except (KeyError, TypeError, ValueError, RecursionError):
            raise PromptsError("Stored prompts cannot be read. Place them again.") from None
        self.forget_segment(segment)
        for image, prompts in sets:
            self.put(image, segment, prompts)
