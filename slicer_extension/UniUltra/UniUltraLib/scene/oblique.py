"""Oblique views of a volume: resampled to a still picture for the server, whose mask goes back into voxels.

The picture spans the whole cut through the volume, not only what the view shows of it, so that panning and
zooming change neither the picture nor what the server keeps of it. It works through nonlinear transforms too.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, List, Sequence, Tuple

import numpy as np
from scipy.ndimage import map_coordinates

from ..errors import OutsideImage
from ..prompts.planes import Size, describe
from .coordinates import apply_matrix, array_of, ijk_to_world, image_size, voxels, world_to_ijk
from .segments import read_block, write_block

MAX_SIDE = 1024
# Samples per pixel side when a mask is spread over voxels; 3 leaves no holes up to a threefold stretch.
_SPREAD = 3
_LATTICE = 9  # samples per axis


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
        """The pixel (x,y) under a world position, projected onto the view.

        Raises:
            OutsideImage: the position is not over the volume.
        """
        x, y = apply_matrix(self.from_world, np.asarray(world, float)[None])[0, :2]
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
    ijk = _ijk_under(view, volume, x, y)
    inside = ((ijk >= -0.5) & (ijk < np.array(size) - 0.5)).all(axis=-1)
    if not inside.any():
        raise _misses(size)
    to_pixels = np.array([[1, 0, 0, -low[0]], [0, -1, 0, high[1]], [0, 0, 1, 0], [0, 0, 0, pitch]]) / pitch
    return StillView(sample(voxels(volume), ijk, inside), ijk, inside, to_pixels @ np.linalg.inv(view))


def steady_view(slice_node: Any, volume: Any) -> np.ndarray:
    """The 4x4 of a view in mm, with the volume's centre projected onto it as its origin.

    It does not change when the view is panned or zoomed, nor when the scene is saved and loaded: hence it is
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
    """The voxel coordinates under a lattice of points on a view: equal for equal cuts, wherever both lie.

    Rounded to hundredths of a voxel, because a saved scene returns them slightly changed.
    """
    view = steady_view(slice_node, volume)
    longest = float(np.max(np.array(image_size(volume)) * volume.GetSpacing()))
    reach = np.linspace(-1, 1, _LATTICE) * longest / 2
    return np.round(_ijk_under(view, volume, *np.meshgrid(reach, reach)), 2) + 0.0


def write_view(segmentation: Any, segment: str, volume: Any, still: StillView, mask: np.ndarray) -> None:
    """Make `mask` (H,W) the whole content of `segment` in the voxels that the view cuts; the others stay.

    A voxel is included when the mask covers at least half of the part that the view cuts.

    Raises:
        SceneError: see `segments.write_block`.
    """
    cut, masked = _spread(still, np.asarray(mask, bool), image_size(volume))
    low, extent = _block(cut)
    shape = tuple((cut.max(axis=0) - low + 1)[::-1])
    place = np.ravel_multi_index(tuple((cut - low).T[::-1]), shape)
    seen = np.bincount(place, minlength=np.prod(shape)).reshape(shape)
    held = np.bincount(place, weights=masked, minlength=np.prod(shape)).reshape(shape)
    write_block(segmentation, segment, volume, extent, (seen > 0) & (2 * held >= seen), seen > 0)


def read_view(segmentation: Any, segment: str, volume: Any, still: StillView) -> np.ndarray:
    """The mask of `segment` in the voxels under the picture: (H,W) bool.

    Raises:
        SceneError: see `segments.write_block`.
    """
    nearest = np.floor(still.ijk[still.inside] + 0.5).astype(int)
    low, extent = _block(nearest)
    block = read_block(segmentation, segment, volume, extent)
    mask = np.zeros(still.inside.shape, bool)
    mask[still.inside] = block[tuple((nearest - low).T[::-1])]
    return mask


