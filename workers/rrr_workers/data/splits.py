"""The train/test split: by content hash, so that it depends on neither order nor machine."""

from typing import Any, Literal

from rrr_workers.hashing import content_hash
from rrr_workers.tasks.base import Query

_BUCKETS = 10_000

Split = Literal["train", "test", "unused"]


def split_key_of(query: Query) -> Any:
    """What decides the side of ``query``: rows with equal keys stay on one side."""
    return query.id if query.split_key is None else query.split_key


def split_position(split_key: Any) -> float:
    """Number in [0, 1) that is the same for all rows with this ``split_key``: they must not be parted by the split."""
    return int(content_hash(split_key), 16) % _BUCKETS / _BUCKETS


def assign_split(split_key: Any, test_fraction: float, train_fraction: float) -> Split:
    """Test comes first, so that changing the share of training rows never moves it."""
    position = split_position(split_key)
    if position < test_fraction:
        return "test"
    return "train" if position < test_fraction + train_fraction else "unused"
