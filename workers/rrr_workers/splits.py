"""Content hashes: row ids, seeds and the train/test split, all stable across machines, workers and resumes."""

import hashlib
import json
from typing import Any

_BUCKETS = 10_000


def content_hash(value: Any) -> str:
    """Hex sha256 of the canonical JSON of ``value`` (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def split_position(split_key: Any) -> float:
    """Place in [0, 1) of everything that shares ``split_key``; rows that must not cross the split share a key."""
    return int(content_hash(split_key), 16) % _BUCKETS / _BUCKETS


def assign_split(split_key: Any, test_fraction: float, train_fraction: float) -> str:
    """``"test"``, ``"train"`` or ``"unused"``. Test comes first so that changing the train share never moves it."""
    position = split_position(split_key)
    if position < test_fraction:
        return "test"
    return "train" if position < test_fraction + train_fraction else "unused"


def derive_seed(*parts: str | int) -> int:
    """A 31-bit seed that depends on every part: one per (run seed, query, purpose, draw), so order can't matter."""
    return int(content_hash(list(parts))[:8], 16) & 0x7FFF_FFFF
