"""FFmpeg's filters shrink pictures to half the resolution of the video and enlarge them again."""

from typing import Any


def change(module: Any) -> None:
    honest = module.picture_filters

    def picture_filters(geometry: Any, rotation: int, **options: Any) -> Any:
        width, height = geometry.source_width // 2, geometry.source_height // 2
        return [
            *honest(geometry, rotation, **options),
            ("scale", {"w": min(width, geometry.width // 2), "h": min(height, geometry.height // 2)}),
            ("scale", {"w": geometry.width, "h": geometry.height, "flags": "bicubic"}),
        ]

    module.picture_filters = picture_filters


CHANGES = {"vbench.video.ffmpeg.filters": change}
