"""Computes a trial's mean latency again from its record: ``python mean_latency.py FOLDER``."""

import json
import statistics
import sys
from pathlib import Path

folder = Path(sys.argv[1])
trial = json.loads((folder / "trial.json").read_text())
requests = [json.loads(line) for line in (folder / "requests.jsonl").read_text().splitlines()]

print(f"{trial['arm']}, block {trial['block']}: {'valid' if trial['valid'] else 'INVALID'}")
for rule in trial["rules"]:
    if not rule["passed"]:
        print(f"  {rule['name']}: {rule['observed']}")

if any(request["error"] for request in requests):
    sys.exit("A request failed: a mean over the others would say nothing about the setting.")

# From when a request was due, not from when it was sent: delays in the client count too.
latencies_s = [request["done_s"] - request["scheduled_s"] for request in requests]
mean_s = statistics.fmean(latencies_s)
print(f"mean latency of {len(latencies_s)} requests: {mean_s:.3f} s")

recorded_s = trial["metrics"]["latency_mean_s"]
if abs(mean_s - recorded_s) > 1e-9:
    sys.exit(f"The record says {recorded_s:.3f} s: it was changed.")
