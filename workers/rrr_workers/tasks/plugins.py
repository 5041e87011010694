"""A user's task classes by name: ``path/to/file.py:Class`` or ``package.module:Class``. Importing one runs its code."""

import importlib
import importlib.util
import sys
import traceback
from importlib.machinery import SourceFileLoader
from pathlib import Path
from types import ModuleType

from rrr_workers.errors import UserError
from rrr_workers.tasks.base import Prompts, Task

_ATTRIBUTES = {"name": str, "error_kinds": tuple, "default_prompts": Prompts, "placeholders": tuple}


def find_class(name: str) -> type[Task]:
    """The class that ``name`` says. Raises :class:`UserError` where it lacks something that a task needs."""
    source, _, attribute = name.rpartition(":")
    module = _import(source, name)
    found = getattr(module, attribute, None)
    if not isinstance(found, type):
        classes = ", ".join(key for key, value in vars(module).items() if isinstance(value, type)) or "none"
        raise UserError(f"task.name: {source} has no class {attribute!r}", cure=f"classes there: {classes}")
    if not issubclass(found, Task):
        raise UserError(
            f"task.name: class {attribute} of {source} is no Task",
            cure=f"write class {attribute}(Task), with Task from rrr_workers.api",
        )
    if found.__abstractmethods__:
        missing = ", ".join(sorted(found.__abstractmethods__))
        raise UserError(
            f"task.name: class {attribute} of {source} lacks the method {missing}",
            cure="define it; its signature is in rrr_workers/tasks/base.py",
        )
    lacking = [key for key, kind in _ATTRIBUTES.items() if not isinstance(getattr(found, key, None), kind)]
    if lacking:
        wanted = ", ".join(f"{key} ({_ATTRIBUTES[key].__name__})" for key in lacking)
        raise UserError(
            f"task.name: class {attribute} of {source} lacks {wanted}",
            cure="set it on the class; what each is for is in rrr_workers/tasks/base.py",
        )
    return found


def _import(source: str, name: str) -> ModuleType:
    try:
        if not source.endswith(".py"):
            return importlib.import_module(source)
        path = Path(source)
        if not path.is_file():
            raise UserError(f"task.name: there is no file {source}", cure="the path is relative to the config file")
        loader = SourceFileLoader(f"rrr_task_{path.stem}", str(path))
        spec = importlib.util.spec_from_file_location(loader.name, path, loader=loader)
        assert spec is not None  # it has a loader
        module = importlib.util.module_from_spec(spec)
        sys.path.append(str(path.parent))  # for its neighbours; last, so that none of them passes for a library
        sys.modules[loader.name] = module  # dataclasses and pickle look their module up
        loader.exec_module(module)
    except UserError:
        raise
    except (Exception, SystemExit) as error:  # importing runs the user's file, which may raise anything
        place = traceback.extract_tb(error.__traceback__)[-1]
        where = f" at {place.filename}:{place.lineno}" if not isinstance(error, ModuleNotFoundError) else ""
        raise UserError(
            f"task.name: {name} can't be imported: {type(error).__name__}: {error}{where}",
            cure="the workers' Python must be able to import it: python in the config, or that of rrr setup",
        ) from error
    return module
