"""HTTPS sources must prove who they are, and are never left for plain HTTP."""

import subprocess
from pathlib import Path

import pytest
from remote_servers import OK, answering_securely, fetch

from vbench.video import http_connection
from vbench.video.errors import VideoError


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of localhost in one file."""
    path = tmp_path_factory.mktemp("tls") / "localhost.pem"
    subprocess.run(
        [
            *(
                "openssl",
                "req",
                "-x509",
                "-newkey",
                "rsa:2048",
                "-nodes",
                "-days",
                "2",
                "-subj",
                "/CN=localhost",
            ),
            *("-addext", "subjectAltName=DNS:localhost", "-keyout", str(path), "-out", f"{path}.crt"),
        ],
        check=True,
        capture_output=True,
        timeout=60,
    )
    path.write_text(path.read_text() + Path(f"{path}.crt").read_text())
    return path


def test_https_is_read_proven_and_never_left_for_http(
    certificate: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    http_connection._tls.cache_clear()
    with (
        answering_securely(certificate, OK) as url,
        pytest.raises(VideoError, match="its certificate does not prove"),
    ):
        fetch(url)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
    http_connection._tls.cache_clear()
    try:
        with answering_securely(certificate, OK) as url:
            assert fetch(url) == b"abc"
        with (
            answering_securely(
                certificate, b"HTTP/1.1 302 Found\r\nLocation: http://8.8.8.8/\r\n\r\n"
            ) as url,
            pytest.raises(VideoError, match="its server sends on to plain http"),
        ):
            fetch(url)
    finally:
        http_connection._tls.cache_clear()
