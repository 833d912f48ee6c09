"""What the service does with requests that are wrong, too large, many, or given up by their client."""

import http.client
import json
import random
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import av
import pytest
import requests

from tests.pipeline.serving import Cluster, Service
from tests.support.http_files import Behaviour, serving
from tests.support.waiting import until
from vbench.pipeline.api_schema import Answer

pytestmark = pytest.mark.slow

MODES = ["chunked", "combined"]


@pytest.fixture(scope="module")
def service(cluster: Cluster) -> Iterator[Service]:
    # 24 frames of 640 x 360 are 16.6 MB: one whole request fits at a time, two do not.
    sources = {"sources": ["file", "http"], "private_sources": ["127.0.0.1"]}
    with cluster.deployed(frames_budget_mb=25, **sources) as running:
        yield running


@pytest.fixture
def damaged(clip: Path, tmp_path: Path) -> Path:
    """The clip with its coded pictures overwritten here and there, behind their headers."""
    content, dice = bytearray(clip.read_bytes()), random.Random(1)
    with av.open(clip) as file:
        for packet in file.demux(video=0):
            # After the first 1,000 bytes are coded pictures alone.
            for _ in range(4 if packet.size > 2000 else 0):
                content[packet.pos + dice.randrange(1000, packet.size)] ^= 0xFF
    path = tmp_path / "damaged.mp4"
    path.write_bytes(content)
    return path


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        ({}, "video: Field required"),
        (
            {"video": "/a.mp4", "mod": "combined"},
            "mod is not a field of a request: use video, mode, chunk_s, fps",
        ),
        ({"video": "a.mp4"}, "video: 'a.mp4' is not an absolute path, nor a file:// URI: give one of these"),
        ({"video": "/a.mp4", "mode": "both"}, "mode: Input should be 'chunked' or 'combined'"),
        ({"video": "/a.mp4", "fps": "fast"}, "fps: 'fast' is not a number above 0; write 1, 0.5 or a ratio"),
        ({"video": "/a.mp4", "fps": 1000}, "fps: 1000 is outside 1/3600 to 240 frames/s"),
        ({"video": "/a.mp4", "chunk_s": 0}, "chunk_s: 0 is not a number above 0"),
        (["a.mp4"], "the body is not a JSON object: send one, with Content-Type: application/json"),
    ],
)
def test_an_invalid_body_is_422_and_says_what_is_wrong(service: Service, body: object, sentence: str) -> None:
    response = service.post(body)

    assert response.status_code == 422
    assert response.json()["detail"].startswith(sentence)


def test_a_body_that_is_no_json_is_422(service: Service) -> None:
    response = requests.post(
        f"{service.url}/v1/videos:process",
        data=b"{",
        headers={"Content-Type": "application/json"},
        timeout=30,
    )

    assert response.status_code == 422
    assert response.json()["detail"].startswith("the body is not valid JSON: expecting property name")
    assert response.json()["detail"].endswith(", at line 1, column 2")


def test_a_missing_video_is_404(service: Service, tmp_path: Path) -> None:
    status, sentence = service.refusal(video=str(tmp_path / "none.mp4"))

    assert status == 404
    assert sentence == f"{tmp_path}/none.mp4 cannot be read: No such file or directory"


def test_a_text_named_mp4_is_422_with_the_demuxers_reason(service: Service, tmp_path: Path) -> None:
    text = tmp_path / "text.mp4"
    text.write_text("no video at all\n" * 100)

    status, sentence = service.refusal(video=str(text))

    assert status == 422
    assert "Invalid data found" in sentence


