"""The requests that ``workload=app`` sends: one from the configuration, or the lines of a JSONL file."""

import json
import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from vbench.config.json_lines import JsonLine, read_json_lines
from vbench.config.schema import AppConfig
from vbench.errors import ConfigError, nearest

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")

BODIES = ("body", "json", "body_file")
"""Keys of a line of which at most one may be given."""

KEYS = ("method", "path", "headers", *BODIES, "weight")


@dataclass(frozen=True, slots=True, kw_only=True)
class AppRequest:
    """One request as it is sent."""

    name: str
    """Its name in the record: ``line 3`` of the file, or method and path."""
    method: str
    path: str
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    weight: float = 1.0
    """Its share of all requests is its weight over the sum of all weights."""


def read_app_requests(app: AppConfig) -> list[AppRequest]:
    """The distinct requests, one at least; ConfigError that names the file's line and the remedy."""
    if app.requests is None:
        return [_configured(app)]
    lines = read_json_lines("app.requests", app.requests, '{"path": "/"}')
    return [_line(line, Path(app.requests).parent) for line in lines]


def in_order(requests: Sequence[AppRequest], count: int, seed: int) -> list[AppRequest]:
    """``count`` requests in a random order that depends on the seed alone, each as often as its weight says.

    Shares that are no whole numbers are rounded, so that the mix is the same for every seed.
    """
    total = sum(request.weight for request in requests)
    shares = [count * request.weight / total for request in requests]
    counts = [math.floor(share) for share in shares]
    by_remainder = sorted(range(len(shares)), key=lambda one: counts[one] - shares[one])
    for one in by_remainder[: count - sum(counts)]:
        counts[one] += 1
    mixed = [request for request, times in zip(requests, counts, strict=True) for _ in range(times)]
    random.Random(seed).shuffle(mixed)
    return mixed


def _configured(app: AppConfig) -> AppRequest:
    """The one request that the keys of ``app`` describe."""
    _check_method("app.method=", app.method)
    _check_path("app.path=", app.path)
    return AppRequest(
        name=f"{app.method.upper()} {app.path}",
        method=app.method.upper(),
        path=app.path,
        headers=app.headers,
        body=None if app.body is None else app.body.encode(),
    )


def _line(line: JsonLine, folder: Path) -> AppRequest:
    if not isinstance(line.value, dict):
        raise ConfigError(f'{line.start} is no object: write one, such as {{"path": "/"}}.')
    return request_of_keys(line.start, line.number, line.value, folder)


def request_of_keys(start: str, number: int, data: Mapping[str, Any], folder: Path) -> AppRequest:
    """The request that a line describes; ConfigError, which begins with ``start``, if it describes none.

    ``number``: of the line; ``folder``: that of its file, in which ``body_file`` is.
    """
    for problem in _line_problems(data):
        raise ConfigError(f"{start}: {problem}.")
    method, asked = data.get("method", "POST" if set(BODIES) & set(data) else "GET"), data.get("path", "/")
    _check_method(f"{start}: method ", method)
    _check_path(f"{start}: path ", asked)
    headers = dict(data.get("headers", {}))
    body: bytes | None = None
    if "json" in data:
        body = json.dumps(data["json"]).encode()
        headers = {"Content-Type": "application/json", **headers}
    elif "body" in data:
        body = data["body"].encode()
    elif "body_file" in data:
        file = folder / data["body_file"]
        try:
            body = file.read_bytes()
        except OSError as error:
            raise ConfigError(f"{start}: body_file {file} cannot be read: {error.strerror}.") from error
    return AppRequest(
        name=f"line {number}",
        method=method.upper(),
        path=asked,
        headers=headers,
        body=body,
        weight=float(data.get("weight", 1)),
    )


def _line_problems(data: Mapping[str, Any]) -> Iterator[str]:
    for key in data:
        if key not in KEYS:
            yield f"there is no key '{key}': {nearest(key, KEYS)}"
    if len(given := [key for key in BODIES if key in data]) > 1:
        yield f"{' and '.join(given)} exclude each other: give one of them"
    for key in ("method", "path", "body", "body_file"):
        if key in data and not isinstance(data[key], str):
            yield f"{key} {json.dumps(data[key])} is no text{': give it as json' if key == 'body' else ''}"
    headers = data.get("headers", {})
    if not isinstance(headers, dict) or not all(isinstance(value, str) for value in headers.values()):
        yield "headers must be an object of texts"
    weight = data.get("weight", 1)
    if isinstance(weight, bool) or not isinstance(weight, int | float) or not 0 < weight < math.inf:
        yield f"weight {json.dumps(weight)} must be a number above 0"


def _check_method(start: str, method: str) -> None:
    if method.upper() not in METHODS:
        raise ConfigError(f"{start}{method} does not exist: {nearest(method.upper(), METHODS)}.")


def _check_path(start: str, path: str) -> None:
    if not path.startswith("/"):
        raise ConfigError(f"{start}{path} must begin with a slash: /{path}.")
