"""From ``task`` in the config to a :class:`LoadedTask`; all mistakes in its templates are reported at once."""

import re
from dataclasses import asdict
from pkgutil import resolve_name
from string import Formatter

from pydantic import ValidationError

from rrr_workers.config import TaskSection
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Task, UnjudgedTask
from rrr_workers.tasks.command_verifier import CommandVerifier, check_command
from rrr_workers.tasks.loaded import LoadedTask, user_code
from rrr_workers.tasks.plugins import find_class

_BUILT_IN = {
    "countdown": "rrr_workers.tasks.countdown.task:Countdown",
    "function_calling": "rrr_workers.tasks.function_calling.task:FunctionCalling",
    "custom": "rrr_workers.tasks.custom:Custom",
}


def load_task(section: TaskSection) -> LoadedTask:
    """The task that ``section`` names. Raises :class:`UserError` for unknown names, options and placeholders."""
    task = _make_task(section)
    problems = [
        f"task.prompts.{key}: {problem}"
        for key, template in templates(task).items()
        for problem in _template_problems(template, task.placeholders)
    ]
    if problems:
        known = ", ".join(f"{{{name}}}" for name in task.placeholders)
        raise UserError("\n".join(problems), cure=f"placeholders are {known}; write {{{{ and }}}} for braces")
    if section.verifier:
        verifier = section.verifier
        check_command(verifier.command)
        return LoadedTask(task, CommandVerifier(verifier.command, verifier.timeout_s, verifier.processes))
    if isinstance(task, Task):
        return LoadedTask(task, task)
    cure = f"task {section.name} needs task.verifier: {{command: [program, ...]}}"
    raise UserError("task.verifier is missing", cure=cure)


def templates(task: UnjudgedTask) -> dict[str, str | None]:
    """The templates in force, by name; ``system`` is None where there is none."""
    return asdict(task.prompts)


def warnings_of(task: UnjudgedTask) -> list[str]:
    """What looks wrong in the task's own templates; src/config/rules.ts looks at those of the config."""
    question = task.prompts.question
    if question != task.default_prompts.question or any(name for _, name, _, _ in Formatter().parse(question)):
        return []
    return [f"the question of task {task.name} holds no placeholder: every query gets the same prompt"]


def _make_task(section: TaskSection) -> UnjudgedTask:
    task_class = _class_of(section.name)
    try:
        with user_code(task_class, "__init__", passes=(ValidationError,)):
            return task_class(section.options, section.prompts.model_dump())
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, ('task.options', *issue['loc'])))}: {issue['msg']}, got {issue['input']!r}"
            for issue in error.errors()
        ]
        raise UserError("\n".join(lines), cure=f"fix task.options of task {section.name!r}") from None


def _class_of(name: str) -> type[UnjudgedTask]:
    if ":" in name:
        return find_class(name)
    if name not in _BUILT_IN:
        known = ", ".join(sorted(_BUILT_IN))
        raise UserError(
            f"task.name: unknown task {name!r}",
            cure=f"known tasks: {known}; your own: path/to/file.py:Class or package.module:Class",
        )
    found: type[UnjudgedTask] = resolve_name(_BUILT_IN[name])
    return found


def _template_problems(template: str | None, placeholders: tuple[str, ...]) -> list[str]:
    if template is None:
        return []
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return [f"{error} in {template!r}"]
    names = [name for _, name, *_ in parts if name is not None]
    if odd := [name for name in names if name in placeholders and _is_odd(name)]:
        return [_rename(name) for name in odd]
    return [
        f"unknown placeholder {{{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
        for _, name, spec, conversion in parts
        if name is not None and (name not in placeholders or spec or conversion)
    ]


def _is_odd(name: str) -> bool:
    """Whether ``str.format`` takes the name apart."""
    return name.isdigit() or "." in name or "[" in name


def _rename(name: str) -> str:
    other = re.sub(r"\W", "_", name)
    other = f"field_{other}" if other[0].isdigit() else other
    return (
        f"placeholder {{{name}}}: a template reads a number as an index, and a dot or a bracket as a part of a value; "
        f"rename the column by data.columns: {{{other}: {name}}}, and write {{{other}}}"
    )
