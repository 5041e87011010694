"""What a task makes of its rows: prompts, and verdicts on answers that must pass and must fail.

Reference answers come from the task's ``reference_answer``, corrupted ones from its ``corruptions``; every task also
gets an empty answer, which must fail, and the reference answer of another row, which shows whether the verifier looks
at the row at all. Whatever the task's code raises is found here as a problem that names the line. No model is loaded:
``format: auto`` of function calling is judged as "json".
"""

import json
import traceback
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any, Literal, TypeVar

from rrr_workers.config import Config
from rrr_workers.data.model_check import files_at_hand
from rrr_workers.data.sources import read_rows
from rrr_workers.engines.model_folder import control_tokens
from rrr_workers.episode import next_prompt
from rrr_workers.errors import RrrError, UserError
from rrr_workers.tasks.base import BadRow, Message, Query, UnjudgedTask, Verifier, check_plain_json
from rrr_workers.tasks.loaded import ID_CURE, LoadedTask, TaskError, check_verdict, raised
from rrr_workers.tasks.registry import warnings_of
from rrr_workers.text import clip

T = TypeVar("T")
Source = Literal["reference", "empty", "other row", "corrupted"]


class Problem(Exception):
    """Something that is wrong with the task."""

    def __init__(self, message: str, cure: str):
        super().__init__(message)
        self.cure = cure


@dataclass
class Check:
    """One judged answer. ``expected`` is "passed", "failed" (of any kind), a kind, or "any"."""

    source: Source
    answer: str
    expected: str
    kind: str = "raised"
    detail: str = ""
    ok: bool = False


def check_task(config: Config, loaded: LoadedTask, count: int) -> dict[str, Any]:
    """``{task, rows: [{place, id, prompt, checks}], bad_rows, problems: [{place, message, cure}], notes}``.

    It is ``taskCheckResult`` of src/protocol/methods.ts, for the first ``count`` usable rows. The task holds when there
    are no ``problems``.
    """
    queries, bad_rows, problems = _read_queries(config, loaded, count)
    usable = list(queries.values())
    rows: list[dict[str, Any]] = []
    checks: list[Check] = []
    for (where, query), neighbour in zip(queries.items(), usable[1:] + usable[:1], strict=True):
        prompt, row_checks, found = _check_row(loaded, query, neighbour)
        problems += [_entry(where, problem) for problem in found]
        checks += row_checks
        rows.append({"place": where, "id": query.id, "prompt": prompt, "checks": [asdict(c) for c in row_checks]})
    notes = [*warnings_of(loaded.task), *_control_tokens(config, queries), *_notes(checks)]
    return {"task": loaded.task.name, "rows": rows, "bad_rows": bad_rows, "problems": problems, "notes": notes}


def _entry(where: str, problem: Problem) -> dict[str, str]:
    return {"place": where, "message": str(problem), "cure": problem.cure}


def _read_queries(
    config: Config, loaded: LoadedTask, count: int
) -> tuple[dict[str, Query], list[str], list[dict[str, str]]]:
    """The first ``count`` queries by where their row is, the rows that the task refused on the way, and problems."""
    queries: dict[str, Query] = {}
    problems: list[dict[str, str]] = []
    bad_rows: list[str] = []
    for seen, (where, row) in enumerate(read_rows(config, loaded), start=1):
        try:
            if isinstance(row, BadRow):
                raise row
            queries[where] = _normalise(loaded.task, row, queries)
        except BadRow as error:
            bad_rows.append(f"{where}: {error}")
            if config.data.on_bad_row == "fail":
                problems.append(_entry(where, Problem(str(error), "fix the row, or set data.on_bad_row: skip")))
        except Problem as problem:
            problems.append(_entry(where, problem))
        if len(queries) == count or seen - len(queries) == count:
            break
    if not queries and not problems:
        raise UserError("no row is usable:\n  " + "\n  ".join(bad_rows or ["there are no rows"]), cure="fix the data")
    return queries, bad_rows, problems


def _check_row(loaded: LoadedTask, query: Query, neighbour: Query) -> tuple[list[Message], list[Check], list[Problem]]:
    """The first prompt, every verdict, and what is wrong."""
    prompt: list[Message] = []
    checks: list[Check] = []
    problems: list[Problem] = []
    try:
        prompt = _run("the prompt, from the templates and prompt_fields,", partial(_prompt, loaded, query))
        for check in _answers(loaded, query, neighbour):
            checks.append(check)
            try:
                _judge(loaded.verifier, query, check)
            except Problem as problem:
                problems.append(problem)
    except Problem as problem:
        problems.append(problem)
    return prompt, checks, problems


def _normalise(task: UnjudgedTask, row: Mapping[str, Any], earlier: Mapping[str, Query]) -> Query:
    query: Any = _run("normalise", partial(task.normalise, row), (BadRow, RrrError))
    if not isinstance(query, Query):
        raise Problem(f"normalise gave {query!r}", "return a Query")
    if not isinstance(query.id, str):
        raise Problem(f"normalise gave the id {query.id!r}, which is no text", ID_CURE)
    if not (isinstance(query.fields, dict) and _survives_json(query.fields) and _survives_json(query.split_key)):
        cure = "use texts, numbers, True, False, None, lists (no tuples) and dicts with texts as keys"
        raise Problem(f"the query isn't plain JSON: fields {query.fields!r}, split_key {query.split_key!r}", cure)
    for where, other in earlier.items():
        if other.id == query.id and other.fields != query.fields:
            raise Problem(f"it has the id of {where} and other fields: a run would drop it", ID_CURE)
    return query


