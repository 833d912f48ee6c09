"""What the API's error responses say, and how much of what a client sent."""

import json
from typing import Any

import pytest
from fastapi import FastAPI
from fastapi.testclient import TestClient
from pydantic import ValidationError

from vbench.pipeline import api
from vbench.pipeline.api_schema import PATH, ProcessRequest
from vbench.pipeline.errors import STATUSES, BodyError, VideoMissingError
from vbench.pipeline.problems import explain_invalid_request, explain_refusal, problem
from vbench.pipeline.request_body import check_content_type, check_json
from vbench.pipeline.shortened import LONGEST_ECHO, LONGEST_SENTENCE, short_sentence, shortened

LONG = "x" * 60_000
WORDS = "x y " * 15_000


@pytest.fixture(scope="module")
def client() -> TestClient:
    """Of FastAPI's application alone, without the body checks and the service."""
    app = FastAPI(redirect_slashes=False)
    app.add_exception_handler(api.RequestValidationError, explain_invalid_request)
    app.add_exception_handler(api.HTTPException, explain_refusal)

    @app.post(PATH)
    def process(request: ProcessRequest) -> None:
        pass

    return TestClient(app)


@pytest.mark.parametrize("text", [LONG, WORDS])
def test_the_body_and_its_type_are_not_sent_back_at_length(text: str) -> None:
    with pytest.raises(BodyError) as twice:
        check_json(f'{{"{text}": 1, "{text}": 2}}'.encode())
    with pytest.raises(BodyError) as kind:
        check_content_type([(b"content-type", text.encode())])
    assert len(str(twice.value)) < LONGEST_ECHO + 60
    assert str(twice.value).endswith("more than once: write it once")
    assert len(str(kind.value)) < LONGEST_ECHO + 100


@pytest.mark.parametrize(
    "body",
    [
        {"video": "/a.mp4", LONG: 1},
        {"video": "/a.mp4", WORDS: 1},
        {"video": WORDS[:4000]},
        {"video": LONG[:4000]},
        {"video": "/a.mp4", "mode": LONG},
        {"video": "/a.mp4", "fps": WORDS},
        {f"{number}{LONG[:200]}": 1 for number in range(50)},
    ],
)
def test_invalid_fields_are_not_sent_back_at_length(client: TestClient, body: dict[str, Any]) -> None:
    response = client.post(PATH, json=body)

    assert response.status_code == 422
    assert len(response.json()["detail"]) <= LONGEST_SENTENCE
    assert len(response.text) < 10_000
    assert all(len(part) <= LONGEST_ECHO for one in response.json()["errors"] for part in one["loc"])


@pytest.mark.parametrize("text", [LONG, "x%20" * 15_000])
def test_paths_that_are_not_there_are_not_sent_back_at_length(client: TestClient, text: str) -> None:
    response = client.get(f"/{text}")

    assert response.status_code == 404
    assert len(response.json()["detail"]) < LONGEST_ECHO + 120
    assert response.json()["detail"].endswith(
        f"use POST {PATH}, GET /healthz, GET /docs or GET /openapi.json"
    )


def test_a_long_path_of_a_video_is_cut_in_its_middle() -> None:
    error = VideoMissingError(f"/videos/{LONG[:4000]}/clip.mp4 cannot be read: No such file or directory")

    detail = json.loads(bytes(problem(error).body))["detail"]

    assert detail.startswith("/videos/xxx")
    assert detail.endswith("xxx/clip.mp4 cannot be read: No such file or directory")
    assert len(detail) < LONGEST_ECHO + 60


def test_what_is_short_stays_as_it_is() -> None:
    assert shortened("a" * LONGEST_ECHO) == "a" * LONGEST_ECHO
    assert short_sentence("/a/b.mp4 cannot be read: permission denied") == (
        "/a/b.mp4 cannot be read: permission denied"
    )


@pytest.mark.parametrize(
    "video",
    ["a.mp4", "file:x", "file:x/y.mp4", "q/x://y", "1s3://b/k", "://x", "file:", "~/a.mp4", " /a.mp4"],
)
def test_what_is_no_absolute_path_is_refused(video: str) -> None:
    with pytest.raises(
        ValidationError, match="is not an absolute path, nor a file:// URI: give one of these"
    ):
        ProcessRequest(video=video)


@pytest.mark.parametrize(
    "video",
    ["/a.mp4", "file:/a.mp4", "file:///a.mp4", "FILE:///a.mp4", "s3://b/k", "HTTPS://h/a.mp4", "/q/x://y"],
)
def test_absolute_paths_and_addresses_are_accepted(video: str) -> None:
    assert ProcessRequest(video=video).video == video


def test_a_failure_of_the_system_names_no_path_of_the_node() -> None:
    response = problem(OSError(22, "Invalid argument", "/tmp/secret/copy"))

    assert response.status_code == 500
    assert json.loads(bytes(response.body)) == {"detail": "OSError: Invalid argument"}


def test_a_timeout_names_whoever_set_it() -> None:
    by_client, by_service = (
        api.timeout_error("/a.mp4", 1.8, 7200.0),
        api.timeout_error("/a.mp4", 7200.0, 7200.0),
    )

    assert str(by_client).startswith(
        "/a.mp4 was not processed within 1.8 s, nine tenths of what the request's"
    )
    assert "X-Request-Timeout-Seconds" in str(by_client)
    assert str(by_service).endswith("or raise request_timeout_s of the service")
    assert problem(by_client).status_code == problem(by_service).status_code == 504


def test_the_apis_description_has_every_status_that_an_error_gets() -> None:
    described = api.http.openapi()["paths"]

    errors = {str(status) for _, status in STATUSES} | {"404", "405", "500"}
    assert described[PATH]["post"]["responses"].keys() == errors | {"200"}
    assert described["/healthz"]["get"]["responses"].keys() == {"200", "431", "503"}
