"""An application that cannot be used is refused before anything starts, by the Python that would run it."""

import os
from pathlib import Path

import pytest

from tests.support.runs import below
from vbench.config.schema import Config
from vbench.errors import InputError
from vbench.run.app_preflight import check_applications
from vbench.run.compose import compose_configs

MODULE = """
import os
from ray import serve

@serve.deployment(ray_actor_options={"resources": {"nowhere": 1}})
class Placed:
    pass

app = serve.deployment(Placed.func_or_class).bind()
placed = Placed.bind()
def dies(args): os._exit(3)
def right(request, response): return True
"""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "its_app.py").write_text(MODULE)
    return tmp_path


def configs(folder: Path, names: str, *more: str) -> list[Config]:
    asked = ["workload=app", f"app.import_path={names}", f"app.working_dir={folder}", *more]
    return compose_configs(asked, multirun=True)


@pytest.mark.parametrize(
    ("names", "more", "said"),
    [
        ("its_app:app,its_app:placed", [], "its_app:placed: a replica of Placed needs the resource nowhere"),
        ("its_app:app", ["app.check=its_app:wrong"], "app.check=its_app:wrong: its_app has no 'wrong'"),
        ("its_app:dies", [], "Python ended with status 3 while it was imported"),
        ("its_app:app", ["cluster.deploy_timeout_s=0.1"], "was not imported within cluster.deploy_timeout_s"),
    ],
)
def test_what_cannot_be_used_is_refused(folder: Path, names: str, more: list[str], said: str) -> None:
    before = set(below(os.getpid()))
    with pytest.raises(InputError, match="app\\.") as refused:
        check_applications(configs(folder, names, *more))
    assert said in str(refused.value)
    assert set(below(os.getpid())) <= before


def test_others_are_not_imported(folder: Path) -> None:
    attached = configs(folder, "its_app:dies", "cluster=attached", "cluster.address=http://127.0.0.1:8265")
    check_applications([*attached, *compose_configs(["load=closed"], multirun=False)])