def test_a_truncated_video_is_422(service: Service, clip: Path, tmp_path: Path) -> None:
    short = tmp_path / "short.mp4"
    short.write_bytes(clip.read_bytes()[: clip.stat().st_size // 2])

    status, sentence = service.refusal(video=str(short))

    assert status == 422
    assert str(short) in sentence


@pytest.mark.parametrize("mode", MODES)
def test_damage_found_by_a_decoder_fails_the_request_with_ffmpegs_reason(
    cluster: Cluster, service: Service, damaged: Path, mode: str
) -> None:
    status, sentence = service.refusal(video=str(damaged), mode=mode)

    assert status == 422
    assert f"of {damaged} cannot be decoded: " in sentence
    assert "\n" not in sentence

    def frames_gone() -> bool:
        return bool(cluster.store(cluster.back).used_bytes < 2_000_000)

    until(frames_gone, "frames of a failed request are freed", 30)


@pytest.mark.parametrize("mode", MODES)
def test_the_first_damaged_chunk_ends_the_request(
    cluster: Cluster, service: Service, damaged: Path, mode: str
) -> None:
    mark = f"damaged-{mode}"
    body = {"video": str(damaged), "mode": mode, "fps": 3, "chunk_s": 0.3}

    response = service.post(body, headers={"X-Request-ID": mark})

    assert response.status_code == 422
    assert 1 <= len(cluster.log_lines("VideoDecoder", mark)) < 18, "of 36 chunks with frames"


def test_frames_that_cannot_fit_are_413_with_the_arithmetic(service: Service, clip: Path) -> None:
    status, sentence = service.refusal(video=str(clip), mode="combined", fps=10)

    assert status == 413
    assert "120 frames x 640 x 360 x 3 bytes = 82.9 MB, of a budget of 25.0 MB" in sentence


def test_chunked_holds_only_its_window_of_frames(service: Service, clip: Path) -> None:
    answer = service.ask(clip, mode="chunked", fps=10, chunk_s=1)
    status, sentence = service.refusal(video=str(clip), mode="chunked", fps=10, chunk_s=4)

    assert answer.counts.frames == 120
    assert status == 413
    assert "80 frames in the 2 largest chunks (the window) x 640 x 360 x 3 bytes" in sentence


@pytest.mark.parametrize("mode", MODES)
def test_chunks_without_a_frame_are_in_the_answer_and_cost_no_call(
    service: Service, clip: Path, mode: str
) -> None:
    answer = service.ask(clip, mode=mode, chunk_s=0.5, fps=1)

    assert [len(chunk.frames) for chunk in answer.chunks] == [1, 0] * 12
    assert [chunk.start_s for chunk in answer.chunks] == [index / 2 for index in range(24)]
    stages = {span.stage for span in answer.spans if span.chunk is not None and span.chunk % 2}
    assert stages == {"chunk"}


def test_a_ratio_of_frames_is_exact(service: Service, clip: Path) -> None:
    answer = service.ask(clip, fps="10/3")

    times = [frame.time_s for chunk in answer.chunks for frame in chunk.frames]
    assert answer.settings.fps == "10/3"
    assert times == pytest.approx([0.3 * index for index in range(40)])


def test_concurrent_requests_share_the_memory_and_get_the_same_answer(service: Service, clip: Path) -> None:
    with ThreadPoolExecutor(4) as clients:
        modes = MODES * 2
        answers = list(clients.map(lambda mode: service.ask(clip, mode=mode), modes))

    assert len({answer.digest for answer in answers}) == 1
    combined = [a for a in answers if a.settings.mode == "combined"]
    whole = sorted(
        (s.start_s, s.end_s) for a in combined for s in a.spans if s.stage == "infer" and s.kind == "compute"
    )
    admitted = sorted(
        max(s.end_s for s in a.spans if (s.stage, s.kind, s.chunk) == ("chunk", "queue", None))
        for a in combined
    )
    assert admitted[1] >= whole[0][1], "the second was let in while the first held its frames"


def test_work_stops_when_the_client_goes_away(cluster: Cluster, service: Service, clip: Path) -> None:
    body = {"video": str(clip), "mode": "chunked", "fps": 10, "chunk_s": 0.1}
    mark = "given-up-by-its-client"
    (decoder,) = cluster.replica_processes("VideoDecoder")

    client = http.client.HTTPConnection(service.url.removeprefix("http://"), timeout=30)
    headers = {"Content-Type": "application/json", "X-Request-ID": mark}
    client.request("POST", "/v1/videos:process", json.dumps(body), headers)
    until(decoder.children, "FFmpeg runs", 10)
    client.close()

    def ended() -> bool:
        lines = cluster.log_lines("VideoProcessingService", mark)
        return any("CANCELLED" in line for line in lines)

    until(ended, "the service's work is cancelled", 10)
    service.ask(clip)  # by its answer, what was cancelled before it has ended
    decoded = [line for line in cluster.log_lines("VideoDecoder", mark) if " OK " in line]
    assert len(decoded) < 60, "of 120 chunks"
    whole = "not-given-up"
    service.post(body, headers={"X-Request-ID": whole})
    decoded = [line for line in cluster.log_lines("VideoDecoder", whole) if " OK " in line]
    assert len(decoded) == 120, "or the lines counted above say nothing"


def test_slow_sources_hold_up_no_video_of_the_node(service: Service, clip: Path) -> None:
    """As many as the service works on requests at a time, and more: each never sends its second byte."""
    behaviour = Behaviour(clip.read_bytes(), trickle=threading.Event())
    with ThreadPoolExecutor(8) as clients, serving(behaviour) as url:
        slow = [clients.submit(service.post, {"video": f"{url}/clip.mp4"}) for _ in range(8)]
        until(lambda: len(behaviour.asked) == 2, "two of them are being fetched", 30)
        began = time.monotonic()
        assert service.ask(clip).counts.frames == 24
        # A wait for a place to fetch is 5 s, and some of the slow ones were first.
        assert time.monotonic() - began < 30
        assert behaviour.trickle is not None
        until(lambda: sum(response.done() for response in slow) >= 5, "others are refused", 60)
        refused = [response.result() for response in slow if response.done()]
        assert {response.status_code for response in refused} == {503}
        assert all("are being fetched for other requests" in each.json()["detail"] for each in refused)
        assert all(int(response.headers["Retry-After"]) >= 1 for response in refused)


def test_health_and_the_api_description_answer(service: Service) -> None:
    health = requests.get(f"{service.url}/healthz", timeout=30)
    schema = requests.get(f"{service.url}/openapi.json", timeout=30).json()

    assert (health.status_code, health.json()) == (200, {"status": "ok"})
    post = schema["paths"]["/v1/videos:process"]["post"]
    assert post["responses"]["200"]["content"]["application/json"]["schema"]["$ref"].endswith("/Answer")
    assert {"404", "413", "422", "504"} <= post["responses"].keys()
    assert schema["components"]["schemas"]["ProcessRequest"]["examples"]
    assert requests.get(f"{service.url}/docs", timeout=30).status_code == 200


def request_command(*arguments: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run(
        [sys.executable, "-m", "vbench", "request", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
        env={"PATH": "/usr/bin:/bin", "COLUMNS": "120"},
    )


def test_the_request_command_shows_what_was_found_and_where_the_time_went(
    service: Service, clip: Path
) -> None:
    done = request_command(service.url, str(clip), "--mode", "combined", "--fps", "1", "--chunk-s", "4")

    assert (done.returncode, done.stderr) == (0, "")
    assert "combined, 1 frames/s, direct, model shapes: 12 frames of 640 x 360 in 3 chunks" in done.stdout
    for word in ("decode", "infer", "queue", "transfer", "compute"):
        assert word in done.stdout


def test_the_request_command_gives_the_answer_as_it_came(service: Service, clip: Path) -> None:
    done = request_command(service.url, str(clip), "--json")

    assert Answer.model_validate(json.loads(done.stdout)).counts.frames == 24


def test_the_client_among_the_examples_prints_a_line_per_frame(service: Service, clip: Path) -> None:
    script = Path(__file__).resolve().parents[3] / "examples/service_client/client.py"
    done = subprocess.run(
        [sys.executable, str(script), service.url, str(clip)],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert (done.returncode, done.stderr) == (0, "")
    *frames, total = done.stdout.splitlines()
    assert len(frames) == 12
    assert frames[1].startswith("   1.000 s  ")
    assert total.endswith("detections in 12 frames")


def test_the_request_command_fails_with_one_sentence(service: Service, tmp_path: Path) -> None:
    missing = request_command(service.url, str(tmp_path / "none.mp4"))
    nobody = request_command("http://127.0.0.1:9", "clip.mp4")

    assert (missing.returncode, missing.stdout) == (1, "")
    assert missing.stderr == (
        f"vbench: HTTP 404: {tmp_path}/none.mp4 cannot be read: No such file or directory\n"
    )
    assert nobody.returncode == 1
    assert nobody.stderr.startswith("vbench: no service listens at http://127.0.0.1:9: start one with")
