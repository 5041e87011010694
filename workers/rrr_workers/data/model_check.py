"""Whether ``model.name`` can be loaded, found out without loading it. The command line has checked its spelling."""

from pathlib import Path

from rrr_workers.config import Config
from rrr_workers.engines.chat_template import refusal
from rrr_workers.engines.model_folder import TEMPLATE_FILES, chat_template, check_folder, check_length, read_json
from rrr_workers.errors import UserError
from rrr_workers.tasks.base import message

_HUB_TIMEOUT_S = 20.0


def check_model(config: Config) -> None:
    """Raise :class:`UserError` where a vLLM worker would find no model; other engines check their own."""
    if config.engine.name != "vllm":
        return
    name = config.model.name
    if Path(name).is_absolute():
        check_folder(Path(name), config.model.max_model_len)
    else:
        _check_hub(name, config.model.revision)
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


def _check_hub(name: str, revision: str | None) -> None:
    import httpx
    from huggingface_hub import HfApi, try_to_load_from_cache
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        HFValidationError,
        OfflineModeIsEnabled,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    try:
        if isinstance(try_to_load_from_cache(name, "config.json", revision=revision), str):
            return
        HfApi().model_info(name, revision=revision, timeout=_HUB_TIMEOUT_S)
    except HFValidationError as error:
        cure = "write a folder with a leading ./ or /, a hub model as owner/name"
        raise UserError(f"model.name: {name!r} is neither a folder nor a hub id: {error}", cure=cure) from error
    except GatedRepoError as error:
        cure = "accept its terms on its hub page and set HF_TOKEN"
        raise UserError(f"model.name: {name} is gated", cure=cure) from error
    except RevisionNotFoundError as error:
        raise UserError(f"model.revision: {name} has no {revision!r}", cure="check model.revision") from error
    except RepositoryNotFoundError as error:
        cure = "check the name; a folder needs a leading ./ or /; a private model needs HF_TOKEN"
        raise UserError(f"model.name: the hub has no model {name!r}", cure=cure) from error
    except (OfflineModeIsEnabled, HfHubHTTPError, httpx.HTTPError, OSError) as error:
        cure = "check the connection and HF_ENDPOINT, or name a folder with the model"
        message = f"model.name: {name!r} is not in the local cache and the hub can't be reached: {error}"
        raise UserError(message, cure=cure) from error
