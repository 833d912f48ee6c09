"""Every second frame is left out, by the service and by the reference pass alike."""

from typing import Any


def service(job: Any) -> None:
    honest = job.RequestSettings._options

    def options(self: Any) -> dict[str, Any]:
        asked: dict[str, Any] = honest(self)
        return asked | {"fps": asked["fps"] / 2}

    job.RequestSettings._options = options


def reference(plain_pass: Any) -> None:
    honest = plain_pass.plain_pass

    def passes(path: Any, *, fps: Any, **options: Any) -> Any:
        return honest(path, fps=fps / 2, **options)

    plain_pass.plain_pass = passes


CHANGES = {"vbench.pipeline.request_settings": service, "vbench.video.cross_check.one_pass": reference}
