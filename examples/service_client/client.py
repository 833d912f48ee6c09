"""Sends a video to a running service and prints what was found: ``python client.py URL VIDEO``."""

import json
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

TIMEOUT_S = 600


def process(url: str, video: Path) -> dict[str, Any]:
    """The service's response to one video; waits as long as the service asks for if it is overloaded."""
    body = json.dumps({"video": str(video.resolve()), "mode": "chunked", "fps": 1}).encode()
    headers = {"Content-Type": "application/json", "X-Request-Timeout-Seconds": str(TIMEOUT_S)}
    request = urllib.request.Request(f"{url}/v1/videos:process", data=body, headers=headers)
    deadline = time.monotonic() + TIMEOUT_S
    while True:
        try:
            with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:
                return dict(json.load(response))
        except urllib.error.HTTPError as error:
            wait_s = float(error.headers.get("Retry-After", 1))
            if error.code != 503 or time.monotonic() + wait_s > deadline:
                sys.exit(f"{error.code}: {json.load(error)['detail']}")
            time.sleep(wait_s)


def main() -> None:
    """Send the video, and print a line per frame."""
    url, video = sys.argv[1:]
    response = process(url, Path(video))
    for chunk in response["chunks"]:
        for frame in chunk["frames"]:
            names = [detection["class_name"] for detection in frame["detections"]]
            print(f"{frame['time_s']:8.3f} s  {', '.join(names) or 'nothing'}")
    counts = response["counts"]
    print(f"{counts['detections']} detections in {counts['frames']} frames")


if __name__ == "__main__":
    main()
