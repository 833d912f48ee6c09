"""Another mode, hand-off and batch size, no pruning, one decoder on any node, and a service that takes one
request at a time: in all that is deployed."""

from typing import Any


def change(deploy: Any) -> None:
    honest = deploy.pipeline_args

    def otherwise(*arguments: Any) -> Any:
        args = honest(*arguments)
        return args.model_copy(
            update={
                "mode": "combined",
                "handoff": "relay",
                "prune": False,
                "model": args.model.model_copy(update={"batch_size": 1}),
                "decoder": args.decoder.model_copy(update={"replicas": 1, "resources": {}}),
                "service": args.service.model_copy(update={"max_ongoing_requests": 1}),
            }
        )

    deploy.pipeline_args = otherwise


CHANGES = {"vbench.load.deploy": change}
