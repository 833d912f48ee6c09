"""Which token a trial shows to an attached cluster, and what it says if there is none."""

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from threading import Thread

import pytest

from vbench.clusters.attached import api
from vbench.clusters.attached.cluster import runtime_token
from vbench.errors import InputError
from vbench.ray_internals.authentication import MODE, SOURCES


class Guarded(BaseHTTPRequestHandler):
    """An API server that lets nobody in, as Ray's does."""

    def do_GET(self) -> None:
        with_token = "Authorization" in self.headers
        self.send_response(403 if with_token else 401)
        self.end_headers()
        self.wfile.write(b"Forbidden: Invalid authentication token" if with_token else b"Unauthorized")

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture
def address() -> Iterator[str]:
    with HTTPServer(("127.0.0.1", 0), Guarded) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in (MODE, *SOURCES, "RAY_AUTH_TOKEN_OSS"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    return tmp_path


def refused(address: str) -> str:
    with pytest.raises(InputError) as caught:
        api.connect(address, runtime_token("oss"))
    return str(caught.value)


def test_a_missing_token_is_asked_for(address: str) -> None:
    said = refused(address)
    assert said.startswith(f"cluster.address={address} needs a token, and none was found: put the token that")


def test_a_wrong_token_is_named_by_where_it_comes_from(
    address: str, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (home / ".ray").mkdir()
    (home / ".ray" / "auth_token").write_text("f" * 64)
    assert "rejected the credentials of ~/.ray/auth_token" in refused(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN", "e" * 64)
    assert "rejected the credentials of RAY_AUTH_TOKEN " in refused(address)
    monkeypatch.setenv("RAY_AUTH_TOKEN_OSS", "d" * 64)
    assert "rejected the credentials of RAY_AUTH_TOKEN_OSS " in refused(address)
    monkeypatch.delenv("RAY_AUTH_TOKEN_OSS")
    monkeypatch.setenv(MODE, "disabled")
    monkeypatch.delenv("RAY_AUTH_TOKEN")
    assert f"unset {MODE}, which disables tokens here" in refused(address)


def test_a_file_without_a_token_is_refused(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RAY_AUTH_TOKEN_PATH", str(home / "none"))
    with pytest.raises(InputError, match=r"=.*none is no file with a token: give the path"):
        runtime_token("oss")
