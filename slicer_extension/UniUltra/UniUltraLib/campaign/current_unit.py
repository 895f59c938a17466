"""The unit that is worked on: its image in the scene, its structures as segments, its label's past."""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any, Callable, Dict, List, Mapping, Optional, Sequence, Tuple

import numpy as np

from ..control.scene_protocol import SceneSide
from ..errors import SceneError, UniUltraLibError
from ..prompts.nrrd import label_array, nrrd_bytes
from ..prompts.shown import CINE
from ..wire.campaign_calls import Unit
from ..wire.campaign_types import DRAFT, FINAL, Label, Masks, Version
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
    put_hidden,
)

Load = Callable[[Path, str, str], Any]


class CurrentUnit:
    """One open unit; before `open` and after `forget` there is none.

    `asked`: just this frame of the cine was asked for, not any of its frames.

    Args:
        scene: where it is open.
        load, unload: see `campaign.CampaignWork`.
    """

    def __init__(self, scene: SceneSide, load: Load, unload: Optional[Callable[[Any], None]] = None) -> None:
        self.scene, self.beside = scene, Beside(scene)
        self._load, self._unload = load, unload
        self._node: Any = None
        self.forget()

    def forget(self) -> None:
        """The image is no longer open."""
        self.address = ""  # of the server that has the image
        self.unit: Optional[Unit] = None
        self.place: Optional[Place] = None
        self.resumed: Optional[Version] = None
        self.proposals: Tuple[Version, ...] = ()
        self.bases: Dict[str, int] = {DRAFT: 0, FINAL: 0}
        self.labels: Tuple[Label, ...] = ()
        self.submitted = self.drafted = self.asked = False
        self.saved: Optional[int] = None
        self.made_by: Tuple[Optional[str], Optional[str]] = (None, None)
        self._to_ras = np.eye(4)
        self._kept = b""
        self.beside.forget()

    @property
    def image(self) -> Optional[str]:
        """The id of the open image."""
        return self.unit.image if self.unit is not None else None

    @property
    def cine(self) -> bool:
        """Whether the image is a cine."""
        return self.place is not None and self.place.kind == CINE

    @property
    def position(self) -> str:
        """In words, such as "frame 12 of 40"; empty where it is no frame of a cine."""
        if self.unit is None or self.place is None or not self.cine:
            return ""
        return f"frame {self.unit.frame + 1} of {self.place.size[2]}"

    def open(self, fetched: Fetched, who: Annotator, labels: Sequence[Label]) -> List[str]:
        """Open a unit, with what was done on it before; of an image that is open already, in place of that.

        Returns:
            The segments whose prompts came back.

        Raises:
            UniUltraLibError: the image cannot be loaded, or is not as the server has it.
        """
        again = fetched.file is None and fetched.unit.image == self.image
        if not again:
            self._open_image(fetched)
        if not again or fetched.judged:
            self.bases = fetch_unit.bases(fetched.versions, who, fetched.resume)
            resume, own = fetched.resume, fetched.resume is not None and fetched.resume.annotator == who.name
            self.made_by = (resume.model, resume.adapter) if resume is not None and own else (None, None)
        self.labels, self.unit = tuple(labels), fetched.unit
        self.resumed, self.proposals = fetched.resume, fetch_unit.proposals(fetched.versions)
        self.submitted, self.saved, self.drafted = False, None, False
        try:
            given = self._put_back(fetched, who, over=again)
        except UniUltraLibError:
            self.forget()  # what is half there must not be saved over what is whole
            raise
        if self.cine:
            self.scene.go_to(fetched.unit.frame)
        self.keep()
        return given

    def _put_back(self, fetched: Fetched, who: Annotator, *, over: bool) -> List[str]:
        """Masks, marks and prompts of the version that is gone on from; the segments that got prompts."""
        ensure(self.scene, self.labels)
        if fetched.masks is None:
            return []
        self.put(fetched.masks, over=over)
        if fetched.resume is None:
            return []
        if fetched.judged or fetched.resume.annotator == who.name:
            self._mark(fetched.resume, fetched.masks)
        put_hidden(self.scene, self._place(), fetched.resume.hidden, self.segments())
        return provenance.restore_prompts(
            self.scene, fetched.resume.prompts, self.segments(), fetched.unit.image
        )

    def adopt(self, fetched: Fetched, who: Annotator, labels: Sequence[Label]) -> None:
        """Go on with an image that is open without our doing, such as one of a saved scene.

        What it was made from is unknown, so another annotator's label will be a conflict.

        Raises:
            SceneError: it is not as the server has it.
        """
        size = tuple(self.scene.size)
        place = Place(fetched.unit.image, fetched.place.kind, size)  # type: ignore[arg-type]
        check_size(place, fetched.place.size)
        self.place, self._to_ras, self.unit = place, fetched.place.ijk_to_ras, fetched.unit
        self.labels, self.proposals = tuple(labels), fetch_unit.proposals(fetched.versions)
        newest = fetch_unit.bases(fetched.versions, who, None)
        own = {version.revision for version in fetched.versions if version.annotator == who.name}
        self.bases = {tag: revision if revision in own else 0 for tag, revision in newest.items()}

    def put(self, masks: Masks, *, over: bool = False) -> None:
        """Write masks into the segments of their names; with `over`, these hold nothing else then.

        Raises:
            SceneError: they are of an image of another size.
        """
        place = self._place()
        check_size(place, masks.size)
        names = {plane.label for plane in masks.planes} - set(self.segments())
        ensure(self.scene, [Label(name, 0) for name in sorted(names)])
        if over:
            clear(self.scene, place, list(self.segments().values()))
        put(self.scene, place, masks, self.segments())

    def put_label(self, file: bytes, params: Mapping[str, Any]) -> None:
        """Write a label file of ours into the segments, in place of what they hold; `params`: sent with it.

        Raises:
            SceneError: it is of an image of another size, or damaged.
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
        """The own segments, name -> id."""
        return {info.name: info.id for info in self.scene.segments() if info.id not in self.beside.ids}

    def collected(self, tag: str) -> Tuple[LabelMap, Optional[List[int]]]:
        """What is drawn, as a label of this tag; and of a cine the frames that are done.

        A draft holds all that is drawn; a final label the frames that are done, and the unit's own frame
        when something is drawn on it.

        Raises:
            SceneError: something is drawn in a segment that is no structure; or no frame is done.
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
            what = f"Frame {own + 1}, which was asked for, is not" if self.asked else "No frame is"
            raise SceneError(
                f"{what} marked done, so it cannot be submitted. Mark the frames that are finished, also one "
                "with nothing on it; the others stay unknown."
            )
        return label.only(frames), frames

    def file(self, label: LabelMap) -> bytes:
        """The label in the place of the server's image, as NRRD."""
        return nrrd_bytes(label.values, self._to_ras, compressed=True)

    def submit(self, label: LabelMap, frames: Optional[Sequence[int]]) -> None:
        """What is drawn was submitted as final."""
        self.submitted, self.saved = True, None
        for frame in frames if frames is not None else (0,):
            self.scene.set_done(frame)
        self.keep(label)

    def keep(self, label: Optional[LabelMap] = None) -> None:
        """What is drawn now is kept, and `dirty` is told from it; `label`: as it was collected just now."""
        self._kept = self._digest(None if label is None else label.digest)

    @property
    def dirty(self) -> bool:
        """Whether something was drawn or marked since `keep`."""
        return self.unit is not None and self._digest() != self._kept

    def changed(self, label: LabelMap) -> bool:
        """Whether this, as it was collected just now, is other than what was kept."""
        return self._digest(label.digest) != self._kept

    def _open_image(self, fetched: Fetched) -> None:
        file, before = fetched.file, self._node
        if file is None:
            raise SceneError("The image is no longer open. Get it again.")
        image, place = fetched.unit.image, fetched.place
        try:
            node = self._load(file, image, place.kind)
        finally:
            if str(file) != fetched.unit.path:
                with contextlib.suppress(OSError):
                    file.unlink()
        self.scene.open(node, image_id=image)  # closes what was open before, which forgets it here too
        self._node, self._to_ras = node, place.ijk_to_ras
        self.place = Place(image, place.kind, tuple(self.scene.size))  # type: ignore[arg-type]
        check_size(self.place, place.size)
        if self._unload is not None and before is not None:
            self._unload(before)

    def _mark(self, resume: Version, masks: Masks) -> None:
        frames = masks.frames if self.cine else ((0,) if resume.tag == FINAL else ())
        for frame in frames or ():
            self.scene.set_done(frame)

    def _place(self) -> Place:
        if self.place is None:
            raise SceneError("No image of the campaign is open. Get the next one first.")
        return self.place

    def _digest(self, drawn: Optional[bytes] = None) -> bytes:
        """Of what is marked and drawn; `drawn` is the digest of that, where it is known already."""
        if self.place is None:
            return b""
        if drawn is None:
            digest = hashlib.sha256()
            own = [info for info in self.scene.segments() if info.id not in self.beside.ids]
            for segment, number, mask in drawn_planes(self.scene, self.place, own):
                note(digest, segment.name, number, mask)
            drawn = digest.digest()
        return repr(sorted(self.scene.done_frames())).encode() + drawn
