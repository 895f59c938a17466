"""The open image, the slice view that shows it, and the picture both together show."""

from __future__ import annotations

import hashlib
from typing import Any, List, Optional

import numpy as np

from ..errors import SceneError, UniUltraLibError
from ..prompts.shown import CINE, SegmentInfo, Shown
from . import oblique
from .segments import segments_of
from .view import SceneView

ID_ATTRIBUTE = "UniUltra.ImageId"
NO_IMAGE = "No image is open. Load or choose an image first."


class CurrentImage:
    """At most one open image (`OpenVolume` or `OpenCine`) in one slice view."""

    def __init__(self) -> None:
        self.image: Any = None
        self.view: Optional[SceneView] = None
        self._hash: Optional[str] = None

    def open(self, image: Any, view: Optional[SceneView]) -> None:
        """Replace the open image; None closes it."""
        self.image, self.view, self._hash = image, view, None

    @property
    def opened(self) -> Any:
        """The open image.

        Raises:
            SceneError: no image is open.
        """
        if self.image is None:
            raise SceneError(NO_IMAGE)
        return self.image

    @property
    def opened_view(self) -> SceneView:
        """The view of the open image.

        Raises:
            SceneError: no image is open.
        """
        if self.view is None:
            raise SceneError(NO_IMAGE)
        return self.view

    @property
    def image_id(self) -> Optional[str]:
        """The campaign's ID of the image; None for an own image, or without one."""
        return self.image.keeper.GetAttribute(ID_ATTRIBUTE) or None if self.image is not None else None

    def shown(self) -> Optional[Shown]:
        """The picture on the screen; None when no image is open, or no view shows a part of it."""
        if self.view is None:
            return None
        try:
            return self.view.shown(self._key(), self.image_id)
        except UniUltraLibError:
            return None

    def place(self) -> Any:
        """The shown frame, plane or name of a cut, without resampling; None outside the image."""
        if self.view is None:
            return None
        try:
            return self.image.frame if self.image.kind == CINE else self.view.place()
        except UniUltraLibError:
            return None

    def segments(self) -> List[SegmentInfo]:
        """The segments of the image, in Slicer's order."""
        node = self.image.segmentation if self.image is not None else None
        return segments_of(node) if node is not None else []

    def read(self, segment: str, shown: Shown) -> np.ndarray:
        """See `SlicerScene.read`."""
        image = self.opened
        image.follow_transform()
        if shown.oblique:
            return oblique.read_view(image.segmentation, segment, image.volume, self.opened_view.cut(shown))
        return image.read(segment, shown.plane)

    def voxels_changed(self) -> None:
        """Compute the image's key and cuts anew from its voxels."""
        self._hash = None
        if self.view is not None:
            self.view.forget_cuts()

    def _key(self) -> str:
        """The campaign's ID of the image, else a hash of its voxels.

        The geometry is not hashed, because a saved scene returns it slightly rounded.
        """
        if self.image_id is not None:
            return self.image_id
        if self._hash is None:
            digest = hashlib.sha256()
            for picture in self.opened.each_picture():
                digest.update(f"{picture.shape} {picture.dtype.str} ".encode())
                digest.update(np.ascontiguousarray(picture))
            self._hash = digest.hexdigest()
        return self._hash
