"""Another mode, hand-off and batch size, no pruning and one decoder: in all that is deployed."""

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
                "decoder": args.decoder.model_copy(update={"replicas": 1}),
            }
        )

    deploy.pipeline_args = otherwise


CHANGES = {"vbench.load.deploy": change}
