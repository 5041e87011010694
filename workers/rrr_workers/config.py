"""The resolved config. Only complete configs arrive here: the command line checks values and fills in every default.

The model is generated from config.schema.json; keys are documented in src/config/schema.ts. A key that one side knows
and the other doesn't is an error at start, not a silent difference.
"""

from typing import Any, Literal

from pydantic import ValidationError

from rrr_workers.config_model import Config, Data
from rrr_workers.config_model import Task as TaskSection
from rrr_workers.errors import UserError

__all__ = ["Config", "Data", "TaskSection", "hub_commit", "hub_key", "parse_config"]


Kind = Literal["model", "dataset"]


def parse_config(resolved: dict[str, Any]) -> Config:
    """Resolved JSON -> :class:`Config`. Raises :class:`UserError` that names every key that doesn't fit."""
    try:
        return _at_commits(Config.model_validate(resolved))
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in error.errors()]
        raise UserError(
            "the resolved config does not fit these workers:\n  " + "\n  ".join(lines),
            cure="run the same version of rrr and of its workers: rrr setup",
        ) from None


def _at_commits(config: Config) -> Config:
    """With the commits that the run has chosen in the place of branches and tags."""
    model, data = config.model, config.data
    commit = hub_commit(config, "model", model.name, model.revision)
    of_data = hub_commit(config, "dataset", data.dataset, data.revision) if data.dataset else None
    return config.model_copy(
        update={
            "model": model.model_copy(update={"revision": commit or model.revision}),
            "data": data.model_copy(update={"revision": of_data or data.revision}),
        }
    )


def hub_commit(config: Config, kind: Kind, name: str, revision: str | None = None) -> str | None:
    """The commit that the run has chosen; None where it has chosen none."""
    return (config.hub_commits or {}).get(hub_key(kind, name, revision))


def hub_key(kind: Kind, name: str, revision: str | None) -> str:
    """As the hub writes it: ``owner/name@main``, ``datasets/owner/name@main``."""
    return f"{'datasets/' if kind == 'dataset' else ''}{name}@{revision or 'main'}"
