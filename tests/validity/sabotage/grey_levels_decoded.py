"""FFmpeg's filters leave 64 levels of red, green and blue of 256."""

from typing import Any


def change(module: Any) -> None:
    honest = module.picture_filters
    levels = dict.fromkeys("rgb", "floor(val/4)*4")

    def picture_filters(geometry: Any, rotation: int, **options: Any) -> Any:
        return [*honest(geometry, rotation, **options), ("lutrgb", levels)]

    module.picture_filters = picture_filters


CHANGES = {"vbench.video.ffmpeg.filters": change}
