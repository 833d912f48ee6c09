"""The service that is measured: split, decode and infer a video on Ray Serve.

``serve run vbench.pipeline:build`` runs it by itself. Importing this package imports nothing else: ``build``
is loaded on first use, so that other packages can import settings and spans without pydantic and Ray.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vbench.pipeline.application import build

__all__ = ["build"]


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from vbench.pipeline.application import build

    return build
