"""Content hashes and seeds, stable across machines, workers and resumes."""

import hashlib
import json
from typing import Any


def content_hash(value: Any) -> str:
    """Hex sha256 of the canonical JSON of ``value`` (sorted keys, no spaces)."""
    canonical = json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)
    return hashlib.sha256(canonical.encode("utf-8", "surrogatepass")).hexdigest()


def derive_seed(*parts: str | int) -> int:
    """A 31-bit seed that depends on every part: one per (run seed, query, purpose, draw), so order can't matter."""
    return int(content_hash(list(parts))[:8], 16) & 0x7FFF_FFFF