def _block(places: np.ndarray) -> Tuple[np.ndarray, List[int]]:
    """The lowest voxel (i,j,k) of some (N,3), and their extent (i0,i1,j0,j1,k0,k1), inclusive."""
    low, high = places.min(axis=0), places.max(axis=0)
    return low, np.stack([low, high], axis=1).ravel().tolist()


def _ijk_under(view: np.ndarray, volume: Any, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Voxel coordinates (H,W,3) of a volume under points (x,y), (H,W) each, in mm on a view."""
    on_view = np.stack([x, y, np.zeros_like(x), np.ones_like(x)], -1).reshape(-1, 4)
    return world_to_ijk(volume, (on_view @ view.T)[:, :3]).reshape(*x.shape, 3)


def _misses(size: Size) -> OutsideImage:
    return OutsideImage(f"The view misses {describe(size)}. Scroll the slice view back onto the image.")


def _bounds(view: np.ndarray, volume: Any) -> Tuple[np.ndarray, np.ndarray]:
    """Lowest and highest (x, y) in mm on the view where it may cut the volume."""
    size = image_size(volume)
    steps = [np.linspace(-0.5, n - 0.5, _LATTICE) for n in size]
    lattice = np.stack(np.meshgrid(*steps, indexing="ij"), -1)
    world = ijk_to_world(volume, lattice.reshape(-1, 3))
    on_view = apply_matrix(np.linalg.inv(view), world).reshape(*lattice.shape)
    crossings = []
    # The view cuts an edge of the lattice where its distance changes sign.
    for axis in range(3):
        layers = np.moveaxis(on_view, axis, 0)
        a, b = layers[:-1].reshape(-1, 3), layers[1:].reshape(-1, 3)
        crossed = (a[:, 2] <= 0) != (b[:, 2] <= 0)
        a, b = a[crossed], b[crossed]
        crossings.append(a + (b - a) * (a[:, 2] / (a[:, 2] - b[:, 2]))[:, None])
    points = np.concatenate(crossings)
    if not len(points):
        raise _misses(size)
    return points[:, :2].min(axis=0), points[:, :2].max(axis=0)


def sample(array: np.ndarray, ijk: np.ndarray, inside: np.ndarray) -> np.ndarray:
    """Values of (K,J,I[,C]) at (H,W,3) voxel coordinates: linear interpolation, 0 where not `inside`."""
    picture = np.zeros((*inside.shape, *array.shape[3:]), array.dtype)
    at = ijk[inside].T[::-1]  # along k, j, i
    channels = array.reshape(*array.shape[:3], -1)
    values = np.column_stack(
        [
            map_coordinates(channels[..., n], at, float, order=1, mode="nearest")
            for n in range(channels.shape[3])
        ]
    ).reshape(-1, *array.shape[3:])
    picture[inside] = np.rint(values) if np.issubdtype(array.dtype, np.integer) else values
    return picture


def _spread(still: StillView, mask: np.ndarray, size: Size) -> Tuple[np.ndarray, np.ndarray]:
    """Several samples per pixel of the cut: the voxel (N,3) each lies in, and whether it is in the mask."""
    # Along the local gradients: under a nonlinear transform they differ from pixel to pixel.
    gradients = [np.gradient(still.ijk, axis=a) if still.ijk.shape[a] > 1 else 0 * still.ijk for a in (0, 1)]
    along_y, along_x = (gradient[still.inside] for gradient in gradients)
    offsets = (np.arange(_SPREAD) - (_SPREAD - 1) / 2) / _SPREAD
    samples = [still.ijk[still.inside] + dy * along_y + dx * along_x for dy in offsets for dx in offsets]
    nearest = np.floor(np.concatenate(samples) + 0.5).astype(int)
    masked = np.tile(mask[still.inside], len(samples))
    valid = ((nearest >= 0) & (nearest < np.array(size))).all(axis=1)
    return nearest[valid], masked[valid]
