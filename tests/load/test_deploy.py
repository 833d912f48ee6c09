"""Why an application was not deployed is said with the name of the deployment."""

import pytest
from ray.serve.schema import (
    ApplicationStatus,
    ApplicationStatusOverview,
    DeploymentStatus,
    DeploymentStatusOverview,
    DeploymentStatusTrigger,
)

from vbench.load.deploy import NO_REASON, failure_reason


def part(message: str) -> DeploymentStatusOverview:
    return DeploymentStatusOverview(
        status=DeploymentStatus.DEPLOY_FAILED,
        status_trigger=DeploymentStatusTrigger.REPLICA_STARTUP_FAILED,
        replica_states={},
        message=message,
    )


@pytest.mark.parametrize(
    ("messages", "whole", "said"),
    [
        (
            {"Front": "", "Model": "Traceback\n  File x\nOSError: no weights"},
            "",
            "Model: OSError: no weights",
        ),
        (
            {"Model": 'Traceback\n  File "/srv/graph.py", line 7, in __init__\nOSError: no weights'},
            "",
            "Model: OSError: no weights (graph.py, line 7)",
        ),
        ({"Front": ""}, "the app is deploying", "the app is deploying"),
        ({"Front": ""}, "", NO_REASON),
    ],
)
def test_the_deployment_that_failed_is_named(messages: dict[str, str], whole: str, said: str) -> None:
    application = ApplicationStatusOverview(
        status=ApplicationStatus.DEPLOY_FAILED,
        message=whole,
        last_deployed_time_s=0,
        deployments={name: part(message) for name, message in messages.items()},
    )
    assert failure_reason(application) == said
