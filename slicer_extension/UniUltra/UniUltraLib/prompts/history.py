"""Undo and redo of prompts together with their masks, for one segment on one picture."""

from __future__ import annotations

import zlib
from dataclasses import replace
from typing import NamedTuple, Optional, Tuple

import numpy as np

from .answer import Answer
from .prompt_set import PromptSet

LIMIT = 200


class KeptMask(NamedTuple):
    """A compressed (rows, columns) mask; equal if the pixels are."""

    shape: Tuple[int, ...]
    bits: bytes

    @classmethod
    def of(cls, mask: np.ndarray) -> KeptMask:
        """Compress a mask."""
        mask = np.asarray(mask, bool)
        return cls(mask.shape, zlib.compress(np.packbits(mask).tobytes(), 1))

    def array(self) -> np.ndarray:
        """The mask, uncompressed: (rows, columns) bool."""
        count = self.shape[0] * self.shape[1]
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        return np.unpackbits(bits, count=count).reshape(self.shape).astype(bool)


class Moment:
    """One state of the history: the prompts and the mask predicted from them.

    Attributes:
        mask: None until the prompts are answered.
        by_hand: a person painted the mask.
        answer: the model's answer, with an empty mask; None for a painted mask.
        tries: how often the prompts were sent without an answer.
    """

    def __init__(self, prompts: PromptSet, mask: Optional[KeptMask] = None, by_hand: bool = False) -> None:
        self.prompts, self.mask, self.by_hand = prompts, mask, by_hand
        self.answer: Optional[Answer] = None
        self.tries = 0

    def settle(self, answer: Answer) -> None:
        """Take the answer to the prompts. Its mask is compressed, because a cine has hundreds of moments."""
        self.mask = KeptMask.of(answer.mask)
        self.answer = replace(answer, mask=answer.mask[:0])


class Timeline:
    """The undo history of one segment on one picture: a list of moments, one of which is shown now.

    Args:
        prompts, held: the prompts and the segment's mask, (rows, columns) bool, at the start.
    """

    def __init__(self, prompts: PromptSet, held: np.ndarray) -> None:
        self._held = KeptMask.of(held)
        self._moments = [Moment(prompts, self._held)]
        self._at = 0

    @property
    def now(self) -> Moment:
        """The moment that is shown."""
        return self._moments[self._at]

    @property
    def can_undo(self) -> bool:
        """Whether there is an earlier moment."""
        return self._at > 0

    @property
    def can_redo(self) -> bool:
        """Whether something was undone."""
        return self._at + 1 < len(self._moments)

    def __contains__(self, moment: Moment) -> bool:
        return any(other is moment for other in self._moments)

    def sync(self, held: np.ndarray) -> None:
        """Compare with the segment's present mask; if a person has painted, add a moment for it.

        While an answer is awaited, the new moment is inserted before the one that awaits it.
        """
        answered = self._last_answered()
        mask = KeptMask.of(held)
        if mask == self._held:
            return
        self._held = mask
        if answered == self._at:
            del self._moments[self._at + 1 :]
        self._moments.insert(answered + 1, Moment(self._moments[answered].prompts, mask, by_hand=True))
        self._at += 1

    def written(self, held: np.ndarray) -> None:
        """Note the segment's mask after writing one; in an oblique view it differs from what was written."""
        self._held = KeptMask.of(held)

    def trust(self) -> None:
        """Treat the present mask as painted by a person, even if a model predicted it."""
        self._moments[self._last_answered()].by_hand = True

    def add(self, prompts: PromptSet, mask: Optional[np.ndarray] = None) -> Moment:
        """Append a moment after the shown one and show it; moments that were undone are dropped."""
        del self._moments[self._at + 1 :]
        self._moments.append(Moment(prompts, None if mask is None else KeptMask.of(mask)))
        del self._moments[1 : len(self._moments) - LIMIT + 1]  # keeps the first mask
        self._at = len(self._moments) - 1
        return self.now

    def base_for(self, prompts: PromptSet) -> Optional[Moment]:
        """The newest moment up to now whose mask `prompts` can refine; None without one.

        A painted mask always counts, a predicted one only if all its prompts are still among `prompts`.
        """
        for moment in reversed(self._moments[: self._at + 1]):
            if moment.mask is not None and (
                moment.by_hand or set(moment.prompts.prompts) <= set(prompts.prompts)
            ):
                return moment
        return None

    def undo(self) -> Moment:
        """Go one moment back, if possible; returns the shown moment."""
        self._at = max(self._at - 1, 0)
        return self.now

    def redo(self) -> Moment:
        """Go one moment forward, if possible; returns the shown moment."""
        self._at = min(self._at + 1, len(self._moments) - 1)
        return self.now

    def newest_mask(self) -> np.ndarray:
        """The mask of the newest answered moment up to now, (rows, columns) bool."""
        return (self._moments[self._last_answered()].mask or self._held).array()

    def back_to_answered(self) -> Moment:
        """Go back to the newest answered moment; returns it."""
        self._at = self._last_answered()
        return self.now

    def _last_answered(self) -> int:
        return max(n for n in range(self._at + 1) if n == 0 or self._moments[n].mask is not None)
