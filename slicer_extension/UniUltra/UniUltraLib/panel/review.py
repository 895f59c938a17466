"""The section Review: list of labels; show, approve, return with a comment, flag, or compare a label."""

from __future__ import annotations

from typing import Any

from .campaign_look import review_look, review_rows, review_states
from .section import Section

COLUMNS = ("Image", "By", "State", "Saved")


class ReviewPart(Section):
    """The section Review."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.review = panel.session.review
        self._listed_at = ""
        bind = self.binding.clicked
        bind("reviewListButton", self.list)
        bind("reviewOpenButton", self.open)
        bind("compareButton", self.review.compare)
        bind("approveButton", lambda: self.say("approved"))
        bind("returnButton", lambda: self.say("returned"))
        bind("flagButton", lambda: self.say("flagged"))
        self.ui.reviewSection.connect("contentsCollapsed(bool)", lambda *_: self.unfolded())
        self.binding.picked("reviewStateCombo", lambda _: self.list())
        self.ui.reviewTable.connect("cellDoubleClicked(int,int)", lambda *_: self.open())

    def unfolded(self) -> None:
        """Request the list automatically, once for each connection."""
        if not self.ui.reviewSection.collapsed and self._listed_at != self.controller.state.address:
            self.list()

    def list(self) -> None:
        """Request the labels of the chosen state."""
        self._listed_at = self.controller.state.address
        self.review.list((self.binding.chosen("reviewStateCombo") or "final",))

    def open(self) -> None:
        """Show the chosen label on its image."""
        row = self.ui.reviewTable.currentRow()
        if 0 <= row < len(self.review.state.items):
            self.review.open(self.review.state.items[row])

    def say(self, state: str) -> None:
        """Send the verdict with the comment."""
        self.review.say(state, self.ui.commentEdit.text.strip())
        self.ui.commentEdit.text = ""

    def update(self) -> None:
        """Show the list."""
        state = self.review.state
        self.binding.show(review_look(self.controller.state, state))
        chosen = state.states[0] if state.states else "final"
        self.binding.items("reviewStateCombo", review_states(state), chosen)
        self.binding.table("reviewTable", COLUMNS, review_rows(state))
