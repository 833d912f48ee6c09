"""The shapes and textures that scenes are drawn with, as small tiles of colour and signed distance.

Distances follow the usual 2-D signed distance functions (negative inside, in units of the shape's radius);
see I. Quilez, "2D distance functions", for the forms. Outside corners they are bounds, not exact, which an
edge one pixel wide does not show.
"""

from collections.abc import Callable

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.floating]
Colour = npt.NDArray[np.float32]

REACH = 1.3
"""Half side of a tile in radii: every shape lies within, in any rotation, edge included."""


def _array(values: npt.ArrayLike) -> Array:
    return np.asarray(values, dtype=np.float32)


def _circle(u: Array, v: Array) -> Array:
    return np.hypot(u, v) - np.float32(1)


def _ring(u: Array, v: Array) -> Array:
    return np.abs(np.hypot(u, v) - np.float32(0.76)) - np.float32(0.25)


def _square(u: Array, v: Array) -> Array:
    return np.maximum(np.abs(u), np.abs(v)) - np.float32(0.84)


def _triangle(u: Array, v: Array) -> Array:
    third = np.float32(np.sqrt(3) / 2)
    return np.maximum(v, np.abs(u) * third - v / 2) - np.float32(0.58)


def _star(u: Array, v: Array) -> Array:
    wedge = 2 * np.pi / 5
    angle = np.abs((np.arctan2(u, v) + wedge / 2) % wedge - wedge / 2)
    radius = np.hypot(u, v)
    tip = np.array([0.0, 1.15])
    notch = 0.5 * np.array([np.sin(wedge / 2), np.cos(wedge / 2)])
    along = (notch - tip) / np.hypot(*(notch - tip))
    x, y = radius * np.sin(angle), radius * np.cos(angle) - tip[1]
    return _array(y * along[0] - x * along[1])


def _cross(u: Array, v: Array) -> Array:
    a, b = np.abs(u), np.abs(v)
    arm, length = np.float32(0.33), np.float32(1.02)
    return np.minimum(np.maximum(a - length, b - arm), np.maximum(b - length, a - arm))


def _hourglass(u: Array, v: Array) -> Array:
    a, b = np.abs(u), np.abs(v)
    slope = np.float32(0.75)
    side = (a - slope * b - np.float32(0.1)) / np.float32(np.hypot(1, 0.75))
    return _array(np.maximum(side, b - np.float32(0.95)))


SHAPES: dict[str, Callable[[Array, Array], Array]] = {
    "circle": _circle,
    "square": _square,
    "triangle": _triangle,
    "star": _star,
    "cross": _cross,
    "ring": _ring,
    "hourglass": _hourglass,
}
"""Signed distance by class name; the order is the order of the classes."""


def _stripes(u: Array, v: Array, rng: np.random.Generator) -> Array:
    angle, periods = rng.uniform(0, np.pi), rng.uniform(1.5, 3.5)
    return _array(np.sin((u * np.cos(angle) + v * np.sin(angle)) * np.float32(np.pi * periods)) > 0)


def _checks(u: Array, v: Array, rng: np.random.Generator) -> Array:
    periods = np.float32(rng.uniform(1.5, 3.0))
    return _array((np.floor(u * periods) + np.floor(v * periods)) % 2)


def _dots(u: Array, v: Array, rng: np.random.Generator) -> Array:
    periods = np.float32(rng.uniform(1.5, 2.5))
    return _array(np.hypot((u * periods) % 1 - np.float32(0.5), (v * periods) % 1 - np.float32(0.5)) < 0.3)


def _gradient(u: Array, v: Array, rng: np.random.Generator) -> Array:
    angle = rng.uniform(0, 2 * np.pi)
    return _array((u * np.cos(angle) + v * np.sin(angle)) / np.float32(2 * REACH) + np.float32(0.5))


def _speckle(u: Array, v: Array, rng: np.random.Generator) -> Array:
    grains = 24
    noise = rng.random((grains, grains), dtype=np.float32)
    column = ((u / REACH + 1) / 2 * grains).astype(np.int64).clip(0, grains - 1)
    row = ((v / REACH + 1) / 2 * grains).astype(np.int64).clip(0, grains - 1)
    return _array(noise[row, column])


TEXTURES: tuple[Callable[[Array, Array, np.random.Generator], Array], ...] = (
    _stripes,
    _checks,
    _dots,
    _gradient,
    _speckle,
)
"""Each maps tile coordinates to a blend of two colours, 0 to 1."""


def draw_tile(class_name: str, side: int, rng: np.random.Generator) -> Array:
    """Draw a shape's surface: float32[side, side, 4], red, green, blue (0 to 255) and signed distance.

    The tile spans ``REACH`` radii each way. The same generator state gives the same surface at any ``side``.
    """
    span = (np.arange(side, dtype=np.float32) + np.float32(0.5)) / side * np.float32(2 * REACH) - np.float32(
        REACH
    )
    v, u = np.meshgrid(span, span, indexing="ij")
    distance = SHAPES[class_name](u, v)
    first, second, outline = _palette(rng)
    texture = TEXTURES[rng.integers(len(TEXTURES))]
    blend = np.asarray(texture(u, v, rng), dtype=np.float32)[..., None]
    tile = np.empty((side, side, 4), dtype=np.float32)
    tile[..., :3] = first + (second - first) * blend
    tile[..., :3][distance > -rng.uniform(0.09, 0.13)] = outline
    tile[..., 3] = distance
    return tile


def _palette(rng: np.random.Generator) -> tuple[Colour, Colour, Colour]:
    """Draw two surface colours of nearby hue and an outline, dark on light surfaces or light on dark ones."""
    hue = rng.random()
    light = rng.random() < 0.5
    value = rng.uniform(0.75, 0.95) if light else rng.uniform(0.35, 0.55)
    first = hsv_to_rgb(hue, rng.uniform(0.55, 0.95), value)
    second = hsv_to_rgb(hue + rng.uniform(-0.15, 0.15), rng.uniform(0.4, 0.9), value * rng.uniform(0.55, 0.8))
    outline = hsv_to_rgb(hue + 0.5, rng.uniform(0.0, 0.3), 0.08 if light else 0.95)
    return first, second, outline


def hsv_to_rgb(hue: float, saturation: float, value: float) -> Colour:
    """Convert hue (whole turns), saturation and value (0 to 1) to float32[3] red, green, blue, 0 to 255.

    The closed form of A. R. Smith's hexcone model (SIGGRAPH 1978).
    """
    k = (np.array([5.0, 3.0, 1.0]) + hue * 6) % 6
    rgb = value - value * saturation * np.clip(np.minimum(k, 4 - k), 0, 1)
    return np.asarray(255 * rgb, dtype=np.float32)
