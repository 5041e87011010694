"""A task made of configuration alone: any rows, prompts from ``task.prompts``, verdicts from ``task.verifier``.

task:
  name: custom
  options: {fields: [question, answer]}
  prompts: {question: "{question}"}
  verifier: {command: [node, ./verify.mjs]}
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, Field, model_validator

from rrr_workers.hashing import content_hash
from rrr_workers.tasks import prompts
from rrr_workers.tasks.base import BadRow, Query, UnjudgedTask, check_plain_json


class CustomOptions(BaseModel):
    """``task.options`` of this task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: The columns that prompts and verifier need; each is a placeholder.
    fields: list[str] = Field(min_length=1)
    #: Rows that agree in these fields stay on one side of the train/test split. Default: all fields.
    split_by: list[str] | None = None
    #: The field that holds an answer which must pass, for ``rrr task check``.
    reference: str | None = None

    @model_validator(mode="after")
    def _known_fields(self) -> "CustomOptions":
        if unknown := {*(self.split_by or ()), self.reference or self.fields[0]} - set(self.fields):
            raise ValueError(f"not among fields: {', '.join(sorted(unknown))}")
        return self


class Custom(UnjudgedTask):
    """Has no verifier of its own: ``task.verifier`` judges."""

    name = "custom"
    default_prompts = prompts.CUSTOM
    placeholders: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        super().__init__(options, prompts)
        self.settings = CustomOptions.model_validate(self.options)
        self.placeholders = tuple(self.settings.fields)  # type: ignore[misc]  # each instance has its own

    def normalise(self, raw: Mapping[str, Any]) -> Query:
        fields = {}
        for field in self.settings.fields:
            if raw.get(field) is None:
                raise BadRow(f"{field} is missing")
            fields[field] = raw[field]
        check_plain_json(fields)
        split_by = self.settings.split_by or self.settings.fields
        return Query(content_hash([self.name, fields])[:16], fields, [fields.get(field) for field in split_by])

    def reference_answer(self, query: Query) -> str | None:
        return None if self.settings.reference is None else str(query.fields[self.settings.reference])
