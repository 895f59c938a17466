"""The open unit: its image in the scene, its structures as segments, the versions its label is based on."""

from __future__ import annotations

import contextlib
import hashlib
from dataclasses import replace
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

from ..control.scene_protocol import SceneSide
from ..errors import SceneError, UniUltraLibError
from ..prompts.nrrd import label_array, nrrd_bytes
from ..prompts.shown import CINE, SegmentInfo
from ..wire.campaign_calls import Unit
from ..wire.campaign_types import DRAFT, FINAL, PROPOSAL, Label, Masks, Version
from . import fetch_unit, provenance
from .fetch_unit import Annotator, Fetched
from .label_map import (
    Beside,
    LabelMap,
    Place,
    check_size,
    clear,
    collect,
    drawn_planes,
    ensure,
    note,
    put,
)

Load = Callable[[Path, str, str], Any]


class CurrentUnit:
    """The open unit; no unit is open before `open` and after `forget`.

    Args:
        scene: where it is open.
        load, unload: see `campaign.CampaignWork`.

    Attributes:
        address: of the server that has the image.
        resumed: the version whose masks were put back when the unit was opened; None without one.
        proposals: the versions made by models, oldest first.
        bases: newest revision that the annotator knows, by tag; see `fetch_unit.bases`.
        labels: the campaign's structures.
        submitted: the scene holds what was submitted last, as a final label or (`drafted`) as a draft.
        asked: the server asked for exactly this frame of a cine, not for any frame.
        saved: revision of the submitted label; None until the server has it.
        made_by: the model and the adapter that answered last.
    """

    def __init__(self, scene: SceneSide, load: Load, unload: Callable[[Any], None]) -> None:
        self.scene, self.beside = scene, Beside(scene)
        self._load, self._unload = load, unload
        self._node: Any = None
        self.forget()

    def forget(self) -> None:
        """The image was closed."""
        self.address = ""
        self.unit: Optional[Unit] = None
        self.place: Optional[Place] = None
        self.resumed: Optional[Version] = None
        self.proposals: Tuple[Version, ...] = ()
        self.bases: Dict[str, int] = {DRAFT: 0, FINAL: 0}
        self.labels: Tuple[Label, ...] = ()
        self.submitted = self.drafted = self.asked = False
        self.saved: Optional[int] = None
        self.made_by: Tuple[Optional[str], Optional[str]] = (None, None)
        self._kept = b""
        self.beside.forget()

    @property
    def image(self) -> Optional[str]:
        """The ID of the open image; None without one."""
        return self.unit.image if self.unit is not None else None

    @property
    def cine(self) -> bool:
        """Whether the image is a cine."""
        return self.place is not None and self.place.kind == CINE

    @property
    def position(self) -> str:
        """Such as "frame 12 of 40"; empty for a still or a volume."""
        if self.unit is None or self.place is None or not self.cine:
            return ""
        return f"frame {self.unit.frame + 1} of {self.place.size[2]}"

    def open(self, fetched: Fetched, who: Annotator, labels: Sequence[Label]) -> List[str]:
        """Open a unit and put the masks, marks and prompts of the version to resume into the scene.

        If its image is open already, they replace what is drawn.

        Returns:
            The segments whose prompts were restored.

        Raises:
            UniUltraLibError: the image cannot be loaded, or its size is not that of the server's.
        """
        again = fetched.file is None and fetched.unit.image == self.image
        if not again:
            self._open_image(fetched)
        if not again or fetched.judged:
            self.bases = fetch_unit.bases(fetched.versions, who, fetched.resume)
            resume, own = fetched.resume, fetched.resume is not None and fetched.resume.annotator == who.name
            self.made_by = (resume.model, resume.adapter) if resume is not None and own else (None, None)
        self.labels, self.unit = tuple(labels), fetched.unit
        self.resumed, self.proposals = fetched.resume, _proposals(fetched.versions)
        self.submitted, self.saved, self.drafted = False, None, False
        try:
            restored = self._put_back(fetched, who, over=again)
        except UniUltraLibError:
            self.forget()  # a label that was restored in part must not be saved over the complete one
            raise
        if self.cine:
            self.scene.go_to(fetched.unit.frame)
        self.keep()
        return restored

    def _put_back(self, fetched: Fetched, who: Annotator, *, over: bool) -> List[str]:
        """Restore masks, marks and prompts of the version to resume; returns the segments with prompts."""
        ensure(self.scene, self.labels)
        if fetched.masks is None:
            return []
        self.put(fetched.masks, over=over)
        if fetched.resume is None:
            return []
        if fetched.judged or fetched.resume.annotator == who.name:
            self._mark(fetched.resume, fetched.masks)
        put(self.scene, self._place(), fetched.resume.hidden, self.segments(), add=True)
        return provenance.restore_prompts(
            self.scene, fetched.resume.prompts, self.segments(), fetched.unit.image
        )

    def adopt(self, fetched: Fetched, who: Annotator, labels: Sequence[Label]) -> None:
        """Make the open image the current unit, although it was opened otherwise, as with a saved scene.

        The version its masks are based on is unknown, so another annotator's label will be a conflict.

        Raises:
            SceneError: its size is not that of the server's image.
        """
        self._set_place(fetched.place)
        self.unit, self.labels, self.proposals = fetched.unit, tuple(labels), _proposals(fetched.versions)
        newest = fetch_unit.bases(fetched.versions, who, None)
        own = {version.revision for version in fetched.versions if version.annotator == who.name}
        self.bases = {tag: revision if revision in own else 0 for tag, revision in newest.items()}

    def put(self, masks: Masks, *, over: bool = False) -> None:
        """Write masks into the segments of their names; with `over`, all segments are emptied first.

        Raises:
            SceneError: the masks are of an image of another size.
        """
        place = self._place()
        check_size(place, masks.size)
        names = {plane.label for plane in masks.planes} - set(self.segments())
        ensure(self.scene, [Label(name, 0) for name in sorted(names)])
        if over:
            clear(self.scene, place, list(self.segments().values()))
        put(self.scene, place, masks.planes, self.segments())

    def put_label(self, file: bytes, params: Mapping[str, Any]) -> None:
        """Replace the segments' masks by those of a label file and the `params` that are sent with it.

        Raises:
            SceneError: the file is of an image of another size, or damaged.
        """
        place, values = self._place(), label_array(file)
        check_size(place, values.shape[::-1])
        structures = {str(info["name"]): info["idx"] for info in params.get("label_info", ())}
        ids = ensure(self.scene, [Label(name, 0) for name in structures])
        for name, value in structures.items():
            for number, picture in enumerate(values):
                self.scene.write(ids[name], place.plane(number), picture == value)
        for frame in params.get("frames", ()):
            self.scene.set_done(frame)

    def segments(self) -> Dict[str, str]:
        """The segments of the label, name -> ID, without those that show other versions."""
        return {info.name: info.id for info in self._segments()}

    def _segments(self) -> List[SegmentInfo]:
        return [info for info in self.scene.segments() if info.id not in self.beside.ids]

    def collected(self, tag: str) -> Tuple[LabelMap, Optional[List[int]]]:
        """The label map for a label of this tag, and the frames of a cine that are done.

        A draft has all masks; a final label those of the frames that are done, and of the unit's own frame
        if it is not empty.

        Raises:
            SceneError: a segment with a mask is not a structure of the campaign; or no frame is done.
        """
        label = collect(self.scene, self._place(), self.labels, self.beside.ids)
        if not self.cine:
            return label, None
        frames = sorted(self.scene.done_frames())
        if tag == DRAFT:
            return label, frames
        own = self.unit.frame if self.unit is not None else 0
        if own in label.drawn:
            frames = sorted({*frames, own})
        if not frames or (self.asked and own not in frames):
            what = f"Frame {own + 1}, which was requested, is not" if self.asked else "No frame is"
            raise SceneError(
                f"{what} marked done, so the label cannot be submitted. Mark the finished frames, also those "
                "without a structure; the others stay unlabelled."
            )
        return label.only(frames), frames

    def file(self, label: LabelMap) -> bytes:
        """The label as NRRD, in the geometry of the server's image."""
        return nrrd_bytes(label.values, self._place().ijk_to_ras, compressed=True)

    def submit(self, label: LabelMap, frames: Optional[Sequence[int]]) -> None:
        """The label was submitted as final."""
        self.submitted, self.saved = True, None
        for frame in frames if frames is not None else (0,):
            self.scene.set_done(frame)
        self.keep(label)

    def keep(self, label: Optional[LabelMap] = None) -> None:
        """The present masks and marks are saved (`label`, if just collected); `dirty` compares with them."""
        self._kept = self._digest(label)

    @property
    def dirty(self) -> bool:
        """Whether a mask or a mark was changed since `keep`."""
        return self.unit is not None and self.changed()

    def changed(self, label: Optional[LabelMap] = None) -> bool:
        """Whether the masks or marks differ from those at `keep`; `label`: as it was collected just now."""
        return self._digest(label) != self._kept

    def _open_image(self, fetched: Fetched) -> None:
        file, before = fetched.file, self._node
        if file is None:
            raise SceneError("The image is no longer open. Get it again.")
        image = fetched.unit.image
        try:
            node = self._load(file, image, fetched.place.kind)
        finally:
            if str(file) != fetched.unit.path:
                with contextlib.suppress(OSError):
                    file.unlink()
        self.scene.open(node, image_id=image)  # closes what was open before, which forgets it here too
        self._node = node
        self._set_place(fetched.place)
        if before is not None:
            self._unload(before)

    def _set_place(self, place: Place) -> None:
        check_size(replace(place, size=tuple(self.scene.size)), place.size)
        self.place = place

    def _mark(self, resume: Version, masks: Masks) -> None:
        frames = masks.frames if self.cine else ((0,) if resume.tag == FINAL else ())
        for frame in frames or ():
            self.scene.set_done(frame)

    def _place(self) -> Place:
        if self.place is None:
            raise SceneError("No image of the campaign is open. Get the next one first.")
        return self.place

    def _digest(self, label: Optional[LabelMap] = None) -> bytes:
        """A digest of all marks and masks; `label` has that of the masks, if it was collected just now."""
        if self.place is None:
            return b""
        digest = hashlib.sha256()
        if label is None:
            for segment, number, mask in drawn_planes(self.scene, self.place, self._segments()):
                note(digest, segment.name, number, mask)
        masks = digest.digest() if label is None else label.digest
        return repr(sorted(self.scene.done_frames())).encode() + masks


def _proposals(versions: Sequence[Version]) -> Tuple[Version, ...]:
    return tuple(version for version in versions if version.tag == PROPOSAL)
