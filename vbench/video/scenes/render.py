"""Renders synthetic scenes: textured shapes moving over a panning background, with ground truth."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from vbench.video.scenes.settings import SceneSettings
from vbench.video.scenes.shapes import REACH, SHAPES, draw_tile, hsv_to_rgb
from vbench.video.types import TruthBox

Picture = npt.NDArray[np.uint8]

PAN = 0.25
"""Size of the background beyond the frame, as a share of the frame: how far the camera pans."""
MIN_SIZE = 16 / 360
"""Smallest object (its diameter) as a share of the picture's height: 16 px at 640x360."""
MAX_SIZE = 1 / 3
"""Largest object as a share of the picture's height."""
MAX_SPEED = 0.25
"""Picture heights per second."""
NOISE_PEAK = 10
"""Camera noise never exceeds this; surfaces stay as far from 0 and 255, so that adding it cannot wrap."""
TILE_MAX = 640
"""Side of the largest tile: at 1080p one texel is then about one pixel."""


@dataclass(frozen=True, slots=True)
class _Wave:
    """A smooth closed path: centre + swing * sin(2 pi (turns * t + phase)), t in 0 to 1."""

    centre: float
    swing: float
    turns: int
    phase: float

    def at(self, t: float) -> float:
        return self.centre + self.swing * float(np.sin(2 * np.pi * (self.turns * t + self.phase)))


@dataclass(frozen=True, slots=True)
class _Object:
    """One shape: surface, size and path (lengths in picture heights)."""

    class_name: str
    radius: float
    x: _Wave
    y: _Wave
    angle: _Wave
    spins: int
    """Whole turns per repetition of the scene."""
    tile: npt.NDArray[np.float32]
    """float32[side, side, 4], see ``draw_tile``."""


@dataclass(frozen=True, slots=True)
class _Placed:
    """One shape in one frame: the part of its surface that is in the picture."""

    rows: slice
    columns: slice
    texels: npt.NDArray[np.int64]
    """int64[h, w]: index into the flattened tile, for each pixel of the part."""
    alpha: npt.NDArray[np.float32]
    """float32[h, w]: how much of each pixel it covers, 0 to 1."""
    area: int
    """Pixels that it would cover if all of it were visible."""


