"""Whether ``model.name`` can be loaded, found out without loading it. The command line has checked its spelling."""

from pathlib import Path

from rrr_workers.config import Config
from rrr_workers.engines.chat_template import refusal
from rrr_workers.engines.model_folder import TEMPLATE_FILES, chat_template, check_folder, check_length, read_json
from rrr_workers.errors import UserError
from rrr_workers.hub.fetch import check_here
from rrr_workers.hub.repos import find_commit, models_of
from rrr_workers.tasks.base import message


def check_model(config: Config) -> None:
    """Raise :class:`UserError` where a vLLM worker would find no model; other engines check their own."""
    if config.engine.name != "vllm":
        return
    name = config.model.name
    if Path(name).is_absolute():
        check_folder(Path(name), config.model.max_model_len)
    else:
        [repo, *_] = models_of(config)
        check_here(repo, find_commit(repo), config.model.max_model_len)
        if found := files_at_hand(config, "config.json"):
            check_length(read_json(found["config.json"]), config.model.max_model_len, name)


def check_system_prompt(config: Config, system: str | None) -> None:
    """Raise :class:`UserError` where the model's chat template, if it is at hand, refuses a system message."""
    if config.engine.name != "vllm" or system is None:
        return
    template = chat_template(files_at_hand(config, *TEMPLATE_FILES))
    talk = [message("system", system), message("user", "")]
    if template is not None and (why := refusal(template, talk)) is not None:
        raise UserError(
            f"the chat template of {config.model.name} refuses a system message: {why}",
            cure="remove task.prompts.system, and write what it says into task.prompts.question",
        )


def files_at_hand(config: Config, *names: str) -> dict[str, Path]:
    """Those files of the model that are on this machine, by name."""
    from huggingface_hub import try_to_load_from_cache
    from huggingface_hub.errors import HFValidationError

    model = config.model
    if Path(model.name).is_absolute():
        return {name: file for name in names if (file := Path(model.name) / name).is_file()}
    try:
        found = {name: try_to_load_from_cache(model.name, name, revision=model.revision) for name in names}
    except HFValidationError:  # an endpoint's name for a model need not be a hub id
        return {}
    return {name: Path(path) for name, path in found.items() if isinstance(path, str)}
