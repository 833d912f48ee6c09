"""One call of ``vbench run``: composes and checks all of it first, then runs it or shows it.

What runs trials is imported only then, so that a wrong value is refused at once.
"""

import contextlib
import os
import shlex
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from vbench.config.option_files import find_option_files
from vbench.config.path_option import LOOP, leads_to_itself
from vbench.config.schema import Config, from_plain
from vbench.errors import ConfigError
from vbench.record.trial import Trial
from vbench.run.command_line import CommandLine, read_command_line
from vbench.run.compose import Composition, compose_trials
from vbench.run.overrides import check_utf8, written_out

RESUME = "resume="
BLOCKS = "blocks="


def run(arguments: Sequence[str]) -> int:
    """Check everything, then run it; the exit status. Raises VbenchError for what cannot be run at all."""
    check_utf8(arguments)
    if any(argument.startswith(RESUME) for argument in arguments):
        return _resume(arguments)
    line = read_command_line(arguments)
    composition = _compose(line)
    if line.cfg is not None or line.info is not None:
        return _show(composition, line)
    composition = _discovered(composition)
    _check(composition.configs, starts=True)
    from vbench.run import sweep, trials

    if not composition.multirun:
        return trials.run_single(composition, arguments)
    folder = Path(composition.sweep_dir)
    plan = sweep.create(folder, composition, arguments)
    with sweep.lock_sweep(folder):
        return trials.run_sweep(folder, plan, composition, {})


def _compose(line: CommandLine) -> Composition:
    return compose_trials(line.overrides, multirun=line.is_multirun, files=find_option_files(line.config_dir))


def _discovered(composition: Composition, done: Iterable[Trial] = ()) -> Composition:
    """With the nodes of the clusters that are not described; says what it found of each."""
    from vbench.run.discovered_nodes import DiscoveredArm, describe_placement, with_nodes

    whole = with_nodes(composition, (from_plain(trial.config) for trial in done))
    found = [arm.config for arm in whole.arms if isinstance(arm, DiscoveredArm)]
    for line in dict.fromkeys(map(describe_placement, found)):
        print(f"vbench: {line}", file=sys.stderr, flush=True)
    return whole


def _show(composition: Composition, line: CommandLine) -> int:
    """Print what ``--cfg`` or ``--info`` asks for, of the first arm."""
    from vbench.run.hydra_app import show_config, show_info

    arm = composition.arms[0]
    if len(composition.arms) > 1:
        first = f"vbench: the first of {len(composition.arms)} arms: {shlex.join(arm.overrides)}"
        print(first, file=sys.stderr, flush=True)
    if line.info is not None:
        show_info(composition, arm.overrides, line.info)
    else:
        show_config(arm, line)
    return 0


def _check(configs: Sequence[Config], *, starts: bool, blocks: int = 0) -> None:
    """Raise VbenchError if these trials cannot be run here.

    ``starts``: whether any is still to be run; ``blocks``: of the sweep, if blocks were added to it.
    """
    from vbench.load.disk_room import check_room
    from vbench.run.dropped_settings import dropped
    from vbench.run.preflight import check_machine, check_outputs
    from vbench.run.sweep import looks_of

    if starts and (line := dropped(os.environ, configs)) is not None:
        print(f"vbench: {line}", file=sys.stderr, flush=True)
    if starts:
        check_machine(configs)
    first = configs[0]
    experiments = dict.fromkeys(
        config.tracking.experiment for config in configs if config.tracking.name != "off"
    )
    check_outputs(Path(first.outputs), tracked=bool(experiments), experiments=experiments)
    check_room([*configs] * max(blocks, looks_of(first)[-1]))


def _resume(arguments: Sequence[str]) -> int:
    """Run what a sweep's folder lacks: trials without a record, and those that did not finish; or more blocks
    of a finished sweep."""
    resumed, blocks = _resume_arguments(arguments)
    named = written_out("resume", resumed.removeprefix(RESUME))
    if leads_to_itself(named):
        raise ConfigError(f"resume={named}: {LOOP}.")
    from vbench.run import auto_blocks, resume, sweep, trials

    folder = named.resolve()
    plan = sweep.read(folder)
    with sweep.lock_sweep(folder), contextlib.ExitStack() as stack:
        try:
            # Relative paths of the command mean what they meant when it was given.
            stack.enter_context(contextlib.chdir(plan.cwd))
        except OSError as error:
            raise ConfigError(
                f"resume={folder}: the folder in which the sweep was started, {plan.cwd}, cannot be entered"
                f" ({error.strerror}): restore it, or start a new sweep."
            ) from error
        try:
            composition = _compose(read_command_line(plan.arguments))
        except ConfigError as error:
            raise ConfigError(
                f"resume={folder}: its command is no longer valid: {error} Start a new sweep."
            ) from error
        done = resume.finished(folder, plan)
        composition = _discovered(composition, done.values())
        resume.check_same(folder, plan, composition, done)
        if blocks is not None:
            auto_blocks.check_added(folder, plan, len(done), blocks)
        goes_on = blocks is not None or len(done) < len(plan.trials)
        _check(composition.configs, starts=goes_on, blocks=blocks or plan.blocks)
        if blocks is not None:
            plan = sweep.extend(folder, plan, composition, blocks, is_added=True)
        return trials.run_sweep(folder, plan, composition, done)


def _resume_arguments(arguments: Sequence[str]) -> tuple[str, int | None]:
    """The argument ``resume=FOLDER``, and the number of ``blocks=N``, which may be beside it."""
    resumed, *others = sorted(arguments, key=lambda argument: not argument.startswith(RESUME))
    if not others:
        return resumed, None
    number = others[0].removeprefix(BLOCKS)
    if len(others) > 1 or number == others[0] or not number.isdecimal():
        raise ConfigError(
            f"'{' '.join(arguments)}': give {RESUME}FOLDER and nothing else, or, to add blocks to a finished"
            f" sweep, their number in all, such as {BLOCKS}8; the rest is in the folder."
        )
    return resumed, int(number)