class Scene:
    """A seeded scene that repeats after ``settings.unique_frames``.

    Equal settings give equal pictures; another size shows the same scene, except for fine grain.
    """

    def __init__(self, settings: SceneSettings) -> None:
        self.settings = settings
        rng = np.random.default_rng([settings.seed, 1])
        period_s = float(settings.unique_frames / settings.rate)
        self._pan = (_draw_wave(rng, 0.5, 0.5, 0.08, period_s), _draw_wave(rng, 0.5, 0.5, 0.08, period_s))
        self._objects = [
            _draw_object(np.random.default_rng([settings.seed, 2, k]), settings, period_s)
            for k in range(settings.objects)
        ]

    @cached_property
    def _background(self) -> Picture:
        height, width = round(self.settings.height * (1 + PAN)), round(self.settings.width * (1 + PAN))
        return _draw_background(np.random.default_rng([self.settings.seed, 3]), height, width)

    @cached_property
    def _grain(self) -> Picture:
        """Camera noise, 64 px larger than the frame each way, in two's complement, to be added with
        wrapping."""
        shape = (self.settings.height + 64, self.settings.width + 64, 1)
        noise = np.random.default_rng([self.settings.seed, 4]).normal(0, 2.5, shape)
        grain = np.clip(np.rint(noise), -NOISE_PEAK, NOISE_PEAK).astype(np.int8).view(np.uint8)
        return np.ascontiguousarray(np.broadcast_to(grain, (*shape[:2], 3)))

    def frame(self, i: int) -> Picture:
        """Draw frame ``i`` >= 0: uint8[H, W, 3] rgb24."""
        return self._paint(i, self._place(i))

    def truth(self, i: int) -> list[TruthBox]:
        """The visible objects in frame ``i`` >= 0, from the rearmost to the front.

        Boxes enclose the visible pixels; their far edges are one past the last pixel. Invisible objects are
        left out.
        """
        return self._measure(self._place(i))

    def render(self, i: int) -> tuple[Picture, list[TruthBox]]:
        """Frame and truth together, which is cheaper than one after the other."""
        placed = self._place(i)
        return self._paint(i, placed), self._measure(placed)

    def _place(self, i: int) -> list[_Placed]:
        t = i % self.settings.unique_frames / self.settings.unique_frames
        return [_place(thing, t, self.settings.width, self.settings.height) for thing in self._objects]

    def _paint(self, i: int, placed: list[_Placed]) -> Picture:
        height, width = self.settings.height, self.settings.width
        index = i % self.settings.unique_frames
        t = index / self.settings.unique_frames
        left = round(self._pan[0].at(t) * (self._background.shape[1] - width))
        top = round(self._pan[1].at(t) * (self._background.shape[0] - height))
        picture = self._background[top : top + height, left : left + width].copy()
        for thing, part in zip(self._objects, placed, strict=True):
            if part.alpha.size:
                under = picture[part.rows, part.columns]
                surface = thing.tile.reshape(-1, 4)[part.texels, :3]
                surface -= under
                surface *= part.alpha[..., None]
                surface += under
                picture[part.rows, part.columns] = surface
        dy, dx = np.random.default_rng([self.settings.seed, 5, index]).integers(0, 64, 2)
        picture += self._grain[dy : dy + height, dx : dx + width]
        return picture

    def _measure(self, placed: list[_Placed]) -> list[TruthBox]:
        owner = np.full((self.settings.height, self.settings.width), -1, dtype=np.int16)
        for k, part in enumerate(placed):
            owner[part.rows, part.columns][part.alpha >= 0.5] = k
        boxes = []
        for k, part in enumerate(placed):
            visible = owner[part.rows, part.columns] == k
            area = int(np.count_nonzero(visible))
            if area == 0:
                continue
            rows, columns = np.flatnonzero(visible.any(1)), np.flatnonzero(visible.any(0))
            x, y = part.columns.start, part.rows.start
            box = (x + columns[0], y + rows[0], x + columns[-1] + 1, y + rows[-1] + 1)
            boxes.append(
                TruthBox(
                    class_name=self._objects[k].class_name,
                    box=tuple(float(edge) for edge in box),
                    visible=area / part.area,
                )
            )
        return boxes


def _place(thing: _Object, t: float, width: int, height: int) -> _Placed:
    radius = thing.radius * height
    x, y = thing.x.at(t) * height, thing.y.at(t) * height
    turn = 2 * np.pi * (thing.angle.at(t) + thing.spins * t)
    reach = radius * REACH + 1
    left, top = int(np.floor(x - reach)), int(np.floor(y - reach))
    right, bottom = int(np.ceil(x + reach)), int(np.ceil(y + reach))
    side = thing.tile.shape[0]
    texels_per_pixel = side / (2 * REACH * radius)
    across = (np.arange(left, right, dtype=np.float32) + np.float32(0.5 - x)) * np.float32(texels_per_pixel)
    down = (np.arange(top, bottom, dtype=np.float32) + np.float32(0.5 - y)) * np.float32(texels_per_pixel)
    cos, sin, middle = np.float32(np.cos(turn)), np.float32(np.sin(turn)), np.float32(side / 2)
    column = (across * cos + middle)[None, :] + (down * sin)[:, None]
    row = (across * -sin + middle)[None, :] + (down * cos)[:, None]
    # Beyond the tile is outside the shape: the tile's outermost texels have a distance well above zero.
    texels = np.clip(row.astype(np.int64), 0, side - 1) * side + np.clip(column.astype(np.int64), 0, side - 1)
    alpha = np.clip(0.5 - thing.tile.reshape(-1, 4)[:, 3][texels] * np.float32(radius), 0, 1)
    rows = slice(min(max(top, 0), height), min(max(bottom, 0), height))
    columns = slice(min(max(left, 0), width), min(max(right, 0), width))
    inside = (slice(rows.start - top, rows.stop - top), slice(columns.start - left, columns.stop - left))
    return _Placed(rows, columns, texels[inside], alpha[inside], int(np.count_nonzero(alpha >= 0.5)))


