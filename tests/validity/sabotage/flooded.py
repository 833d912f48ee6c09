"""While requests are measured, others come that no replica works on: the proxy or the API answers them."""

import itertools
import threading
from typing import Any

FLOOD = (
    ("GET", "/-/healthz", {}),
    ("GET", "/-/routes", {}),
    ("GET", "/nowhere", {}),
    ("PUT", "/v1/videos:process", {}),
    ("POST", "/v1/videos:process", {"data": b"{}", "headers": {"Content-Type": "application/json"}}),
    ("POST", "/v1/videos:process", {"data": b"x" * 100_000}),
    ("GET", "/openapi.json", {}),
    ("GET", "/healthz", {}),
)

PERIOD_S = 0.02


def change(drive: Any) -> None:
    honest = drive.send_measured

    def send_measured(config: Any, urls: tuple[str, ...], request_of: Any) -> Any:
        import requests

        stop = threading.Event()

        def flood() -> None:
            with requests.Session() as session:
                session.trust_env = False
                for method, path, options in itertools.cycle(FLOOD):
                    if stop.wait(PERIOD_S):
                        return
                    session.request(method, urls[0] + path, timeout=10, **options)

        thread = threading.Thread(target=flood, daemon=True)
        thread.start()
        try:
            return honest(config, urls, request_of)
        finally:
            stop.set()
            thread.join()

    drive.send_measured = send_measured


CHANGES = {"vbench.load.video_load": change}
