"""The HTTP door under odd calls, half-sent requests and too many clients, and with a stage that hangs."""

import json
import re
import shutil
import socket
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests
from playwright.sync_api import expect, sync_playwright

from tests.pipeline.serving import Cluster, Service
from tests.support.waiting import until
from vbench.pipeline.api_schema import PATH

pytestmark = pytest.mark.slow

RECEIVE_S = 3.0
HALF_SENT = 300
"""More than the 256 calls that the API used to take at a time."""

JSON = {"Content-Type": "application/json"}
LONG_HEADER = {"Cookie": "x" * 70_000}


@pytest.fixture(scope="module")
def service(cluster: Cluster) -> Iterator[Service]:
    """Room for 4 requests at a time and 2 in the queue."""
    with cluster.deployed(queue_length=2, receive={"timeout_s": RECEIVE_S, "slow_bodies": 8}) as running:
        yield running


def call(service: Service, method: str, path: str, **options: Any) -> requests.Response:
    with requests.Session() as session:
        session.trust_env = False
        return session.request(method, service.url + path, timeout=30, **options)


@contextmanager
def half_sent(service: Service, text: str, count: int) -> Iterator[list[socket.socket]]:
    """Connections on which so much of a request was sent, and no more."""
    host, port = service.url.removeprefix("http://").split(":")
    with ExitStack() as stack:
        connections = []
        for _ in range(count):
            connection = stack.enter_context(socket.create_connection((host, int(port)), timeout=30))
            connection.sendall(text.encode())
            connections.append(connection)
        yield connections


def response_of(connection: socket.socket) -> tuple[int, dict[str, str], dict[str, Any]]:
    """Status, headers and body of a response after which the server closes the connection."""
    text = b""
    while part := connection.recv(65536):
        text += part
    head, _, body = text.decode().partition("\r\n\r\n")
    lines = head.lower().split("\r\n")
    headers = dict(line.split(": ", 1) for line in lines[1:])
    return int(lines[0].split()[1]), headers, json.loads(body)


@pytest.mark.parametrize(
    ("method", "path", "body", "headers", "status", "sentence"),
    [
        (
            "POST",
            PATH,
            b'{"video": "/a"}',
            {"Content-Type": "text/plain"},
            422,
            "the Content-Type is 'text/plain'",
        ),
        ("POST", PATH, b'{"video": "/a"}', {}, 422, "the request has no Content-Type"),
        ("POST", PATH, b"", JSON, 422, "the body is empty"),
        ("POST", PATH, b"\xff\xfe{}", JSON, 422, "the body is not UTF-8 text"),
        ("POST", PATH, '{"video": "/a"}'.encode("utf-16"), JSON, 422, "the body is not UTF-8 text"),
        ("POST", PATH, b"[" * 30_000, JSON, 422, "the body nests arrays or objects"),
        ("POST", PATH, b"null", JSON, 422, "the body"),
        ("POST", PATH, b'{"video": "/a", "fps": NaN}', JSON, 422, "the body is not valid JSON: NaN"),
        ("POST", PATH, b'{"video": "/a", "fps": 1e999}', JSON, 422, "fps: "),
        (
            "POST",
            PATH,
            b'{"video": "/a", "fps": 1' + b"0" * 9000 + b"}",
            JSON,
            422,
            "the body has a number of",
        ),
        ("POST", PATH, b'{"video": "/a", "fps": [{}]}', JSON, 422, "fps: "),
        ("POST", PATH, b'{"video": "/a", "video": "/b"}', JSON, 422, "the body has 'video' more than once"),
        ("POST", PATH, b'{"video": "/\\ud800"}', JSON, 422, "the body has half of a surrogate pair"),
        ("POST", PATH, b'{"video": "/a\\u0000"}', JSON, 422, "video: '/a\\x00' has a NUL character"),
        ("POST", PATH, b'{"video": 5}', JSON, 422, "video: "),
        ("POST", PATH, json.dumps(dict.fromkeys(map(str, range(4000)))).encode(), JSON, 422, "video: "),
        ("POST", PATH, b'{"video": "/a", "fps": "' + b"9" * 60_000 + b'"}', JSON, 422, "fps: "),
        ("POST", PATH, b" " * 65_537, JSON, 413, "the body has 65537 bytes, and at most 65536 are accepted"),
        ("POST", PATH, b"[" + b"1," * 25_000_000 + b"1]", JSON, 413, "the body has 50000003 bytes"),
        ("POST", PATH, b"{}", JSON | LONG_HEADER, 431, "the headers of the request have 7"),
        ("GET", "/healthz", None, LONG_HEADER, 431, "the headers of the request have 7"),
        ("GET", "/healthz", None, {f"x-{i}": "" for i in range(300)}, 431, "the request has 30"),
        ("GET", f"/{'x' * 60_000}", None, {}, 404, "there is no /xxx"),
        (
            "POST",
            PATH,
            b'{"' + b"x" * 20_000 + b'": 1, "' + b"x" * 20_000 + b'": 1}',
            JSON,
            422,
            "the body has 'x",
        ),
        ("POST", PATH, b"\xef\xbb\xbf{}", JSON, 422, "the body begins with a byte order mark"),
        ("GET", PATH, None, {}, 405, f"GET is not allowed on {PATH}: use POST"),
        ("PUT", PATH, b"{}", JSON, 405, f"PUT is not allowed on {PATH}: use POST"),
        ("POST", "/healthz", b"{}", JSON, 405, "POST is not allowed on /healthz: use GET"),
        ("POST", PATH + "/", b"{}", JSON, 404, f"there is no {PATH}/ here: use POST {PATH}"),
        ("GET", "/v2/none", None, {}, 404, "there is no /v2/none here"),
        ("GET", "/redoc", None, {}, 404, "there is no /redoc here"),
        ("GET", "/static-offline-docs/../api.py", None, {}, 404, "there is no "),
    ],
)
def test_odd_calls_get_a_status_of_the_description_and_a_sentence(
    service: Service,
    method: str,
    path: str,
    body: bytes | None,
    headers: dict[str, str],
    status: int,
    sentence: str,
) -> None:
    began_s = time.monotonic()
    response = call(service, method, path, data=body, headers=headers)

    assert response.headers["Content-Type"] == "application/json"
    detail = response.json()["detail"]
    assert (response.status_code, detail[: len(sentence)]) == (status, sentence)
    assert "parsing the body" not in detail
    assert len(response.content) < 5000, "what was sent is not sent back at length"
    described = call(service, "GET", "/openapi.json").json()["paths"][PATH]["post"]["responses"]
    assert str(status) in described
    assert time.monotonic() - began_s < 5


