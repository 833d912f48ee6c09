"""Configurations that measure the same thing ask the same question, and no others do."""

import copy
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest

from tests.support import records
from vbench.record.question import question

EMULATED = asdict(records.config("cluster=emulated"))
TRANSFER = asdict(records.config("cluster=emulated", "load=transfer"))

SAME = {
    "label",
    "block",
    "blocks",
    "design",
    "outputs",
    "tracking.name",
    "tracking.experiment",
    "analysis.equivalence_percent",
    "analysis.max_blocks",
    "runtime.name",
    "pipeline.name",
    "pipeline.queue_length",
    "video.scene.seed",
    "load.seed",
    "load.warmup",
    "load.sample_period_s",
    "cluster.address",
    "cluster.region",
    "cluster.dashboard_port",
    "cluster.private_network",
    "cluster.dependencies",
    "cluster.http_port",
    *(
        f"cluster.nodes.{name}.{key}"
        for name in EMULATED["cluster"]["nodes"]
        for key in ("vcpus", "memory_mb", "instance")
    ),
}
"""Keys whose value does not change what is measured, beside bounds and timeouts."""


def is_immaterial(key: str) -> bool:
    return key in SAME or key.startswith(("load.max_", "load.min_")) or key.endswith("timeout_s")


def leaves(config: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in config.items():
        if isinstance(value, Mapping) and value:
            yield from leaves(value, f"{above}{name}.")
        elif not isinstance(value, Mapping):
            yield f"{above}{name}", value


def another(value: Any) -> Any:
    if isinstance(value, bool):
        return not value
    if isinstance(value, int | float):
        return value + 1
    if isinstance(value, str):
        return "7" if value.isdigit() else f"{value}x"
    return 3


def changed(config: Mapping[str, Any], key: str, value: Any) -> dict[str, Any]:
    made = copy.deepcopy(dict(config))
    *above, last = key.split(".")
    part = made
    for name in above:
        part = part[name]
    part[last] = value
    return made


@pytest.mark.parametrize(("key", "value"), list(leaves(EMULATED)), ids=str)
def test_each_key_is_part_of_the_question_or_known_not_to_be(key: str, value: Any) -> None:
    is_same = question(changed(EMULATED, key, another(value))) == question(EMULATED)
    assert is_same == (is_immaterial(key) or key in ("load.object_mb", "load.objects"))


@pytest.mark.parametrize(("key", "value"), list(leaves(TRANSFER)), ids=str)
def test_a_transfer_asks_about_links_and_objects_alone(key: str, value: Any) -> None:
    is_same = question(changed(TRANSFER, key, another(value))) == question(TRANSFER)
    unread = ("mode", "model.", "pipeline.", "video.", "load.concurrency", "cluster.deployments.")
    assert is_same == (is_immaterial(key) or key.startswith(unread))


def test_without_a_warm_up_cold_replicas_are_measured() -> None:
    assert question(changed(EMULATED, "load.warmup", 0)) != question(EMULATED)


def test_a_rate_is_the_same_however_it_is_written() -> None:
    same = {question(changed(EMULATED, "pipeline.fps", text)) for text in ("2", "2.0", "4/2")}
    assert len(same) == 1


def test_a_setting_is_the_same_by_whatever_option_it_was_chosen() -> None:
    by_name = asdict(records.config("runtime=anyscale", "pipeline=relay"))
    by_value = asdict(records.config("runtime.connections=15", "pipeline.handoff=relay"))
    assert question(by_name) == question(by_value)
    assert question(by_name) != question(asdict(records.config("pipeline=relay")))


def test_a_file_is_the_same_wherever_it_lies_and_other_content_is_another(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def of(path: str) -> str:
        return question({**EMULATED, "video": {"name": "file", "path": path, "scene": None}})

    monkeypatch.chdir(tmp_path)
    clip = tmp_path / "clip.mp4"
    clip.write_bytes(bytes(3 * 2**20))
    shutil.copy(clip, tmp_path / "copy.mp4")
    assert of("clip.mp4") == of("./clip.mp4") == of(str(clip)) == of("copy.mp4")
    before = of("clip.mp4")
    with clip.open("r+b") as file:
        file.seek(-1, 2)
        file.write(b"x")
    assert of("clip.mp4") != before
    assert of("gone.mp4") != of("copy.mp4")
    assert of(str(tmp_path)) != of("copy.mp4")


def test_a_signature_in_an_address_does_not_make_it_another_video() -> None:
    def of(path: str) -> str:
        return question({**EMULATED, "video": {"name": "file", "path": path, "scene": None}})

    assert of("https://host/clip.mp4?signature=1") == of("https://host/clip.mp4?signature=2")
    assert of("https://host/clip.mp4") != of("https://host/other.mp4")
