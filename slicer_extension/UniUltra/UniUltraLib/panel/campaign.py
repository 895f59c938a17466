"""The sections Campaign and Finish: next image, structures, own images; submit, draft, skip, conflicts."""

from __future__ import annotations

from typing import Any

import qt

from .campaign_look import SKIP_REASONS, campaign_look, strategy_items
from .curve import swatch
from .section import Section

# Structures that are visible without scrolling.
MOST_ROWS = 6


class CampaignPart(Section):
    """The current unit of the campaign, or an own image, and its label."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.work = panel.session.campaign
        bind = self.binding.clicked
        bind("nextButton", self.work.units.next)
        bind("submitButton", lambda: self.work.submit("final", then_next=self.ui.thenNextCheck.checked))
        bind("draftButton", lambda: self.work.submit("draft"))
        bind("skipButton", lambda: self.work.units.skip(self.ui.skipCombo.currentText))
        bind("proposalButton", self.load_proposal)
        bind("openButton", self.open_own)
        bind("conflictLookButton", self.work.conflicts.show_newer)
        bind("conflictMineButton", self.work.conflicts.save_on_top)
        bind("conflictDropButton", self.work.conflicts.discard)
        bind("besideButton", self.work.hide_beside)
        bind("discardButton", self.discard)
        self.binding.picked("strategyCombo", self.work.choose_strategy)
        self.ui.labelsList.connect("itemClicked(QListWidgetItem*)", self.choose_label)

    def choose_label(self, item: Any) -> None:
        """Select the segment of a structure, created if it is missing."""
        name = item.data(qt.Qt.UserRole)
        segment = next((s.id for s in self.controller.state.segments if s.name == name), None)
        if segment is None:
            self.controller.add_segment(name)
        else:
            self.controller.select_segment(segment)

    def load_proposal(self) -> None:
        """Load the chosen proposal of a model into the segments."""
        revision = self.binding.chosen("proposalCombo")
        for proposal in self.work.state.proposals:
            if str(proposal.revision) == revision:
                self.work.load_proposal(proposal)

    def discard(self) -> None:
        """Discard the labels that the server refused."""
        for entry in self.work.unsent():
            if entry.refused:
                self.work.discard(entry.key)

    def open_own(self) -> None:
        """Open the image that is chosen in the selector."""
        node = self.ui.volumeSelector.currentNode()
        if node is not None:
            self.session.open(node)

    def update(self) -> None:
        """Show the campaign."""
        state, work = self.controller.state, self.work.state
        refused = [entry.refused for entry in self.work.unsent() if entry.refused] if work.unsent else []
        self.binding.show(campaign_look(state, work, refused, set(self.work.current.beside.ids)))
        self.binding.items("strategyCombo", strategy_items(state, work), work.strategy)
        proposals = [(str(p.revision), f"{p.model or p.annotator}, {p.revision}") for p in work.proposals]
        self.binding.items("proposalCombo", proposals, self.binding.chosen("proposalCombo"))
        reasons = work.campaign.skip_reasons or SKIP_REASONS
        if self.changed("reasons", reasons):
            self.binding.items("skipCombo", [(text, text) for text in reasons], reasons[0])
        conflict = work.conflict
        if self.changed("conflict", conflict.key if conflict is not None else None) and conflict is not None:
            self.controller.tell(None)  # the question says the same, and offers the answers
        self._show_labels(work.campaign.labels, state)
        kind = state.shown.kind if state.shown is not None else None
        if self.changed("kind", kind) and kind is not None:
            self.panel.views.show(kind, self.session.scene.volume, self.session.scene.browser)

    def _show_labels(self, labels: Any, state: Any) -> None:
        drawn = {segment.name: segment.id for segment in state.segments}
        if not self.changed("labels", (labels, tuple(drawn.items()), state.segment)):
            return
        self.ui.labelsList.clear()
        for label in labels:
            item = qt.QListWidgetItem(swatch(label.colour), label.name)
            item.setData(qt.Qt.UserRole, label.name)
            item.setToolTip(label.instructions or label.name)
            self.ui.labelsList.addItem(item)
            if drawn.get(label.name, "") == state.segment:
                self.ui.labelsList.setCurrentItem(item)
        row = max(self.ui.labelsList.sizeHintForRow(0), 20)
        self.ui.labelsList.setFixedHeight(row * min(max(len(labels), 1), MOST_ROWS) + 6)
