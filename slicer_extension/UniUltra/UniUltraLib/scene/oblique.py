"""An oblique view of a volume: a still picture to send, and the way back of its mask into the voxels.

The picture spans the whole cut through the volume, not only what the view shows of it, so that panning and
zooming change neither the picture nor what the server keeps of it. It works through nonlinear transforms too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Sequence, Tuple

import numpy as np

from ..errors import OutsideImage
from ..prompts.planes import Size, describe
from .coordinates import array_of, ijk_to_world, image_size, voxels, world_to_ijk
from .segments import read_block, write_block

MAX_SIDE = 1024
# How finely the mask is spread over the voxels; 3 leaves no hole where a transform stretches up to 3 times.
_SPREAD = 3
_LATTICE = 9


@dataclass(frozen=True, eq=False)
class StillView:
    """The cut of one slice view through one volume.

    Attributes:
        picture: (H,W) or (H,W,3), the volume's own values; row 0 is at the top of the view.
        ijk: (H,W,3), the voxel coordinates under every pixel.
        inside: (H,W) bool, where the cut lies in the volume.
        from_world: 4x4, world position to (x, y, distance, 1) in pixels of the picture.
    """

    picture: np.ndarray
    ijk: np.ndarray
    inside: np.ndarray
    from_world: np.ndarray

    def xy_of(self, world: Sequence[float]) -> Tuple[float, float]:
        """The pixel under a world position; its distance from the view is dropped.

        Raises:
            OutsideImage: the position is not over the volume.
        """
        x, y = (self.from_world @ [*world, 1.0])[:2]
        rows, columns = self.inside.shape
        row, column = int(np.floor(y + 0.5)), int(np.floor(x + 0.5))
        if not (0 <= row < rows and 0 <= column < columns and self.inside[row, column]):
            raise OutsideImage("The position lies outside the image in this view. Place it on the image.")
        return float(x), float(y)


def reslice_view(slice_node: Any, volume: Any) -> StillView:
    """Cut a volume along a slice view, at the volume's finest voxel spacing.

    Raises:
        OutsideImage: the view misses the volume.
    """
    size = image_size(volume)
    view = steady_view(slice_node, volume)
    low, high = _bounds(view, volume)
    pitch = max(float(min(volume.GetSpacing())), float(max(high - low)) / (MAX_SIDE - 1))
    columns, rows = (int(n) for n in np.floor((high - low) / pitch) + 1)
    x, y = np.meshgrid(low[0] + np.arange(columns) * pitch, high[1] - np.arange(rows) * pitch)
    on_view = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], -1)
    world = (on_view.reshape(-1, 4) @ view.T)[:, :3]
    ijk = world_to_ijk(volume, world).reshape(rows, columns, 3)
    inside = ((ijk >= -0.5) & (ijk < np.array(size) - 0.5)).all(axis=-1)
    if not inside.any():
        raise OutsideImage(f"The view misses {describe(size)}. Scroll the slice view back onto the image.")
    to_pixels = np.array([[1, 0, 0, -low[0]], [0, -1, 0, high[1]], [0, 0, 1, 0], [0, 0, 0, pitch]]) / pitch
    return StillView(sample(voxels(volume), ijk, inside), ijk, inside, to_pixels @ np.linalg.inv(view))


def steady_view(slice_node: Any, volume: Any) -> np.ndarray:
    """The 4x4 of a view, in mm, with the volume's centre dropped onto it as its origin.

    It is the same however the view is panned or zoomed, and after the scene was saved and loaded: hence
    rounded, to far less than a voxel.
    """
    view = array_of(slice_node.GetSliceToRAS())
    view[:3, :3] = np.round(view[:3, :3] / np.linalg.norm(view[:3, :3], axis=0), 5)
    view[:3, :3] /= np.linalg.norm(view[:3, :3], axis=0)
    centre = ijk_to_world(volume, [(np.array(image_size(volume)) - 1) / 2])[0]
    normal = view[:3, 2]
    view[:3, 3] = centre + normal * np.round(normal @ (view[:3, 3] - centre), 3)
    return view


def place_of_view(slice_node: Any, volume: Any) -> np.ndarray:
    """Which voxels a view cuts, at a lattice of places on it: the same for the same cut, wherever both lie.

    Rounded to hundredths of a voxel, as they come back from a saved scene a little otherwise.
    """
    view = steady_view(slice_node, volume)
    reach = (
        np.linspace(-1, 1, _LATTICE) * float(np.max(np.array(image_size(volume)) * volume.GetSpacing())) / 2
    )
    x, y = np.meshgrid(reach, reach)
    on_view = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], -1).reshape(-1, 4)
    return np.round(world_to_ijk(volume, (on_view @ view.T)[:, :3]), 2) + 0.0


def write_view(segmentation: Any, segment: str, volume: Any, still: StillView, mask: np.ndarray) -> None:
    """Make `mask` (H,W) all that `segment` holds in the voxels that the view cuts; the others stay.

    A voxel is in when the mask covers half of what the view cuts of it.

    Raises:
        SceneError: see `segments.write_block`.
    """
    cut, masked = _spread(still, np.asarray(mask, bool), image_size(volume))
    low, high = cut.min(axis=0), cut.max(axis=0)
    shape = tuple((high - low + 1)[::-1])
    place = np.ravel_multi_index(tuple((cut - low).T[::-1]), shape)
    seen = np.bincount(place, minlength=np.prod(shape)).reshape(shape)
    held = np.bincount(place, weights=masked, minlength=np.prod(shape)).reshape(shape)
    extent = [int(edge) for pair in zip(low, high) for edge in pair]  # noqa: B905 - Python 3.9
    write_block(segmentation, segment, volume, extent, (seen > 0) & (2 * held >= seen), seen > 0)


def read_view(segmentation: Any, segment: str, volume: Any, still: StillView) -> np.ndarray:
    """What `segment` holds in the voxels under the picture: (H,W) bool.

    Raises:
        SceneError: see `segments.write_block`.
    """
    nearest = np.floor(still.ijk[still.inside] + 0.5).astype(int)
    low, high = nearest.min(axis=0), nearest.max(axis=0)
    extent = [int(edge) for pair in zip(low, high) for edge in pair]  # noqa: B905 - Python 3.9
    block = read_block(segmentation, segment, volume, extent)
    mask = np.zeros(still.inside.shape, bool)
    mask[still.inside] = block[tuple((nearest - low).T[::-1])]
    return mask


def _bounds(view: np.ndarray, volume: Any) -> Tuple[np.ndarray, np.ndarray]:
    """Lowest and highest (x, y) in mm on the view where it may cut the volume."""
    size = image_size(volume)
    steps = [np.linspace(-0.5, n - 0.5, _LATTICE) for n in size]
    lattice = np.stack(np.meshgrid(*steps, indexing="ij"), -1)
    world = ijk_to_world(volume, lattice.reshape(-1, 3))
    on_view = (np.c_[world, np.ones(len(world))] @ np.linalg.inv(view).T)[:, :3].reshape(*lattice.shape)
    crossings = []
    # The view cuts an edge of the lattice where its distance changes sign.
    for axis in range(3):
        a, b = (
            np.moveaxis(on_view, axis, 0)[part].reshape(-1, 3) for part in (slice(None, -1), slice(1, None))
        )
        crossed = (a[:, 2] <= 0) != (b[:, 2] <= 0)
        a, b = a[crossed], b[crossed]
        crossings.append(a + (b - a) * (a[:, 2] / (a[:, 2] - b[:, 2]))[:, None])
    points = np.concatenate(crossings)
    if not len(points):
        raise OutsideImage(f"The view misses {describe(size)}. Scroll the slice view back onto the image.")
    return points[:, :2].min(axis=0), points[:, :2].max(axis=0)


def sample(array: np.ndarray, ijk: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """(K,J,I[,C]) values at (H,W,3) voxel coordinates, linear between voxels, 0 outside."""
    picture = np.zeros((*inside.shape, *array.shape[3:]), array.dtype)
    limits = np.array(array.shape[:3][::-1]) - 1
    at = np.clip(ijk[inside], 0, limits)
    floor = np.minimum(at.astype(int), np.maximum(limits - 1, 0))
    share = at - floor
    total = 0.0
    for corner in np.ndindex(2, 2, 2):
        i, j, k = np.minimum(floor + corner, limits).T
        weight = np.where(np.array(corner) == 1, share, 1 - share).prod(axis=1)
        total = total + array[k, j, i] * (weight if array.ndim == 3 else weight[:, None])
    picture[inside] = np.rint(total) if np.issubdtype(array.dtype, np.integer) else total
    return picture


def _spread(still: StillView, mask: np.ndarray, size: Size) -> Tuple[np.ndarray, np.ndarray]:
    """Samples of the cut, several to a pixel: the voxel (N,3) each lies in, and whether it is in the mask."""
    # Along the picture's own slopes, which a nonlinear transform makes differ from pixel to pixel.
    slopes = [np.gradient(still.ijk, axis=a) if still.ijk.shape[a] > 1 else 0 * still.ijk for a in (0, 1)]
    slope_y, slope_x = (slope[still.inside] for slope in slopes)
    offsets = (np.arange(_SPREAD) - (_SPREAD - 1) / 2) / _SPREAD
    samples = [still.ijk[still.inside] + dy * slope_y + dx * slope_x for dy in offsets for dx in offsets]
    nearest = np.floor(np.concatenate(samples) + 0.5).astype(int)
    masked = np.tile(mask[still.inside], len(samples))
    valid = ((nearest >= 0) & (nearest < np.array(size))).all(axis=1)
    return nearest[valid], masked[valid]
