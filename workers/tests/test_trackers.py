"""What is said of a tracker that can't be used, and that it is said in time; which packages and logins will do."""

import subprocess
import sys
import traceback
from importlib.machinery import ModuleSpec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from rrr_workers.errors import UserError
from rrr_workers.runtime.frames import error_info
from rrr_workers.training import trackers
from rrr_workers.training.trackers import check_trackers

PYTHON = sys.executable
NO_LOGIN = "train.report_to: wandb has no login on this machine"
KEY = "0123456789abcdef" * 3


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The packages that are found; a test adds some."""
    found: list[str] = []

    def find(name: str) -> ModuleSpec | None:
        return ModuleSpec(name, None, origin=f"/{name}/__init__.py") if name in found else None

    monkeypatch.setattr(trackers, "find_spec", find)
    return found


def use_wandb(monkeypatch: pytest.MonkeyPatch, **parts: Any) -> None:
    """A wandb with these parts, and no others; without ``setup``, its mode is "online"."""
    setup = {"setup": lambda: SimpleNamespace(settings=SimpleNamespace(mode="online"))}
    monkeypatch.setitem(sys.modules, "wandb", SimpleNamespace(**{**setup, **parts}))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("names", "there", "lacks", "packages"),
    [
        (["tensorboard"], [], "tensorboard", "tensorboard"),
        (["wandb"], [], "wandb", "wandb"),
        (["trackio"], [], "trackio", "trackio"),
        (["trackio"], ["tensorboard", "wandb"], "trackio", "trackio"),
        (["tensorboard", "wandb", "trackio"], ["trackio"], "tensorboard, wandb", "tensorboard wandb"),
        (["wandb", "trackio"], ["wandb"], "trackio", "trackio"),  # before a login is looked for
    ],
)
def test_what_is_not_installed(
    installed: list[str], names: list[str], there: list[str], lacks: str, packages: str
) -> None:
    installed += there
    with pytest.raises(UserError) as caught:
        check_trackers(names)
    assert str(caught.value) == f"train.report_to: the workers' Python lacks {lacks}"
    assert caught.value.cure == f"{PYTHON} -m pip install {packages}"


def test_what_is_installed(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "wandb", None)  # importing it would fail
    check_trackers([])
    installed += ["tensorboard", "trackio"]
    check_trackers(["tensorboard", "trackio"])
    installed[:] = ["tensorboardX"]
    check_trackers(["tensorboard"])


def test_what_the_tests_train_with_is_installed() -> None:
    check_trackers(["tensorboard"])


def test_a_folder_of_the_name_is_no_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setitem(trackers._PACKAGES, "trackio", ("rrr_no_tracker",))
    (tmp_path / "rrr_no_tracker").mkdir()
    with pytest.raises(UserError, match="lacks trackio"):
        check_trackers(["trackio"])
    (tmp_path / "rrr_no_tracker" / "__init__.py").touch()
    check_trackers(["trackio"])


@pytest.mark.parametrize("mode", ["offline", "dryrun", "disabled"])
def test_wandb_needs_no_login_where_it_sends_nothing(
    installed: list[str], monkeypatch: pytest.MonkeyPatch, mode: str
) -> None:
    installed.append("wandb")
    use_wandb(monkeypatch, setup=lambda: SimpleNamespace(settings=SimpleNamespace(mode=mode)))  # it has no login
    check_trackers(["wandb"])


def test_the_login_of_wandb(installed: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Neither a person nor the server may be asked, in none of its versions."""
    installed.append("wandb")

    def login(*, prompt: bool = True, verify: bool = True) -> bool:
        assert (prompt, verify) == (False, False)
        return found

    def old_login() -> bool:
        raise AssertionError("it would ask")

    for found in (True, False):
        key = KEY if found else None
        for parts in ({"login": login}, {"login": old_login, "api": SimpleNamespace(api_key=key)}):
            use_wandb(monkeypatch, **parts)
            if found:
                check_trackers(["wandb"])
                continue
            with pytest.raises(UserError) as caught:
                check_trackers(["wandb"])
            assert str(caught.value) == NO_LOGIN
            assert caught.value.cure == (
                f"{PYTHON} -m wandb login; or set WANDB_API_KEY; or WANDB_MODE=offline, which sends nothing"
            )


def test_what_wandb_raises_is_told_without_its_words(
    installed: list[str], monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    installed.append("wandb")

    def login(*, prompt: bool, verify: bool) -> bool:
        raise PermissionError(f"the key {KEY} is refused")

    use_wandb(monkeypatch, login=login)
    with pytest.raises(UserError) as caught:
        check_trackers(["wandb"])
    told = error_info(caught.value)
    assert (told["type"], told["message"]) == ("user", "train.report_to: wandb can't be used: PermissionError")
    assert told["cure"] == f"see what it says: {PYTHON} -m wandb login"
    assert KEY not in f"{told} {capfd.readouterr()}"
    assert KEY not in "".join(traceback.format_exception(caught.value))


def test_trackers_are_checked_without_importing_what_loads_models() -> None:
    script = (
        "import sys; from rrr_workers.training.trackers import check_trackers; check_trackers([])\n"
        "print([name for name in ('torch', 'transformers', 'trl', 'vllm') if name in sys.modules])"
    )
    ran = subprocess.run([PYTHON, "-c", script], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout.strip() == "[]"
