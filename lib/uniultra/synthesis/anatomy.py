"""Random anatomy-like scenes: tissue, layers, and a dozen kinds of structures painted over each other.

No organ is modelled. The kinds are structures that occur in any organ: solid lesions, cysts, vessels
along and across, rings of bone, chambers with walls, capsules, fasciae, stones; with contrasts, textures,
sizes and numbers that go beyond anatomy, so that only the prompt identifies the target.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from scipy import ndimage

from uniultra.synthesis.bmode import Tissue
from uniultra.synthesis.shapes import Field, Grid, Mask, closed, noise, strip, warped

FLUID = -45.0  # dB
Centre = tuple[float, float]


class Body:
    """The tissue of one scene while it is painted, and the masks of its structures in order of painting."""

    def __init__(self, rng: np.random.Generator, straight: Grid) -> None:
        self.rng, self.straight, self.size = rng, straight, straight.size
        self.where = warped(rng, straight, rng.uniform(0, 0.04))
        self.shapes: list[Mask] = []
        self.level = self._ground()
        self.loss = np.zeros_like(self.level)
        self.surface_y, self.surface_x = np.zeros_like(self.level), np.zeros_like(self.level)

    @property
    def tissue(self) -> Tissue:
        return Tissue(self.level, self.loss, self.surface_y, self.surface_x)

    def _ground(self) -> Field:
        rng, size = self.rng, self.size
        level = np.full((size, size), rng.uniform(-28, -10), np.float32)
        level += rng.uniform(0, 8) * noise(rng, size, rng.uniform(0.1, 0.5))
        return level + self.texture()

    def texture(self) -> Field:
        """A random tissue texture in dB: grain, streaks, septa, fascicles, or none."""
        rng, size = self.rng, self.size
        kind = rng.choice(5, p=(0.3, 0.2, 0.2, 0.2, 0.1))
        if kind == 0:
            return np.zeros((size, size), np.float32)
        if kind == 1:
            return np.asarray(rng.uniform(2, 8) * noise(rng, size, rng.uniform(0.015, 0.06)), np.float32)
        fine, long = rng.uniform(0.012, 0.05), rng.uniform(3, 12)
        field = noise(rng, size, fine, long)
        if rng.random() < 0.6:  # fibres are seldom level
            turn = rng.normal(0, 15) if kind < 4 else rng.uniform(-40, 40)
            field = ndimage.rotate(field, turn, reshape=False, order=1, mode="reflect")
        if kind == 2:
            return np.asarray(rng.uniform(3, 9) * field, np.float32)
        # Bright where the field crosses zero: septa around fat, fasciae between fascicles.
        ridge = np.exp(-np.square(field / rng.uniform(0.08, 0.25)))
        return np.asarray(rng.uniform(8, 20) * ridge - 4, np.float32)

    def fill(self, shape: Mask, level: float, *, own: float = 0.7, soft: float | None = None) -> None:
        """Paint a shape with a mean level, with probability `own` in its own texture."""
        rng = self.rng
        if not shape.any():
            return
        soft = rng.choice([rng.uniform(0.2, 1), rng.uniform(1, 3)], p=(0.8, 0.2)) if soft is None else soft
        weight = ndimage.gaussian_filter(shape.astype(np.float32), soft * self.size / 256)
        inner = np.full_like(self.level, level)
        if level > -38:
            inner += self.texture() if rng.random() < own else self.level - self.level[shape].mean()
            inner += rng.uniform(0, 6) * noise(rng, self.size, rng.uniform(0.05, 0.3))
        self.level += weight * (inner - self.level)

    def surface(self, shape: Mask, strength: float, gaps: float = 0.5) -> None:
        """Make a shape's border a specular reflector, interrupted with probability `gaps`."""
        rng = self.rng
        smooth = ndimage.gaussian_filter(shape.astype(np.float32), self.size / 256 * rng.uniform(0.6, 1.6))
        dy, dx = np.gradient(smooth)
        scale = np.full_like(smooth, strength / max(1e-6, float(np.hypot(dy, dx).max())))
        if rng.random() < gaps:
            scale *= np.clip(0.6 + 1.6 * noise(rng, self.size, rng.uniform(0.08, 0.3)), 0, 1)
        self.surface_y += scale * dy
        self.surface_x += scale * dx

    def rind(self, field: Field, width: float, level: float) -> Mask:
        """A wall of `width` (in the field's units) outside an outline; returns outline and wall."""
        shape = field < width
        weight = ndimage.gaussian_filter((shape & (field >= 0)).astype(np.float32), 0.5 * self.size / 256)
        thin = self.rng.uniform(0, 6) * noise(self.rng, self.size, 0.15)
        self.level += weight * (level + thin - self.level)
        return np.asarray(shape)

    def behind(self, shape: Mask, decibel: float) -> None:
        """Attenuate beams that cross the shape by `decibel` (negative: enhancement)."""
        rows = np.flatnonzero(shape.any(1))
        if len(rows):
            thick = max(2 / self.size, (rows[-1] - rows[0] + 1) / self.size)
            self.loss += np.float32(decibel / thick) * shape

    def around(self, shape: Mask) -> float:
        """Mean level just outside a shape."""
        ring = ndimage.binary_dilation(shape, iterations=max(2, self.size // 40)) & ~shape
        return float(self.level[ring].mean()) if ring.any() else -20.0

    def outline(self, centre: Centre, radius: float, **how: float) -> Field:
        return closed(self.rng, self.where, centre, radius, **how)


def populate(body: Body) -> None:
    """Layers first, then structures from large to small, some inside others."""
    rng = body.rng
    if rng.random() < 0.55:
        _layers(body)
    if rng.random() < 0.3:
        _organ(body, _anywhere(rng), rng.uniform(0.25, 0.6))
    count = 1 + int(rng.choice(5, p=(0.2, 0.25, 0.25, 0.2, 0.1)))
    sizes = np.sort(np.exp(rng.uniform(np.log(0.035), np.log(0.38), count)))[::-1]
    for radius in sizes:
        names = rng.choice(len(KINDS), p=SHARES)
        centre = _inside_any(body) if body.shapes and rng.random() < 0.25 else _anywhere(rng)
        KINDS[names](body, centre, float(radius))
    for _ in range(rng.choice(3, p=(0.55, 0.3, 0.15))):
        _fascia(body, _anywhere(rng), 0.0)


def _anywhere(rng: np.random.Generator) -> Centre:
    return float(rng.uniform(0.12, 0.88)), float(rng.uniform(0.1, 0.9))


def _inside(rng: np.random.Generator, mask: Mask) -> Centre:
    """A random pixel of a mask; anywhere in the picture if the mask is empty."""
    rows, columns = np.nonzero(mask)
    if not len(rows):
        return _anywhere(rng)
    n = rng.integers(len(rows))
    return rows[n] / len(mask), columns[n] / len(mask)


def _inside_any(body: Body) -> Centre:
    """A random pixel of a random structure painted before."""
    return _inside(body.rng, body.shapes[body.rng.integers(len(body.shapes))])


def _layers(body: Body) -> None:
    """Skin, fat, muscle: regions one below the other, bright lines between them."""
    rng = body.rng
    depths = np.sort(rng.uniform(0.03, rng.uniform(0.3, 1), int(rng.integers(1, 5))))
    slope, bend = rng.uniform(-0.2, 0.2), rng.normal() * 0.2
    column = body.where.columns - 0.5
    edges = [body.where.rows - d - slope * column - bend * column**2 for d in depths]
    for n, edge in enumerate(edges):
        region = (edge < 0) if n == 0 else (edge < 0) & (edges[n - 1] >= 0)
        if not region.any():
            continue
        body.fill(region, rng.uniform(-32, -6), own=0.9, soft=0.6)
        if rng.random() < 0.6:
            body.surface(edge < 0, rng.uniform(0.1, 1.2), gaps=0.4)
        if rng.random() < 0.35 and 0.01 < region.mean() < 0.5:
            body.shapes.append(np.asarray(region))


def _organ(body: Body, centre: Centre, radius: float) -> None:
    """A large region of even texture with a capsule and small vessels, partly out of the view."""
    rng = body.rng
    shape = body.outline(centre, radius, flat=rng.uniform(0.5, 1), rough=rng.uniform(0, 0.2)) < 0
    body.fill(shape, body.around(shape) + rng.uniform(-10, 10), own=0.9)
    if rng.random() < 0.6:
        body.surface(shape, rng.uniform(0.1, 0.8))
    body.shapes.append(shape)
    for _ in range(rng.integers(0, 6)):
        small = body.outline(_inside_any(body), rng.uniform(0.008, 0.03), flat=rng.uniform(0.3, 1)) < 0
        body.fill(small & shape, rng.uniform(-45, -25), soft=0.5)


def _lesion(body: Body, centre: Centre, radius: float) -> None:
    """A solid mass, darker, brighter or nearly as its surroundings; smooth, lobed or spiculated."""
    rng = body.rng
    rough, spikes = ((0.0, 0.0), (0.08, 0.0), (0.2, 0.03), (0.25, 0.12))[
        rng.choice(4, p=(0.25, 0.35, 0.25, 0.15))
    ]
    shape = body.outline(centre, radius, flat=rng.uniform(0.35, 1), rough=rough, spikes=spikes) < 0
    difference = rng.uniform(5, 20) * (1 if rng.random() < 0.25 else -1)
    if rng.random() < 0.3:
        halo = body.outline(centre, radius * rng.uniform(1.1, 1.3), rough=rough) < 0
        body.fill(halo, body.around(halo) - np.sign(difference) * rng.uniform(2, 8), soft=2.5)
    body.fill(shape, max(FLUID, body.around(shape) + difference))
    if rng.random() < 0.3:
        body.surface(shape, rng.uniform(0.1, 0.6))
    if rng.random() < 0.5:
        body.behind(shape, rng.choice([rng.uniform(5, 25), rng.uniform(-10, -3)], p=(0.6, 0.4)))
    body.shapes.append(shape)


def _cyst(body: Body, centre: Centre, radius: float) -> None:
    """Fluid in a thin wall, brighter behind; at times with septa or echoes of its own."""
    rng = body.rng
    shape = body.outline(centre, radius, flat=rng.uniform(0.4, 1), rough=rng.choice([0, 0.06, 0.15])) < 0
    body.fill(shape, FLUID + rng.choice([0.0, rng.uniform(0, 15)]), soft=0.5)
    body.surface(shape, rng.uniform(0.2, 1.0))
    if rng.random() < 0.75:
        body.behind(shape, rng.uniform(-12, -2))
    body.shapes.append(shape)
    if rng.random() < 0.2:
        septum = strip(rng, body.where, rng.uniform(0.002, 0.008), middle=centre[0]) < 0
        body.fill(septum & shape, rng.uniform(-20, -5), soft=0.4)


def _across(body: Body, centre: Centre, radius: float) -> None:
    """A vessel cut across: a dark round lumen in a wall of two lines, often with a companion."""
    rng = body.rng
    radius = min(radius, 0.2)
    for _ in range(1 + int(rng.random() < 0.35)):
        field = body.outline(centre, radius, flat=rng.uniform(0.6, 1), rough=rng.choice([0, 0.04]))
        lumen = np.asarray(field < 0)
        wall = body.rind(field, rng.uniform(0.1, 0.35), rng.uniform(-18, -2))
        body.fill(lumen, rng.uniform(FLUID, -26), soft=0.6)
        body.surface(lumen, rng.uniform(0.2, 1.2))
        if rng.random() < 0.5:
            body.surface(wall, rng.uniform(0.2, 1.0))
        body.behind(lumen, rng.uniform(-8, 0))
        body.shapes.append(lumen)
        turn, reach = rng.uniform(0, 2 * np.pi), radius * rng.uniform(1.8, 2.6)
        centre = centre[0] + reach * np.sin(turn), centre[1] + reach * np.cos(turn)
        radius *= rng.uniform(0.6, 1.3)


def _along(body: Body, centre: Centre, radius: float) -> None:
    """A vessel cut along: a dark channel between bright walls."""
    rng = body.rng
    field = strip(
        rng, body.where, 0.5 * min(radius, 0.18), slope=0.5, upright=0.12, ends=0.3, middle=centre[0]
    )
    lumen = np.asarray(field < 0)
    body.rind(field, rng.uniform(0.004, 0.025), rng.uniform(-18, -2))
    body.fill(lumen, rng.uniform(FLUID, -26), soft=0.6)
    body.surface(lumen, rng.uniform(0.2, 1.2))
    body.shapes.append(lumen)


def _ring(body: Body, centre: Centre, radius: float) -> None:
    """A bright shell with an interior, such as a skull; the shell belongs to the target."""
    rng = body.rng
    radius = max(radius, 0.1)
    turn = rng.uniform(0, np.pi)
    flat, rough = rng.uniform(0.6, 1), rng.choice([0.0, 0.02, 0.06])
    field = body.outline(centre, radius, flat=flat, turn=turn, rough=rough)
    width = rng.uniform(0.02, 0.09)
    inside = np.asarray(field < -width)
    body.fill(inside, body.around(field < 0) + rng.uniform(-15, 6), own=0.8)
    parts = rng.integers(0, 6)  # painted inside, but no targets of their own
    for _ in range(parts if inside.any() else 0):
        part = body.outline(_inside(rng, inside), radius * rng.uniform(0.05, 0.4), rough=0.2)
        body.fill((part < 0) & inside, rng.uniform(-40, 0), soft=1.0)
    if rng.random() < 0.4:
        along = (body.where.columns - centre[1]) * np.sin(turn) - (body.where.rows - centre[0]) * np.cos(turn)
        body.fill((np.abs(along) < 0.006) & inside, rng.uniform(-12, 0), soft=0.4)
    body.rind(field + width, width, rng.uniform(-14, 4))
    shape = np.asarray(field < 0)
    body.surface(shape, rng.uniform(0.5, 2.5), gaps=0.8)
    if rng.random() < 0.5:
        body.behind(shape & ~inside, rng.uniform(4, 20))
    body.shapes.append(shape)


def _chamber(body: Body, centre: Centre, radius: float) -> None:
    """A dark cavity in a thick wall, with or without a neighbour behind a septum, as in a heart."""
    rng = body.rng
    radius = max(radius, 0.08)
    flat, turn = rng.uniform(0.45, 0.9), rng.uniform(0, np.pi)
    cavity = body.outline(centre, radius, flat=flat, turn=turn, rough=rng.uniform(0, 0.15))
    muscle = body.rind(cavity, rng.uniform(0.2, 0.6), rng.uniform(-26, -8))
    shape = np.asarray(cavity < 0)
    body.fill(shape, rng.uniform(FLUID, -28), soft=rng.uniform(0.8, 2.5))
    if rng.random() < 0.5:
        body.shapes.append(muscle)
    body.shapes.append(shape)
    if rng.random() < 0.5:
        side = turn + np.pi / 2
        reach = radius * flat * rng.uniform(2.0, 2.6)
        beside = centre[0] + reach * np.sin(side), centre[1] + reach * np.cos(side)
        other = body.outline(beside, radius * rng.uniform(0.6, 1.1), flat=flat, turn=turn, rough=0.1) < 0
        body.fill(other & ~shape, rng.uniform(FLUID, -28), soft=rng.uniform(0.8, 2.5))
        body.shapes.append(np.asarray(other & ~shape))


def _pool(body: Body, centre: Centre, radius: float) -> None:
    """Free fluid or another region of irregular form."""
    rng = body.rng
    field = noise(rng, body.size, rng.uniform(0.1, 0.35))
    shape = (body.outline(centre, max(radius, 0.08) * 1.3) + 1.2 * field) < 0
    labels, count = ndimage.label(shape)
    if not count:
        return
    shape = labels == 1 + np.argmax(np.bincount(labels.ravel())[1:])
    level = FLUID if rng.random() < 0.5 else body.around(shape) + rng.choice([-1, 1]) * rng.uniform(6, 18)
    body.fill(shape, level)
    if rng.random() < 0.4:
        body.surface(shape, rng.uniform(0.1, 0.8))
    body.shapes.append(np.asarray(shape))


def _fascia(body: Body, centre: Centre, radius: float) -> None:
    """A bright thin band across the picture: fascia, aponeurosis, pleura, or bone with its shadow."""
    rng = body.rng
    half = np.exp(rng.uniform(np.log(0.004), np.log(0.03)))
    field = strip(rng, body.where, half, slope=0.35, upright=0.05, ends=0.4, middle=centre[0])
    shape = np.asarray(field < 0)
    body.fill(shape, body.around(shape) + rng.uniform(7, 22), own=0.3, soft=rng.uniform(0.3, 1.2))
    if rng.random() < 0.15:
        body.behind(shape, rng.uniform(15, 50))
    body.shapes.append(shape)


def _stone(body: Body, centre: Centre, radius: float) -> None:
    """A small bright reflector with a shadow."""
    rng = body.rng
    shape = body.outline(centre, min(radius, 0.06), flat=rng.uniform(0.3, 1), rough=0.1) < 0
    body.fill(shape, rng.uniform(-6, 6), soft=0.6)
    body.behind(shape, rng.uniform(8, 40))
    body.shapes.append(shape)


KINDS: tuple[Callable[[Body, Centre, float], None], ...] = (
    _lesion,
    _cyst,
    _across,
    _along,
    _ring,
    _chamber,
    _pool,
    _fascia,
    _stone,
)
SHARES = (0.27, 0.12, 0.15, 0.08, 0.12, 0.1, 0.08, 0.05, 0.03)
