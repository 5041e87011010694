"""The shape of the model of a config, from its config.json alone: of its folder, of the hub, or shipped with rrr."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rrr_workers.engines.model_folder import read_json
from rrr_workers.errors import UserError
from rrr_workers.training.memory import Dtype
from rrr_workers.training.memory_setup import training_dtype
from rrr_workers.training.shapes import SHIPPED, Shape, UnknownShape

_TIMEOUT_S = 5.0


@dataclass(frozen=True)
class Model:
    name: str
    shape: Shape
    dtype: Dtype
    source: str  # of its shape

    @property
    def billions(self) -> float:
        return self.shape.parameters / 1e9


def find_model(name: str, revision: str | None = None, dtype: str = "auto", *, fetch: bool = True) -> Model:
    """The hub's config wins over the shipped one where it can be read, and is not asked without ``fetch``.
    Raises :class:`UserError` where none can, or where its parameters can't be counted."""
    if Path(name).is_absolute():
        declared, source = read_json(Path(name) / "config.json"), f"{name}/config.json"
    elif fetch and (found := _of_hub(name, revision)):
        declared, source = found, "config.json on the hub"
    elif name in SHIPPED:
        declared, source = {"dtype": "bfloat16", **SHIPPED[name]}, "shipped with rrr, as the hub can't be read"
    else:
        raise UserError(
            f"the config.json of {name} can't be read from the hub, and rrr doesn't know the model's shape",
            cure=f"name a folder that holds its config.json, or one of {', '.join(SHIPPED)}",
        )
    try:
        shape = Shape.of(declared)
    except UnknownShape as error:
        raise UserError(
            f"{name}: {error}", cure="rrr run --dry-run shows what would run, without memory and hours"
        ) from None
    if dtype == "auto":
        dtype = str(declared.get("dtype") or declared.get("torch_dtype") or "float32")
    return Model(name, shape, training_dtype(dtype), source)


def _of_hub(name: str, revision: str | None) -> dict[str, Any] | None:
    """None where it can't be read: no network, no such model, or one whose terms are not accepted."""
    import httpx
    from huggingface_hub import hf_hub_url, try_to_load_from_cache
    from huggingface_hub.errors import HfHubHTTPError, HFValidationError, OfflineModeIsEnabled
    from huggingface_hub.utils import build_hf_headers, get_session, hf_raise_for_status  # type: ignore[attr-defined]

    try:
        cached = try_to_load_from_cache(name, "config.json", revision=revision)
        if isinstance(cached, str):
            return read_json(Path(cached))
        url = hf_hub_url(name, "config.json", revision=revision)
        answer = get_session().get(url, headers=build_hf_headers(), timeout=_TIMEOUT_S, follow_redirects=True)
        hf_raise_for_status(answer)
        declared: dict[str, Any] = answer.json()
    except (OfflineModeIsEnabled, HfHubHTTPError, HFValidationError, httpx.HTTPError, OSError, ValueError):
        return None
    return declared
