"""The slice or cut of the open image that a slice view shows, and its coordinates in the world."""

from __future__ import annotations

import hashlib
from typing import Any, Dict, List, Optional, Tuple

import numpy as np

from ..errors import SceneError
from ..prompts.planes import Plane, nearest_voxel
from ..prompts.shown import CINE, STILL, VOLUME, Shown
from . import coordinates, oblique
from .oblique import StillView
from .open_volume import nodes_of

_KEPT_CUTS = 4


class SceneView:
    """One slice view over the image that is open (`OpenVolume` or `OpenCine`)."""

    def __init__(self, image: Any, slice_node: Any) -> None:
        self.image = image
        self.slice_node = slice_node
        self._cuts: Dict[str, StillView] = {}

    def shown(self, key: str, image_id: Optional[str]) -> Shown:
        """The part of the image `key` that the view shows.

        Raises:
            OutsideImage: the view lies outside the image.
            SceneError: the volume is shown in no slice view.
        """
        image = self.image
        if image.kind == STILL:
            return Shown(key, STILL, Plane("k", 0), image.size, image_id=image_id)
        if image.kind == CINE:
            frame = image.frame
            return Shown(key, CINE, Plane("k", frame), image.size, False, frame, image.frames, image_id)
        if self.slice_node is None:
            raise SceneError("There is no slice view of the volume. Choose a layout with slice views.")
        plane = coordinates.shown_plane(self.slice_node, image.volume)
        if plane is not None:
            return Shown(key, VOLUME, plane, image.size, image_id=image_id)
        name = self._name(key)
        rows, columns = self._cut(name).inside.shape
        return Shown(name, STILL, Plane("k", 0), (columns, rows, 1), oblique=True)

    def place(self) -> Any:
        """The plane, or the name of the cut, that the view shows of a volume; None without a view.

        Raises:
            OutsideImage: the view lies outside the image.
        """
        if self.slice_node is None:
            return None
        return coordinates.shown_plane(self.slice_node, self.image.volume) or self._name("")

    def cut(self, shown: Shown) -> StillView:
        """The cut that is, or was recently, shown.

        Raises:
            SceneError: the view has moved on since.
        """
        if shown.key not in self._cuts:
            raise SceneError("The oblique view has changed. Place the prompt again.")
        return self._cuts[shown.key]

    def forget_cuts(self) -> None:
        """Forget all cuts: the voxels or their place changed."""
        self._cuts.clear()

    def to_ijk(self, shown: Shown, world: Any) -> np.ndarray:
        """World positions (N,3) as continuous voxels (N,3) of the shown picture; the frame is a cine's k."""
        world = np.asarray(world, float).reshape(-1, 3)
        if shown.oblique:
            ijk = coordinates.apply_matrix(self.cut(shown).from_world, world)
            ijk[:, 2] = 0.0
            return ijk
        ijk = coordinates.world_to_ijk(self.image.volume, world)
        if shown.frame is not None:
            ijk[:, 2] += shown.frame
        return ijk

    def to_world(self, shown: Shown, ijk: Any) -> np.ndarray:
        """Voxels (N,3) of the shown picture as world positions (N,3)."""
        ijk = np.array(ijk, float).reshape(-1, 3)
        if shown.oblique:
            return coordinates.apply_matrix(np.linalg.inv(self.cut(shown).from_world), ijk)
        if shown.frame is not None:
            ijk[:, 2] -= shown.frame
        return coordinates.ijk_to_world(self.image.volume, ijk)

    def voxel(self, shown: Shown, world: Any) -> Tuple[int, int, int]:
        """The voxel of the shown picture under a world position.

        Raises:
            OutsideImage: the position is not on the image, or not on the slice that is shown.
        """
        if shown.oblique:
            x, y = self.cut(shown).xy_of(world)
            return nearest_voxel((x, y, 0.0), shown.size)
        ijk = self.to_ijk(shown, [world])[0]
        if shown.kind == VOLUME:
            # The click is in the view's plane, which may lie anywhere within the slice's thickness.
            drift = abs(ijk[shown.plane.normal] - shown.plane.index)
            if drift <= 0.5 + 1e-3:
                ijk[shown.plane.normal] = shown.plane.index
        return nearest_voxel(ijk, shown.size)

    def _name(self, key: str) -> str:
        place = oblique.place_of_view(self.slice_node, self.image.volume)
        return f"{key}/cut-{hashlib.sha256(place.tobytes()).hexdigest()[:16]}"

    def _cut(self, name: str) -> StillView:
        if name not in self._cuts:
            while len(self._cuts) >= _KEPT_CUTS:
                del self._cuts[next(iter(self._cuts))]
            self._cuts[name] = oblique.reslice_view(self.slice_node, self.image.volume)
        return self._cuts[name]


def in_view(slice_node: Any, world: Any) -> bool:
    """Whether a world position lies in a slice view's plane, to a tenth of a millimetre or of a pixel."""
    to_ras = coordinates.array_of(slice_node.GetSliceToRAS())
    normal = to_ras[:3, 2] / np.linalg.norm(to_ras[:3, 2])
    pixel = slice_node.GetFieldOfView()[0] / max(slice_node.GetDimensions()[0], 1)
    return bool(abs(normal @ (np.asarray(world, float) - to_ras[:3, 3])) <= 0.1 * min(1.0, pixel))


def views_of(scene: Any, volume: Any) -> List[Any]:
    """The slice nodes whose view shows a volume."""
    if volume is None:
        return []
    names = {
        node.GetLayoutName()
        for node in nodes_of(scene, "vtkMRMLSliceCompositeNode")
        if volume.GetID() in (node.GetBackgroundVolumeID(), node.GetForegroundVolumeID())
    }
    return [node for node in nodes_of(scene, "vtkMRMLSliceNode") if node.GetLayoutName() in names]
