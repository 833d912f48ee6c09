"""The graph of the published benchmark: an API, a service that cuts videos, decoders, parallel models."""

import asyncio
import hashlib
from io import BytesIO
from typing import Any, Literal

import av
import clip
import numpy as np
from fastapi import FastAPI
from pydantic import BaseModel
from ray import serve
from ray.serve.handle import DeploymentHandle

web = FastAPI()


class Settings(BaseModel, extra="forbid"):
    """What ``app.args`` may set."""

    mode: Literal["chunked", "combined"] = "chunked"
    """chunked: a model sees each chunk once it is decoded; combined: all frames in one call."""
    models: int = 2
    """Models that see the frames at the same time, each a deployment of its own."""
    decoders: int = 1
    """Replicas of the decoder."""
    placed: bool = False
    """Whether decoders, models and service have nodes of their own, as in the published cluster."""


class Video(BaseModel):
    """A request."""

    length_s: float = 12
    chunk_s: float = 3
    fps: float = 2
    """Frames that the models see, per second of the video."""


@serve.deployment
class VideoDecoder:
    """Decodes chunks of a video."""

    def __init__(self) -> None:
        self._video = clip.encoded()

    def __call__(self, start_s: float, end_s: float, fps: float) -> np.ndarray:
        """Frames as (number, height, width, 3), RGB."""
        frames, wanted = [], list(np.arange(start_s, end_s - 1e-9, 1 / fps))
        with av.open(BytesIO(self._video)) as container:
            stream = container.streams.video[0]
            container.seek(int(start_s / stream.time_base), stream=stream)
            for frame in container.decode(stream):
                if not wanted:
                    break
                if frame.time >= wanted[0] - 1e-6:
                    frames.append(frame.to_ndarray(format="rgb24"))
                    wanted.pop(0)
        return np.stack(frames)


@serve.deployment
class ModelInference:
    """Finds the disc in each frame: a stand-in for a detector, which costs about as much as its pixels."""

    def __init__(self, threshold: int) -> None:
        self._threshold = threshold

    def __call__(self, *chunks: np.ndarray) -> list[list[int]]:
        """For each frame the box [left, top, right, bottom]."""
        boxes = []
        for frame in np.concatenate(chunks):
            rows, columns = np.nonzero(frame.max(axis=2) > self._threshold)
            boxes.append([int(columns.min()), int(rows.min()), int(columns.max()), int(rows.max())])
        return boxes


@serve.deployment
class VideoProcessingService:
    """Cuts videos into chunks. It passes references on: frames go from decoder to model, not through here."""

    def __init__(self, mode: str, decoder: DeploymentHandle, *models: DeploymentHandle) -> None:
        self._combined, self._decoder, self._models = mode == "combined", decoder, models

    async def process(self, video: Video) -> list[list[list[int]]]:
        """For each model the box in each frame."""
        starts = np.arange(0, video.length_s, video.chunk_s)
        chunks = [
            self._decoder.remote(float(start), float(min(start + video.chunk_s, video.length_s)), video.fps)
            for start in starts
        ]
        return await asyncio.gather(*(self._infer(model, chunks) for model in self._models))

    async def _infer(self, model: DeploymentHandle, chunks: list[Any]) -> list[list[int]]:
        if self._combined:
            return await model.remote(*chunks)
        found = await asyncio.gather(*(model.remote(chunk) for chunk in chunks))
        return [box for boxes in found for box in boxes]


@serve.deployment
@serve.ingress(web)
class VideoProcessingAPI:
    """The entrance."""

    def __init__(self, service: DeploymentHandle) -> None:
        self._service = service

    @web.post("/process")
    async def process(self, video: Video) -> dict[str, Any]:
        """How many frames each model saw, and a digest of all boxes."""
        found = await self._service.process.remote(video)
        return {
            "frames": [len(boxes) for boxes in found],
            "digest": hashlib.sha256(repr(found).encode()).hexdigest(),
        }


def build(settings: Settings) -> serve.Application:
    """The application, as ``serve run graph:build mode=combined`` would deploy it."""

    def on(resource: str, replicas: int = 1) -> dict[str, Any]:
        resources = {resource: 0.01} if settings.placed else {}
        return {"num_replicas": replicas, "ray_actor_options": {"num_cpus": 0.1, "resources": resources}}

    models = [
        ModelInference.options(name=f"ModelInference{number}", **on("infer_only")).bind(200 + number)
        for number in range(1, settings.models + 1)
    ]
    decoder = VideoDecoder.options(**on("decode_only", settings.decoders)).bind()
    service = VideoProcessingService.options(**on("chunk_only")).bind(settings.mode, decoder, *models)
    return VideoProcessingAPI.options(ray_actor_options={"num_cpus": 0}).bind(service)
