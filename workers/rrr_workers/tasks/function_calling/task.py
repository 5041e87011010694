"""Function calling: answer a request with calls of the offered tools; every reference call exactly once, no other.

Rows have the columns of Salesforce/xlam-function-calling-60k: ``query``, ``tools`` and ``answers`` (JSON text, or the
lists themselves), and for ``match: accepted`` and ``match: bfcl`` the column ``accepted``: ``[{tool: {parameter:
[accepted values]}}]``. How calls are written is in :mod:`tool_calls`; when two calls are the same, in :mod:`match`. All
rules with examples: ../RULES.md.
"""

import json
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, field_validator

from rrr_workers.errors import UserError
from rrr_workers.hashing import content_hash
from rrr_workers.tasks import prompts
from rrr_workers.tasks.base import BadRow, FinishReason, Query, Task, Verdict
from rrr_workers.tasks.function_calling.bfcl import parameters_of_calls
from rrr_workers.tasks.function_calling.corruptions import corruptions
from rrr_workers.tasks.function_calling.match import Reference
from rrr_workers.tasks.function_calling.rows import calls_text, json_text, read_accepted, read_calls, read_tools, shown
from rrr_workers.tasks.function_calling.template_format import TemplateFormat, detect_format, shows_tools
from rrr_workers.tasks.function_calling.tool_calls import FORMATS, Call, CallFormat, NotParsable
from rrr_workers.tasks.function_calling.tool_schema import declared_types, to_openai, tool_statistics
from rrr_workers.tasks.function_calling.tool_world import ToolWorldOptions, generate_requests
from rrr_workers.tasks.reasoning import answer_part

_REFERENCES = 8192


