"""The resolved config. Only complete configs arrive here: the command line checks values and fills in every default.

The model is generated from config.schema.json; keys are documented in src/config/schema.ts. A key that one side knows
and the other doesn't is an error at start, not a silent difference.
"""

from typing import Any

from pydantic import ValidationError

from rrr_workers.config_model import Config, Data
from rrr_workers.config_model import Task as TaskSection
from rrr_workers.errors import UserError

__all__ = ["Config", "Data", "TaskSection", "parse_config"]


def parse_config(resolved: dict[str, Any]) -> Config:
    """Resolved JSON -> :class:`Config`. Raises :class:`UserError` that names every key that doesn't fit."""
    try:
        return Config.model_validate(resolved)
    except ValidationError as error:
        lines = [f"{'.'.join(map(str, issue['loc']))}: {issue['msg']}" for issue in error.errors()]
        raise UserError(
            "the resolved config does not fit these workers:\n  " + "\n  ".join(lines),
            cure="run the same version of rrr and of its workers: rrr setup",
        ) from None
