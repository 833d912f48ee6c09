"""Checks an application's responses as ``app.check`` says: a digest, a value in its JSON, or a function."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import xxhash

from vbench.config.app import DIGEST, JSON, app_of, working_dir
from vbench.config.app_requests import AppRequest
from vbench.config.schema import Config
from vbench.errors import InputError
from vbench.load.application import import_name
from vbench.load.closed_loop import Outcome
from vbench.load.user_code import raised


@dataclass(slots=True)
class ResponseCheck:
    """Checks responses one after the other; remembers what must be the same in all responses to a request."""

    check: str | None
    function: Callable[..., Any] | None = None
    """With MODULE:FUNCTION: called with the request and the response as dicts."""
    folder: Path = Path()
    """That the function is in."""
    digests: dict[str, str] = field(default_factory=dict)
    """Request -> digest of what must be the same."""

    @classmethod
    def of(cls, config: Config) -> "ResponseCheck":
        """As configured; InputError if the function cannot be imported."""
        check = app_of(config).check
        if check is None or check == DIGEST or check.startswith(JSON):
            return cls(check=check)
        function = import_name(config, check, f"app.check={check}")
        if not callable(function):
            raise InputError(f"app.check={check} is a {type(function).__name__} and no function.")
        folder = working_dir(config)
        assert folder is not None
        return cls(check=check, function=function, folder=folder)

    def problem(self, request: AppRequest, outcome: Outcome) -> str | None:
        """What is wrong with a response that arrived; None for a correct one.

        InputError if the user's function raises or returns something else than it may.
        """
        if self.check is None:
            return None
        if self.function is not None:
            return self._by_function(request, outcome)
        if self.check == DIGEST:
            return self._same(request, response_digest(outcome.body), "another response")
        return self._by_json(request, outcome.body)

    def _same(self, request: AppRequest, digest: str, what: str) -> str | None:
        first = self.digests.setdefault(request.name, digest)
        if first == digest:
            return None
        return f"{what} to {request.name} than before: digest {digest[:10]} instead of {first[:10]}"

    def _by_json(self, request: AppRequest, body: bytes) -> str | None:
        assert self.check is not None
        path, equals, wanted = self.check.removeprefix(JSON).partition("=")
        try:
            value = value_at(json.loads(body), path)
        except ValueError:
            return f"the response to {request.name} is no JSON"
        except LookupError:
            return f"the response to {request.name} has no {path}"
        if not equals:
            digest = response_digest(json.dumps(value, sort_keys=True).encode())
            return self._same(request, digest, f"another {path}")
        if value == as_value(wanted) or value == wanted:
            return None
        return f"{path} of the response to {request.name} is {json.dumps(value)[:100]} instead of {wanted}"

    def _by_function(self, request: AppRequest, outcome: Outcome) -> str | None:
        assert self.function is not None
        try:
            verdict = self.function(_plain_request(request), _plain_response(outcome))
        except Exception as error:
            raise InputError(
                f"app.check={self.check} raised {raised(error, self.folder)} for {request.name}: let it"
                f" return True for a correct response, and False or a text for a wrong one."
            ) from error
        if verdict is True:
            return None
        if verdict is False or isinstance(verdict, str):
            return (
                f"the response to {request.name} is wrong, says {self.check}{f': {verdict}' * bool(verdict)}"
            )
        raise InputError(
            f"app.check={self.check} returned {verdict!r}: let it return True for a correct response, and"
            f" False or a text for a wrong one."
        )


def response_digest(body: bytes) -> str:
    """xxh3-128 of a body."""
    return xxhash.xxh3_128_hexdigest(body)


def value_at(data: Any, path: str) -> Any:
    """The value at a dotted path, numbers being places in lists; LookupError if there is none."""
    for part in path.split("."):
        if isinstance(data, list):
            if not part.isdecimal():
                raise LookupError(path)
            data = data[int(part)]
        elif isinstance(data, dict):
            data = data[part]
        else:
            raise LookupError(path)
    return data


def as_value(text: str) -> Any:
    """Text as JSON if it is some, else as it is."""
    try:
        return json.loads(text)
    except ValueError:
        return text


def _plain_request(request: AppRequest) -> dict[str, Any]:
    return {
        "name": request.name,
        "method": request.method,
        "path": request.path,
        "headers": dict(request.headers),
        "body": request.body,
    }


def _plain_response(outcome: Outcome) -> Mapping[str, Any]:
    return {"status": outcome.status, "headers": dict(outcome.headers), "body": outcome.body}