class FunctionCallingOptions(BaseModel):
    """``task.options`` of this task."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    #: How calls are written: "auto" (told from the chat template), a name of tool_calls.FORMATS or of vLLM's parsers.
    format: str = "auto"
    match: Literal["exact", "accepted", "bfcl"] = "exact"
    #: A row whose answers name a tool that isn't offered is a bad row. False keeps it.
    offered_only: bool = True
    generator: ToolWorldOptions = ToolWorldOptions()

    @field_validator("format")
    @classmethod
    def _known(cls, name: str) -> str:
        if name == "auto" or name in FORMATS:
            return name
        from rrr_workers.tasks.function_calling.vllm_parsers import vllm_parser_names

        others = vllm_parser_names()
        if name.removeprefix("vllm:") not in others:
            known = ", ".join(["auto", *FORMATS, *(o for o in others if o not in FORMATS)])
            raise ValueError(
                f"must be one of: {known}" + ("" if others else "; those of vLLM only where vLLM is installed")
            )
        return name


class FunctionCalling(Task):
    """The task of the paper's section 4.1. Until :meth:`use_tokenizer`, ``format: auto`` stands for "json"."""

    name = "function_calling"
    error_kinds = (
        "no_call",
        "not_parsable",
        "unknown_tool",
        "wrong_tool",
        "missing_argument",
        "extra_argument",
        "wrong_argument",
        "wrong_number_of_calls",
        "truncated",
    )
    default_prompts = prompts.FUNCTION_CALLING
    placeholders: ClassVar[tuple[str, ...]] = ("query", "tools", "instruction", "preamble")

    def __init__(self, options: Mapping[str, Any] | None = None, prompts: Mapping[str, str | None] | None = None):
        super().__init__(options, prompts)
        self.settings = FunctionCallingOptions.model_validate(self.options)
        self._columns = _COLUMNS[self.settings.match]
        #: Whether the tools reach the model beside the question, and not in it.
        self._tools_beside = False
        self._said_by_hand = TemplateFormat(self.settings.format, "task.options.format says so")
        unknown = TemplateFormat("json", "the model's chat template is not at hand, and task.options.format is auto")
        self._set_format(unknown if self.settings.format == "auto" else self._said_by_hand, None)

    def use_tokenizer(self, tokenizer: Any) -> None:
        template = tokenizer.chat_template
        if isinstance(template, dict):  # several templates: the one that is used with tools
            template = template.get("tool_use") or template.get("default")
        found = detect_format(template) if self.settings.format == "auto" else self._said_by_hand
        self._set_format(found, tokenizer)
        # A template that knows tools also asks for calls in its family's format.
        self._tools_beside = found.name != "json" and shows_tools(template)

    def use_endpoint_tools(self) -> None:
        self._set_format(TemplateFormat("json", "the endpoint parses the calls"), None)
        self._tools_beside = True

    def run_notes(self) -> list[str]:
        return [f"calls are read as {self._found.name}: {self._found.why}"]

    def _set_format(self, found: TemplateFormat, tokenizer: Any) -> None:
        self._found = found
        self.format_name = name = found.name
        self._format = FORMATS.get(name)
        self._vllm_format = None
        if tokenizer is None:
            return
        if self._format is None:
            from rrr_workers.tasks.function_calling.vllm_parsers import VllmFormat

            try:
                self._vllm_format = VllmFormat(name.removeprefix("vllm:"), tokenizer)
            except RuntimeError as error:
                cure = "the parser is of another family than the model: choose another task.options.format"
                raise UserError(f"task.options.format {name}: {error}", cure=cure) from error
            self.skip_special_tokens = not self._vllm_format.needs_special_tokens
        else:
            self.skip_special_tokens = not set(self._format.markers) & set(tokenizer.all_special_tokens)

    def normalise(self, raw: Mapping[str, Any]) -> Query:
        query = raw.get("query")
        if not isinstance(query, str) or not query.strip():
            raise BadRow(f"query must be a text, got {shown(query)}")
        tools = read_tools(raw.get("tools"))
        answers = calls_text(raw, "answers")
        calls = read_calls(answers)
        offered = {tool["name"] for tool in tools}
        if self.settings.offered_only and (strange := [call.name for call in calls if call.name not in offered]):
            raise BadRow(f"answers name a tool that isn't offered: {shown(strange[0])}")
        fields: dict[str, Any] = {"query": query, "tools": tools, "answers": answers}
        if self.settings.match != "exact":
            fields["accepted"] = json_text(raw, "accepted")
            accepted = read_accepted(fields["accepted"])
            verdict = Reference.accepted(accepted).judge(calls, lambda: offered)
            if not verdict.passed:
                raise BadRow(f"accepted doesn't accept the answers: {verdict.kind} {verdict.detail}")
            if self.settings.match == "bfcl":
                called = {name for name, _ in accepted}
                fields["types"] = json.dumps({t["name"]: declared_types(t) for t in tools if t["name"] in called})
        return Query(
            id=content_hash([self.name, fields])[:16],
            fields=fields,
            # The same request of the same tools, whatever the case, spaces and order, may not cross the split.
            split_key=[normalised_text(query), sorted(content_hash(tool) for tool in tools)],
        )

    def prompt_fields(self, query: Query) -> dict[str, Any]:
        tools = "\n".join(json.dumps(tool, ensure_ascii=False) for tool in query.fields["tools"])
        instruction = self._format.instruction if self._format else ""
        preamble = "" if self._tools_beside else prompts.TOOLS_PREAMBLE.format(tools=tools, instruction=instruction)
        return {"query": query.fields["query"], "tools": tools, "instruction": instruction, "preamble": preamble}

    def tools(self, query: Query) -> list[dict[str, Any]] | None:
        return [to_openai(tool) for tool in query.fields["tools"]] if self._tools_beside else None

    def judge(self, query: Query, completion: str, finish_reason: FinishReason) -> Verdict:
        fields = query.fields
        answer, _ = answer_part(completion, opened=self.reasoning_opened)
        try:
            calls = self._parse(answer, fields)
        except NotParsable as error:
            return _TRUNCATED if finish_reason == "length" else Verdict(False, "not_parsable", str(error))
        reference = self._reference_of(query)
        verdict = reference.judge(calls, lambda: {tool["name"] for tool in fields["tools"]})
        if finish_reason == "length" and not verdict.passed and len(calls) < len(reference.calls):
            return _TRUNCATED
        return verdict

    def _reference_of(self, query: Query) -> Reference:
        return _reference(query.fields["answers"], *map(query.fields.get, self._columns))

    def _parse(self, answer: str, fields: Mapping[str, Any]) -> list[Call]:
        if self._format is not None:
            return self._format.parse(answer)
        if self._vllm_format is None:
            raise UserError(
                f"task.options.format {self.format_name} needs the model's tokenizer, which is not at hand here",
                cure=f"use engine.name: vllm, or one of the formats {', '.join(FORMATS)}",
            )
        return self._vllm_format.parse(answer, [to_openai(tool) for tool in fields["tools"]])

    def reference_answer(self, query: Query) -> str | None:
        if self._format is None or not self._has_reference(query, self._format):
            return None
        return self._format.render(json.loads(query.fields["answers"]))

    def corruptions(self, query: Query) -> Iterator[tuple[str, str]]:
        if self._format is not None and self._has_reference(query, self._format):
            yield from corruptions(query.fields, self._format)

    def _has_reference(self, query: Query, call_format: CallFormat) -> bool:
        """False where the row's answers can't be written in the format, or leave out what BFCL requires."""
        answers = query.fields["answers"]
        try:
            call_format.parse(call_format.render(json.loads(answers)))
        except NotParsable:
            return False
        return self.settings.match != "bfcl" or self._reference_of(query).judge(read_calls(answers), tuple).passed

    def text(self, query: Query) -> str:
        return str(query.fields["query"])

    def statistics(self, queries: Sequence[Query]) -> dict[str, Any]:
        return tool_statistics(queries)

    def generate(self, rows: int, seed: int) -> Iterator[dict[str, Any]]:
        return generate_requests(self.settings.generator, rows, seed)


# What says which calls are right, beside the answers.
_COLUMNS: dict[str, tuple[str, ...]] = {"exact": (), "accepted": ("accepted",), "bfcl": ("accepted", "types")}
_TRUNCATED = Verdict(False, "truncated", "cut at the token limit")


def normalised_text(text: str) -> str:
    """``text`` without differences of case, width and spacing."""
    return " ".join(unicodedata.normalize("NFKC", text).casefold().split())


@lru_cache(maxsize=_REFERENCES)
def _reference(answers: str, accepted: str | None = None, types: str | None = None) -> Reference:
    """What a normalised row asks for; most verdicts are on a row judged shortly before."""
    if accepted is None:
        return Reference.exact(read_calls(answers))
    if types is None:
        return Reference.accepted(read_accepted(accepted))
    return Reference.bfcl(parameters_of_calls(read_accepted(accepted), json.loads(types)))
