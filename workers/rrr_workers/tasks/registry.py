"""From ``task`` in the config to a :class:`Task`; all mistakes in its templates are reported at once."""

import inspect
from dataclasses import asdict
from string import Formatter

from pydantic import ValidationError

from rrr_workers.config import TaskSection
from rrr_workers.protocol import UserError, user_files
from rrr_workers.tasks.base import Task
from rrr_workers.tasks.command_verifier import CommandVerifier
from rrr_workers.tasks.plugins import find_class

_BUILT_IN = {
    "countdown": "rrr_workers.tasks.countdown:Countdown",
    "function_calling": "rrr_workers.tasks.function_calling:FunctionCalling",
    "custom": "rrr_workers.tasks.custom:Custom",
}


def load_task(section: TaskSection) -> Task:
    """The task that ``section`` names. Raises :class:`UserError` for unknown names, options and placeholders."""
    name = section.name
    if name not in _BUILT_IN and ":" not in name:
        known = ", ".join(sorted(_BUILT_IN))
        raise UserError(
            f"task.name: unknown task {name!r}",
            cure=f"known tasks: {known}; your own: path/to/file.py:Class or package.module:Class",
        )
    task_class = find_class(_BUILT_IN.get(name, name))
    if name not in _BUILT_IN:
        user_files.add(inspect.getfile(task_class))  # not a method's file: it may be inherited
    try:
        task = task_class(section.options, section.prompts.model_dump())
    except ValidationError as error:
        lines = [
            f"{'.'.join(map(str, ('task.options', *issue['loc'])))}: {issue['msg']}, got {issue['input']!r}"
            for issue in error.errors()
        ]
        raise UserError("\n".join(lines), cure=f"fix task.options of task {section.name!r}") from None
    problems: list[str] = []
    for key, template in templates(task).items():
        problems += [f"task.prompts.{key}: {problem}" for problem in _template_problems(template, task.placeholders)]
    if problems:
        known = ", ".join(f"{{{name}}}" for name in task.placeholders)
        raise UserError("\n".join(problems), cure=f"placeholders are {known}; write {{{{ and }}}} for braces")
    if section.verifier:
        task.judge = CommandVerifier(section.verifier.command, section.verifier.timeout_s).judge  # type: ignore[method-assign]
        task.blocking = True
    elif name == "custom":
        raise UserError("task.verifier is missing", cure="task custom needs task.verifier: {command: [program, ...]}")
    return task


def templates(task: Task) -> dict[str, str | None]:
    """The templates in force, by name; ``system`` is None where there is none."""
    return asdict(task.prompts)


def _template_problems(template: str | None, placeholders: tuple[str, ...]) -> list[str]:
    if template is None:
        return []
    try:
        parts = list(Formatter().parse(template))
    except ValueError as error:
        return [f"{error} in {template!r}"]
    return [
        f"unknown placeholder {{{name}{f'!{conversion}' if conversion else ''}{f':{spec}' if spec else ''}}}"
        for _, name, spec, conversion in parts
        if name is not None and (name not in placeholders or spec or conversion)
    ]
