"""The service that is measured: split, decode and infer a video on Ray Serve.

``serve run vbench.pipeline:build`` runs it by itself. Importing this package does not import Ray.
"""

from vbench.pipeline.build import build

__all__ = ["build"]
