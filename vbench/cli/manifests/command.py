"""``vbench manifests KIND [KEY=VALUE ...]``: writes a manifest from a configuration."""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from vbench.cli.manifests.anyscale import compute_config, service_config
from vbench.cli.manifests.kuberay import ray_cluster, ray_service
from vbench.cli.manifests.ray_up import ray_up
from vbench.cli.manifests.serve import serve_config
from vbench.cli.manifests.yaml_text import as_yaml
from vbench.config.path_option import path_option
from vbench.config.quoting import shell_quoted
from vbench.config.schema import Config
from vbench.errors import ConfigError, VbenchError
from vbench.run.compose import compose_one

KINDS: dict[str, Callable[[Config], dict[str, Any]]] = {
    "kuberay": ray_service,
    "kuberay-cluster": ray_cluster,
    "anyscale": service_config,
    "anyscale-compute": compute_config,
    "rayup": ray_up,
    "serve": serve_config,
}

SAID = (
    "kuberay: a RayService; kuberay-cluster: a RayCluster that trials attach to; anyscale: a service;"
    " anyscale-compute: only its cluster; rayup: a cluster on EC2; serve: for serve run and serve deploy"
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the manifest, or write it to ``--out``; the exit status."""
    parser = argparse.ArgumentParser(prog="vbench manifests", description=__doc__)
    parser.add_argument("kind", choices=KINDS, help=SAID)
    parser.add_argument(
        "overrides", nargs="*", help="as for vbench run, such as cluster=aws runtime=anyscale"
    )
    parser.add_argument(
        "--out", type=path_option, metavar="FILE", help="write it to FILE instead of printing it"
    )
    options = parser.parse_args(arguments)
    try:
        config = compose_one(options.overrides)
        text = rendered(options.kind, config, options.overrides)
        if options.out is None:
            sys.stdout.write(text)
        else:
            _write(options.out, text)
    except VbenchError as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status
    return 0


def rendered(kind: str, config: Config, overrides: Sequence[str]) -> str:
    """The manifest as YAML, with the command that made it above."""
    command = " ".join(["vbench manifests", kind, *map(shell_quoted, overrides)])
    return f"# {command}\n" + as_yaml(KINDS[kind](config))


def _write(path: Path, text: str) -> None:
    try:
        path.write_text(text)
    except OSError as error:
        raise ConfigError(f"--out {path} cannot be written ({error.strerror})") from error
