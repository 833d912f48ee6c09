"""A comparison's page shows the times of an application's deployments, arm by arm."""

from dataclasses import replace
from pathlib import Path

from tests.support import sweeps
from vbench.analysis import compare_sweep
from vbench.analysis.report.markdown_details import details
from vbench.analysis.results import Comparison


def page(comparison: Comparison) -> str:
    return "\n".join(details(comparison))


def test_deployments_that_were_timed_have_a_table(tmp_path: Path) -> None:
    sweeps.write_sweep(tmp_path, {"runtime": ["single", "oss"]}, 1, lambda settings, block: 2.0)
    plain = compare_sweep(tmp_path)
    assert plain is not None
    assert "Time per call of a deployment" not in page(plain)
    times = {"wait_mean_s": 0.25, "processing_mean_s": 0.5, "own_mean_s": 0.125, "busy_percent": 99.0}
    added = {f"deployment_{name}.Embedder": value for name, value in times.items()}
    scenarios = [
        replace(
            scenario,
            arms=[
                replace(
                    arm, trials=[replace(trial, metrics={**trial.metrics, **added}) for trial in arm.trials]
                )
                for arm in scenario.arms
            ],
        )
        for scenario in plain.scenarios
    ]
    text = page(replace(plain, scenarios=scenarios))
    assert "Time per call of a deployment" in text
    assert "| Embedder wait | 0.2500 | 0.2500 |" in text
    assert "| Embedder own | 0.1250 | 0.1250 |" in text
    assert "| Embedder busy | 99.0% | 99.0% |" in text
