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
    """A (rows, columns) mask, compressed; equal when the pixels are."""

    shape: Tuple[int, ...]
    bits: bytes

    @classmethod
    def of(cls, mask: np.ndarray) -> KeptMask:
        """Keep a mask."""
        mask = np.asarray(mask, bool)
        return cls(mask.shape, zlib.compress(np.packbits(mask).tobytes(), 1))

    def array(self) -> np.ndarray:
        """The mask, (rows, columns) bool."""
        count = self.shape[0] * self.shape[1]
        bits = np.frombuffer(zlib.decompress(self.bits), np.uint8)
        return np.unpackbits(bits, count=count).reshape(self.shape).astype(bool)


class Moment:
    """The prompts at one time, and the mask they gave.

    `mask` is None while no answer has come. `by_hand` says that a person painted it. `answer` is what came
    with it, without its mask, if a model made it.
    """

    def __init__(self, prompts: PromptSet, mask: Optional[KeptMask] = None, by_hand: bool = False) -> None:
        self.prompts, self.mask, self.by_hand = prompts, mask, by_hand
        self.answer: Optional[Answer] = None
        self.tries = 0

    def settle(self, answer: Answer) -> None:
        """The answer came. Its mask is kept small: a cine has hundreds of moments."""
        self.mask = KeptMask.of(answer.mask)
        self.answer = replace(answer, mask=answer.mask[:0])


class Timeline:
    """The moments of one segment on one picture, of which one is now.

    It begins with `prompts` and the mask `held` by the segment then.
    """

    def __init__(self, prompts: PromptSet, held: np.ndarray) -> None:
        self._held = KeptMask.of(held)
        self._moments = [Moment(prompts, self._held)]
        self._at = 0

    @property
    def now(self) -> Moment:
        """The moment shown now."""
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
        return any(kept is moment for kept in self._moments)

    def sync(self, held: np.ndarray) -> None:
        """Note what the segment holds; what was painted since becomes a moment of its own.

        While an answer is awaited, that moment stands before it.
        """
        known = self._last_known()
        mask = KeptMask.of(held)
        if mask == self._held:
            return
        self._held = mask
        if known == self._at:
            del self._moments[self._at + 1 :]
        self._moments.insert(known + 1, Moment(self._moments[known].prompts, mask, by_hand=True))
        self._at += 1

    def written(self, held: np.ndarray) -> None:
        """Note what the segment holds after a mask was written: of an oblique view, not quite that."""
        self._held = KeptMask.of(held)

    def trust(self) -> None:
        """What the segment holds is what the person means, however it was made."""
        self._moments[self._last_known()].by_hand = True

    def add(self, prompts: PromptSet, mask: Optional[np.ndarray] = None) -> Moment:
        """A new moment after now, which becomes now; what was undone is forgotten."""
        del self._moments[self._at + 1 :]
        self._moments.append(Moment(prompts, None if mask is None else KeptMask.of(mask)))
        del self._moments[1 : len(self._moments) - LIMIT + 1]  # never the mask that was there at first
        self._at = len(self._moments) - 1
        return self.now

    def base_for(self, prompts: PromptSet) -> Optional[Moment]:
        """The newest moment up to now whose mask `prompts` build on; None when there is none.

        A mask that came from a prompt since removed or moved does not count; a painted mask always does.
        """
        for moment in reversed(self._moments[: self._at + 1]):
            if moment.mask is not None and (
                moment.by_hand or set(moment.prompts.prompts) <= set(prompts.prompts)
            ):
                return moment
        return None

    def undo(self) -> Moment:
        """Go one moment back, if there is one; the moment that is now."""
        self._at = max(self._at - 1, 0)
        return self.now

    def redo(self) -> Moment:
        """Go one moment forward, if there is one; the moment that is now."""
        self._at = min(self._at + 1, len(self._moments) - 1)
        return self.now

    def known_mask(self) -> np.ndarray:
        """The mask of the newest moment up to now that has one, (rows, columns) bool."""
        return (self._moments[self._last_known()].mask or self._held).array()

    def back_to_known(self) -> Moment:
        """Go back to the newest moment that has its mask; the moment that is now."""
        self._at = self._last_known()
        return self.now

    def _last_known(self) -> int:
        return max(n for n in range(self._at + 1) if n == 0 or self._moments[n].mask is not None)
