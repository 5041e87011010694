"""Where a run comes from, as its files say."""

import hashlib
import json
import os
import re
from collections.abc import Iterator
from pathlib import Path

from .run import Json, Run, read_records
from .words import js_json

_SCHEMA = Path(__file__).parents[2] / "configs" / "schema.json"
#: What every config must say.
_REQUIRED = ("model.name", "data.source")


def command(run: Run) -> str:
    return f"rrr run -c {os.path.abspath(run.folder)}/eval/config.json --run ANOTHER-RUN"


def engines(run: Run) -> str:
    said: dict[str, None] = {}
    for event in read_records(run.folder / "workers.jsonl"):
        if event["event"] == "ready" and "device" in event["info"]:
            info = event["info"]
            engine = info.get("engine", re.sub(r"-\d+$", "", event["worker"]))
            dtype = f", {info['dtype']}" if "dtype" in info else ""
            said[f"{engine} on {info['device']}{dtype}"] = None
    return "; ".join(said) or "not told"


def machine(run: Run) -> str:
    found = run.manifest.get("machine")
    if not found:
        return "not told"
    return f"{found['cpu']}, {found['cores']} cores, {found['memory_gib']} GiB of memory"


def hashes(run: Run) -> list[tuple[str, str]]:
    names = ("data/test.jsonl", "data/train.jsonl", "failures/failures.jsonl")
    files = [(name, run.folder / name) for name in names]
    return [(name, hashlib.sha256(path.read_bytes()).hexdigest()) for name, path in files if path.exists()]


def changes(run: Run) -> list[tuple[str, str, str]]:
    """Key, default and value, of the keys that are not as the schema has them."""
    defaults = dict(_defaults(json.loads(_SCHEMA.read_text(encoding="utf-8"))))
    return [
        (key, js_json(defaults[key]) if key in defaults else "none", js_json(value))
        for key, value in _leaves(run.config)
        if key in _REQUIRED or key not in defaults or js_json(value) != js_json(defaults[key])
    ]


def _leaves(value: Json, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, each in value.items():
        if isinstance(each, dict):
            yield from _leaves(each, f"{prefix}{key}.")
        elif each is not None:
            yield f"{prefix}{key}", each


def _defaults(schema: Json, prefix: str = "") -> Iterator[tuple[str, object]]:
    for key, each in schema.get("properties", {}).items():
        if "properties" in each:
            # An optional object has its keys' defaults only where it is there.
            if "default" in each or each.get("required"):
                yield from _defaults(each, f"{prefix}{key}.")
        elif "default" in each and not isinstance(each["default"], dict):
            yield f"{prefix}{key}", each["default"]