def _survives_json(value: Any) -> bool:
    try:
        check_plain_json(value)
    except BadRow:
        return False
    return bool(json.loads(json.dumps(value)) == value)


def _prompt(loaded: LoadedTask, query: Query) -> list[Message]:
    """The first prompt; the later ones are only tried."""
    next_prompt(loaded, query, ("", ""))
    return next_prompt(loaded, query)


def _answers(loaded: LoadedTask, query: Query, neighbour: Query) -> Iterator[Check]:
    task = loaded.task
    reference: Any = _run("reference_answer", partial(task.reference_answer, query))
    other = _run("reference_answer", partial(task.reference_answer, neighbour))
    if not isinstance(reference, str | None):
        raise Problem(f"reference_answer gave {reference!r}", "return a text, or None where there is no answer")
    if reference is not None:
        yield Check("reference", reference, "passed")
    yield Check("empty", "", "failed")
    if isinstance(other, str) and other != reference:
        yield Check("other row", other, "any")
    for answer, kind in _run("corruptions", partial(_corruptions, task, query)):
        # The kinds of corruptions are the task's own: another verifier may have others.
        yield Check("corrupted", answer, "failed" if loaded.verifier.error_kinds is None else kind)


def _corruptions(task: UnjudgedTask, query: Query) -> list[tuple[str, str]]:
    return [(str(answer), str(kind)) for answer, kind in task.corruptions(query)]


def _judge(verifier: Verifier, query: Query, check: Check) -> None:
    """Fill in the verdict. Raises :class:`Problem` where it is wrong."""
    shown = clip(json.dumps(check.answer, ensure_ascii=False), 80)
    verdict: Any = _run(f"judge of {shown}", partial(verifier.judge, query, check.answer, "stop"))
    try:
        check_verdict(verdict, f"for {shown}")
    except TaskError as error:
        raise Problem(str(error), error.cure or "") from error
    check.kind, check.detail = verdict.kind, verdict.detail
    detail = f" ({verdict.detail})" if verdict.detail else ""
    if not verdict.passed and verifier.error_kinds is not None and verdict.kind not in verifier.error_kinds:
        raise Problem(
            f"judge gave the kind {verdict.kind!r}, which is not among error_kinds, for {shown}",
            "add it to error_kinds, or correct judge",
        )
    if check.expected == "passed" and not verdict.passed:
        cure = "correct the verifier, or the reference answer, which must pass"
        raise Problem(f"the reference answer {shown} was judged {verdict.kind}{detail}", cure)
    if check.expected not in ("passed", "any") and verdict.passed:
        raise Problem(f"the {check.source} answer {shown} passed{detail}", "make the verifier reject it")
    if check.expected not in ("passed", "any", "failed", verdict.kind):
        raise Problem(
            f"the corrupted answer {shown} was judged {verdict.kind}{detail}, not {check.expected}",
            "correct the verifier, or the kind that corruptions gives",
        )
    check.ok = True


def _control_tokens(config: Config, queries: Mapping[str, Query]) -> Iterator[str]:
    tokens = control_tokens(files_at_hand(config, "tokenizer.json", "tokenizer_config.json"))
    for token in tokens:
        places = [where for where, query in queries.items() if _holds(query.fields, token)]
        if places:
            yield (
                f"{places[0]} holds {token}, a control token of the model{_others(len(places) - 1)}: in a prompt it "
                "would end a turn, or begin one; remove it from the row"
            )


def _others(count: int) -> str:
    return f", and so do {count} others of these rows" if count else ""


def _holds(value: Any, text: str) -> bool:
    if isinstance(value, str):
        return text in value
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return any(_holds(part, text) for part in parts)


def _notes(checks: list[Check]) -> Iterator[str]:
    """What was not tried, and what looks odd without being wrong for sure."""
    sources = {check.source for check in checks}
    if "reference" not in sources:
        yield "no reference answer was tried: give the task a reference_answer (task custom: task.options.reference)"
    if "corrupted" not in sources:
        yield "no corrupted answer was tried, only an empty one: a task class may give corruptions"
    others = [check for check in checks if check.source == "other row"]
    if others and all(check.kind == "passed" for check in others):
        yield "the reference answer of another row passes on every row: does the verifier look at the row?"


def _run(what: str, code: Callable[[], T], allowed: tuple[type[Exception], ...] = (RrrError,)) -> T:
    """What ``code`` of the task gives; what it raises is a :class:`Problem`, unless it is ``allowed``."""
    cure = "correct it; what each method owes is in rrr_workers/tasks/base.py"
    try:
        return code()
    except TaskError as error:
        raise Problem(str(error), cure) from error
    except allowed:
        raise
    except (Exception, SystemExit) as error:  # whatever a task's code raises is what this check is there to show
        raise Problem(raised(what, error, traceback.extract_tb(error.__traceback__)), cure) from error
