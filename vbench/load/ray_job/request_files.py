"""Copies a JSONL file of requests, or of arrivals, with the bodies that its lines name."""

import json
import shutil
from pathlib import Path


def copy_requests(source: Path, folder: Path, name: str) -> str:
    """Copy the file into the new folder ``name`` below ``folder``, its bodies beside it; its path from
    ``folder``.

    Lines keep their numbers.
    """
    there = folder / name
    there.mkdir()
    lines = []
    for number, line in enumerate(source.read_text().splitlines(), start=1):
        request = json.loads(line) if line.strip() else {}
        if "body_file" in request:
            shutil.copy(source.parent / request["body_file"], there / f"{number}.body")
            request["body_file"] = f"{number}.body"
        lines.append(json.dumps(request) if request else line)
    (there / source.name).write_text("\n".join(lines))
    return f"{name}/{source.name}"
