"""Whether ``model.name`` can be loaded, found out without loading it. The command line has checked its spelling."""

from pathlib import Path

from rrr_workers.config import Config
from rrr_workers.errors import UserError

_WEIGHTS = ("*.safetensors", "*.bin", "*.pt")
_HUB_TIMEOUT_S = 20.0


def check_model(config: Config) -> None:
    """Raise :class:`UserError` where a vLLM worker would find no model; other engines check their own."""
    if config.engine.name != "vllm":
        return
    name = config.model.name
    if Path(name).is_absolute():
        _check_folder(Path(name))
    else:
        _check_hub(name, config.model.revision)


def _check_folder(folder: Path) -> None:
    if not any(any(folder.glob(pattern)) for pattern in _WEIGHTS):
        raise UserError(f"model.name: {folder} has no weights ({', '.join(_WEIGHTS)})", cure="save the model again")


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
