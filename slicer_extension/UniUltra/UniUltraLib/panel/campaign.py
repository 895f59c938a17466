"""The campaign's sections: the next image, its structures, an image of one's own; submit, draft, skip."""

from __future__ import annotations

from typing import Any, Dict

import qt

from .campaign_look import SKIP_REASONS, campaign_look, strategy_items
from .curve import swatch
from .section import Section

# Structures that are shown without scrolling.
MOST_ROWS = 6


class CampaignPart(Section):
    """What is worked on, and what becomes of it."""

    def __init__(self, panel: Any) -> None:
        super().__init__(panel)
        self.work = panel.session.campaign
        self._labels: Any = None
        self._reasons: Any = None
        self._kind: Any = None
        self._conflict = ""
        self._swatches: Dict[Any, Any] = {}
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
        self.ui.strategyCombo.connect("activated(int)", lambda *_: self.choose_strategy())
        self.ui.labelsList.connect("itemClicked(QListWidgetItem*)", self.choose_label)

    def choose_strategy(self) -> None:
        """Another order of images."""
        self.work.choose_strategy(self.binding.chosen("strategyCombo"))

    def choose_label(self, item: Any) -> None:
        """Outline this structure; its segment is made when there is none."""
        name = item.data(qt.Qt.UserRole)
        found = next((s.id for s in self.controller.state.segments if s.name == name), None)
        if found is None:
            self.controller.add_segment(name)
        else:
            self.controller.select_segment(found)

    def load_proposal(self) -> None:
        """Put what a model proposed into the segments."""
        revision = self.binding.chosen("proposalCombo")
        found = next((one for one in self.work.state.proposals if str(one.revision) == revision), None)
        if found is not None:
            self.work.load_proposal(found)

    def discard(self) -> None:
        """Give up what the server refused."""
        for entry in self.work.unsent():
            if entry.refused:
                self.work.discard(entry.key)

    def open_own(self) -> None:
        """Work on the image that is chosen in the scene."""
        node = self.ui.volumeSelector.currentNode()
        if node is not None:
            self.session.open(node)

    def update(self) -> None:
        """Show the campaign."""
        state, work = self.controller.state, self.work.state
        refused = [entry.refused for entry in self.work.unsent() if entry.refused] if work.unsent else []
        self.binding.show(campaign_look(state, work, refused, set(self.work.current.beside.ids)))
        self.binding.items("strategyCombo", strategy_items(state, work), work.strategy)
        proposals = [
            (str(one.revision), f"{one.model or one.annotator}, {one.revision}") for one in work.proposals
        ]
        self.binding.items("proposalCombo", proposals, self.binding.chosen("proposalCombo"))
        reasons = work.campaign.skip_reasons or SKIP_REASONS
        if reasons != self._reasons:
            self._reasons = reasons
            self.binding.items("skipCombo", [(text, text) for text in reasons], reasons[0])
        self._ask_about(work.conflict)
        self._show_labels(work.campaign.labels, state)
        kind = state.shown.kind if state.shown is not None else None
        if kind is not None and kind != self._kind:
            self.panel.views.show(kind, self.session.scene.volume, self.session.scene.browser)
        self._kind = kind

    def _ask_about(self, conflict: Any) -> None:
        key = conflict.key if conflict is not None else ""
        if key and key != self._conflict:
            self.controller.tell(None)  # the question says the same, and has the answers
        self._conflict = key

    def _show_labels(self, labels: Any, state: Any) -> None:
        drawn = {segment.name: segment.id for segment in state.segments}
        now = (labels, tuple(drawn.items()), state.segment)
        if now == self._labels:
            return
        self._labels = now
        self.ui.labelsList.clear()
        for label in labels:
            item = qt.QListWidgetItem(self._swatch(label.colour), label.name)
            item.setData(qt.Qt.UserRole, label.name)
            item.setToolTip(label.instructions or label.name)
            self.ui.labelsList.addItem(item)
            if drawn.get(label.name, "") == state.segment:
                self.ui.labelsList.setCurrentItem(item)
        row = max(self.ui.labelsList.sizeHintForRow(0), 20)
        self.ui.labelsList.setFixedHeight(row * min(max(len(labels), 1), MOST_ROWS) + 6)

    def _swatch(self, colour: Any) -> Any:
        if colour not in self._swatches:
            self._swatches[colour] = swatch(colour)
        return self._swatches[colour]
