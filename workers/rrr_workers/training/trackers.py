"""Trackers that training reports to (``train.report_to``): what they lack is told before a model is loaded."""

import os
import shlex
import sys
from collections.abc import Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path

from rrr_workers.errors import UserError
from rrr_workers.hashing import content_hash

#: Any of these packages will do; the first of them is the one to install.
_PACKAGES = {"tensorboard": ("tensorboard", "tensorboardX"), "wandb": ("wandb",), "trackio": ("trackio",)}
_WITHOUT_LOGIN = ("offline", "dryrun", "disabled")  # values of WANDB_MODE


def check_trackers(names: Sequence[str]) -> None:
    """Raise :class:`UserError` where a tracker of ``names`` isn't installed, or where wandb has no login.

    Whether a login still holds is for its server to say, which is not asked.
    """
    missing = [name for name in names if not any(map(_is_installed, _PACKAGES[name]))]
    if missing:
        raise UserError(
            f"train.report_to: the workers' Python lacks {', '.join(missing)}",
            cure=_python("-m", "pip", "install", *(_PACKAGES[name][0] for name in missing)),
        )
    if "wandb" in names and not _has_wandb_login():
        raise UserError(
            "train.report_to: wandb has no login on this machine",
            cure=f"{_python('-m', 'wandb', 'login')}; or set WANDB_API_KEY; or WANDB_MODE=offline, which sends nothing",
        )


def prepare_trackers(output: Path) -> None:
    """Where trackers write and what they are told, by environment variables; what the user has set is kept.

    ``output``: the training's folder in the run directory, which gives a run its name. A resumed run goes on as the
    same one. Without WANDB_CONSOLE wandb would send the worker's output, prompts included.
    """
    os.environ["TENSORBOARD_LOGGING_DIR"] = str(output / "tensorboard")
    for name, value in {
        "WANDB_PROJECT": "rrr",
        "WANDB_DIR": str(output),
        "WANDB_CONSOLE": "off",
        "WANDB_RUN_ID": f"{output.parent.name}-{content_hash(str(output))[:8]}",
        "WANDB_RESUME": "allow",
    }.items():
        os.environ.setdefault(name, value)


def _is_installed(package: str) -> bool:
    """Not where there is only a folder of that name, such as the one that wandb writes beside the program."""
    spec = find_spec(package)
    return spec is not None and spec.origin is not None


def _has_wandb_login() -> bool:
    """Also where it needs none. What wandb raises is kept out of messages and logs: a key may stand in it."""
    try:
        wandb = import_module("wandb")
        if wandb.setup().settings.mode in _WITHOUT_LOGIN:
            return True
        if "prompt" in signature(wandb.login).parameters:
            return bool(wandb.login(prompt=False, verify=False))
        return bool(wandb.api.api_key)  # of earlier versions
    except Exception as error:  # noqa: BLE001 - whatever it is, training could not report
        raise UserError(
            f"train.report_to: wandb can't be used: {type(error).__name__}",
            cure=f"see what it says: {_python('-m', 'wandb', 'login')}",
        ) from None


def _python(*words: str) -> str:
    """The command line for the Python that runs the workers: packages are installed into its environment."""
    return shlex.join([sys.executable, *words])