def test_a_stream_without_a_length_is_counted(service: Service) -> None:
    def parts() -> Iterator[bytes]:
        for _ in range(100):
            yield b" " * 1000

    response = call(service, "POST", PATH, data=parts(), headers=JSON)

    assert response.status_code == 413
    assert response.json()["detail"].startswith("the body has more than 65536 bytes")


def test_half_sent_bodies_hold_nobody_up_and_get_a_sentence(service: Service, clip: Path) -> None:
    text = (
        f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nContent-Length: 40\r\n\r\n{{"
    )
    with half_sent(service, text, HALF_SENT) as connections:
        began_s = time.monotonic()
        assert call(service, "GET", "/healthz").status_code == 200
        service.ask(clip)
        assert time.monotonic() - began_s < 15
        responses = [response_of(connection) for connection in connections]
        assert time.monotonic() - began_s < 30

    statuses = [status for status, _, _ in responses]
    assert set(statuses) == {408, 503}
    assert 8 <= statuses.count(408) < HALF_SENT / 4, "8 at a time, and few are done before the last is there"
    for status, headers, body in responses:
        if status == 503:
            assert int(headers["retry-after"]) >= 1
            assert "sending their requests slowly" in body["detail"]
        else:
            assert body["detail"].startswith(f"The body of the request did not arrive within {RECEIVE_S:g} s")


def test_half_sent_headers_hold_nobody_up(service: Service, clip: Path) -> None:
    with half_sent(service, f"POST {PATH} HTTP/1.1\r\nHost: a\r\nX-Drip: ", HALF_SENT):
        began_s = time.monotonic()
        assert call(service, "GET", "/healthz").status_code == 200
        service.ask(clip)
        assert time.monotonic() - began_s < 15


def test_a_full_queue_is_503_with_a_time_to_return_and_all_others_are_answered(
    service: Service, clip: Path
) -> None:
    def ask(_: int) -> tuple[int, float, requests.Response]:
        began_s = time.monotonic()
        response = service.post({"video": str(clip), "fps": 5, "chunk_s": 1})
        return response.status_code, time.monotonic() - began_s, response

    with ThreadPoolExecutor(16) as clients:
        outcomes = list(clients.map(ask, range(16)))

    statuses = [status for status, _, _ in outcomes]
    assert (statuses.count(200), statuses.count(503)) == (6, 10), "4 in progress and 2 in the queue"
    last_s = max(seconds for status, seconds, _ in outcomes if status == 200)
    for status, seconds, response in outcomes:
        if status == 503:
            assert seconds < last_s / 2, "refused at once"
            assert 1 <= int(response.headers["Retry-After"]) <= 20
            assert response.json()["detail"].startswith(
                "The service is overloaded: 4 requests are in progress and 2 wait. Send the request again in "
            )


def test_a_request_whose_client_left_while_it_waited_never_reaches_the_service(
    cluster: Cluster, service: Service, clip: Path
) -> None:
    busy = {"video": str(clip), "fps": 5, "chunk_s": 1}
    mark = "left-while-it-waited"
    with ThreadPoolExecutor(4) as clients:
        answers = [
            clients.submit(service.post, busy, headers={"X-Request-ID": f"busy-{i}"}) for i in range(4)
        ]
        until(lambda: in_decoders(cluster, "busy-"), "the slots are taken", 20)
        body = json.dumps(busy)
        text = (
            f"POST {PATH} HTTP/1.1\r\nHost: a\r\nContent-Type: application/json\r\nX-Request-ID: {mark}\r\n"
            f"Content-Length: {len(body)}\r\n\r\n{body}"
        )
        with half_sent(service, text, 1):
            until(lambda: call(service, "GET", "/healthz").ok, "the API has seen it", 10)
        assert all(answer.result().status_code == 200 for answer in answers)
    service.ask(clip)

    assert len(cluster.log_lines("VideoProcessingService", "busy-")) >= 4
    assert not cluster.log_lines("VideoProcessingService", mark)


def in_decoders(cluster: Cluster, mark: str) -> bool:
    return len(cluster.log_lines("VideoDecoder", mark)) > 4


def test_a_client_that_says_how_long_it_waits_gets_504_within_that_time(service: Service, clip: Path) -> None:
    began_s = time.monotonic()
    response = service.post(
        {"video": str(clip), "fps": 10, "chunk_s": 0.1}, headers={"X-Request-Timeout-Seconds": "2"}
    )

    assert response.status_code in {503, 504}
    assert "1.8 s" in response.json()["detail"]
    assert "raise request_timeout_s" not in response.json()["detail"]
    assert time.monotonic() - began_s < 5


def test_health_is_503_while_the_only_decoder_hangs(cluster: Cluster, service: Service) -> None:
    (decoder,) = cluster.replica_processes("VideoDecoder")
    decoder.suspend()
    try:
        until(lambda: call(service, "GET", "/healthz").status_code == 503, "the API notices", 20)
        response = call(service, "GET", "/healthz")
        assert response.json()["detail"].startswith("No replica of VideoDecoder responds")
        assert int(response.headers["Retry-After"]) >= 1
        assert response.elapsed.total_seconds() < 5
    finally:
        decoder.resume()
    until(lambda: call(service, "GET", "/healthz").json() == {"status": "ok"}, "it is back", 20)


def test_the_documentation_loads_from_the_service_alone(service: Service) -> None:
    page = call(service, "GET", "/docs")
    addresses = re.findall(r"""(?:src|href|url)["']?\s*[=:]\s*["']([^"']+)["']""", page.text)

    assert len(addresses) >= 4, "script, style, icon and the description"
    for address in addresses:
        assert address.startswith("/"), f"{address} is not on this service"
        assert call(service, "GET", address).status_code == 200


def test_the_documentation_renders_in_a_browser_without_internet(service: Service) -> None:
    chromium = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    assert chromium, "this test drives a browser: install Debian's (apt-get install chromium)"
    errors: list[str] = []
    asked: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=chromium, args=["--no-sandbox", "--disable-dev-shm-usage"]
        )
        page = browser.new_page()
        page.on("console", lambda message: errors.append(message.text) if message.type == "error" else None)
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("request", lambda request: asked.append(request.url))
        page.goto(f"{service.url}/docs")
        expect(page.locator(".opblock-summary-path").first).to_be_visible(timeout=60_000)
        shown = page.locator(".opblock-summary-path").all_inner_texts()
        browser.close()

    assert [text.replace("\u200b", "") for text in shown] == [PATH, "/healthz"]
    assert errors == []
    assert all(url.startswith((service.url, "data:", "blob:")) for url in asked), asked