def _draw_wave(rng: np.random.Generator, centre: float, swing: float, speed: float, period_s: float) -> _Wave:
    """Draw a closed path of about ``swing``, whole turns per period, no faster than ``speed`` (units/s)."""
    pace = speed * rng.uniform(0.3, 1.0) * period_s / (2 * np.pi)
    turns = max(1, round(pace / swing))
    return _Wave(centre, min(swing, pace / turns), turns, rng.random())


def _draw_object(rng: np.random.Generator, settings: SceneSettings, period_s: float) -> _Object:
    aspect = settings.width / settings.height
    size = float(np.exp(rng.uniform(np.log(MIN_SIZE), np.log(MAX_SIZE))))
    class_name = list(SHAPES)[rng.integers(len(SHAPES))]
    tile_side = min(TILE_MAX, max(32, round(2 * REACH * size / 2 * settings.height * 1.5)))
    return _Object(
        class_name=class_name,
        radius=size / 2,
        x=_draw_wave(rng, rng.uniform(0.05, 0.95) * aspect, rng.uniform(0.1, 0.5), MAX_SPEED, period_s),
        y=_draw_wave(rng, rng.uniform(0.06, 0.94), rng.uniform(0.1, 0.5), MAX_SPEED, period_s),
        angle=_draw_wave(rng, rng.random(), rng.uniform(0.05, 0.4), 0.1, period_s),
        spins=round(rng.uniform(-0.2, 0.2) * period_s),
        tile=draw_tile(class_name, tile_side, rng),
    )


def _draw_background(rng: np.random.Generator, height: int, width: int) -> Picture:
    """Draw uint8[height, width, 3]: value noise of seven octaves in two muted hues, gratings, and grain."""
    relief = np.zeros((height, width), dtype=np.float32)
    for octave in range(7):
        cells = 3 * 2**octave
        grid = rng.random((cells + 1, round(cells * 16 / 9) + 1), dtype=np.float32)
        relief += (_stretch(grid, height, width) - np.float32(0.5)) * np.float32(0.68**octave)
    relief -= relief.min()
    relief /= relief.max()
    tint = _stretch(rng.random((4, 6), dtype=np.float32), height, width)
    x = np.linspace(0, 16 / 9, width, dtype=np.float32)[None, :]
    y = np.linspace(0, 1, height, dtype=np.float32)[:, None]
    angle, pitch = rng.uniform(0, np.pi), rng.uniform(25, 60)
    grating = np.sin(
        (x * np.float32(np.cos(angle)) + y * np.float32(np.sin(angle))) * np.float32(2 * np.pi * pitch)
    )
    where = np.clip(_stretch(rng.random((5, 8), dtype=np.float32), height, width) * 4 - np.float32(2), 0, 1)
    first, second = (hsv_to_rgb(rng.random(), rng.uniform(0.1, 0.4), 1.0) for _ in range(2))
    low, high = rng.uniform(0.1, 0.25), rng.uniform(0.6, 0.9)
    light = low + (high - low) * relief + 0.06 * where * grating
    light += rng.normal(0, 0.02, light.shape).astype(np.float32)
    colour = first + (second - first) * tint[..., None]
    colour *= light[..., None]
    return np.clip(colour, NOISE_PEAK, 255 - NOISE_PEAK).astype(np.uint8)


def _stretch(grid: npt.NDArray[np.float32], height: int, width: int) -> npt.NDArray[np.float32]:
    """Stretch a grid to float32[height, width], linearly between its points."""
    rows = np.linspace(0, grid.shape[0] - 1, height, dtype=np.float32)
    columns = np.linspace(0, grid.shape[1] - 1, width, dtype=np.float32)
    top, left = (
        np.minimum(axis.astype(np.int64), n - 2) for axis, n in zip((rows, columns), grid.shape, strict=True)
    )
    down, right = (rows - top)[:, None], (columns - left)[None, :]
    wide = grid[:, left] * (1 - right) + grid[:, left + 1] * right
    return np.asarray(wide[top] * (1 - down) + wide[top + 1] * down, dtype=np.float32)
