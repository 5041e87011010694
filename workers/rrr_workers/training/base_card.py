"""What the card of the base model says that the card of the trained one must say, too."""

from pathlib import Path
from typing import Any

import yaml
from huggingface_hub.repocard import metadata_load
from transformers.utils import cached_file
from transformers.utils.hub import extract_commit_hash

_LICENSE = ("license", "license_name", "license_link")


def describe_base(name: str, revision: str | None) -> dict[str, str | None]:
    """``{commit, license, license_name, license_link}`` of a model, a folder or a hub id: the commit that its files are
    of, and what its card, README.md, declares. None for what it doesn't, or where it can't be fetched."""
    config, card = (
        cached_file(
            name,
            file,
            revision=revision,
            _raise_exceptions_for_gated_repo=False,
            _raise_exceptions_for_missing_entries=False,
            _raise_exceptions_for_connection_errors=False,
        )
        for file in ("config.json", "README.md")
    )
    commit = None if Path(name).is_absolute() else extract_commit_hash(config, None)
    declared = _metadata(Path(card)) if card else {}
    return {"commit": commit, **{key: _text(declared.get(key)) for key in _LICENSE}}


def _metadata(card: Path) -> dict[str, Any]:
    try:
        return metadata_load(card) or {}
    except (ValueError, yaml.YAMLError):
        return {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None
