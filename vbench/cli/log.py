"""``vbench log FOLDER ...``: logs the records of trials and sweeps to MLflow later.

Records that are already logged are skipped.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from vbench.config.path_option import path_option
from vbench.errors import ConfigError, TrackingError
from vbench.record.files import TRIAL, RecordError, read_trial, trial_folders
from vbench.tracking.mlflow import Tracker


def main(arguments: list[str] | None = None) -> int:
    """Log the records on the command line; the exit status: 2 if some cannot be read, 3 if MLflow cannot be
    written to."""
    parser = argparse.ArgumentParser(
        prog="vbench log",
        description="Log the records of trials and sweeps to MLflow, except those that it has already.",
    )
    parser.add_argument(
        "folders", nargs="+", type=path_option, help="the folder of a trial or a sweep, or one above"
    )
    parser.add_argument(
        "--outputs", type=path_option, help="folder with the MLflow database (default: as in the record)"
    )
    parser.add_argument("--experiment", help="name of the MLflow experiment (default: as in the record)")
    options = parser.parse_args(arguments)
    try:
        by_folder = {folder: trial_folders(folder) for folder in options.folders}
        for folder, trials in by_folder.items():
            if not trials:
                raise RecordError(f"there is no {TRIAL} in {folder} or below it")
        return _log_all([folder for trials in by_folder.values() for folder in trials], options)
    except (RecordError, TrackingError) as error:
        print(f"vbench: {error}", file=sys.stderr)
        return error.exit_status if isinstance(error, TrackingError) else ConfigError.exit_status
    except OSError as error:
        if error.filename is None:
            raise
        print(f"vbench: {error.filename} cannot be read: {error.strerror}", file=sys.stderr)
        return ConfigError.exit_status


def _log_all(folders: Sequence[Path], options: argparse.Namespace) -> int:
    """Log each record; one that cannot be read, such as one of another version, is reported and skipped."""
    status = 0
    trackers: dict[tuple[Path, str], Tracker] = {}
    for folder in folders:
        try:
            config = read_trial(folder).config
            outputs = options.outputs or Path(config["outputs"])
            name = options.experiment or config["tracking"]["experiment"]
            if (outputs, name) not in trackers:
                trackers[outputs, name] = Tracker(outputs, name)
            new = trackers[outputs, name].log(folder)
        except RecordError as error:
            print(f"vbench: skipped: {error}", file=sys.stderr)
            status = 2
            continue
        print(f"{'logged' if new else 'logged before'}  {folder}")
    return status
