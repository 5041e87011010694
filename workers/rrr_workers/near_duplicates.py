"""Pairs of texts with nearly the same words, in time linear in the number of texts: MinHash with banding.

Two texts are near duplicates when the Jaccard similarity of their sets of words (case, width and punctuation aside;
numbers are words) is at least ``THRESHOLD``. Banding finds candidates (a pair at the threshold is missed with a
probability of 0.02 %), the similarity itself decides. After A.Z. Broder, On the resemblance and containment of
documents, 1997.
"""

import re
import unicodedata
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence

import numpy as np

THRESHOLD = 0.8
_BANDS, _ROWS_PER_BAND = 16, 4
_PRIME = (1 << 31) - 1
_LARGEST_BUCKET = 200  # of texts with equal words; beyond, each is compared with the first ones alone


def words_of(text: str) -> frozenset[str]:
    """The words of ``text`` as they are compared."""
    return frozenset(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def near_duplicates(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    """(index in ``left``, index in ``right``, similarity) of every pair found, by the index in ``left``."""
    words_left, words_right = [words_of(text) for text in left], [words_of(text) for text in right]
    buckets: dict[tuple[int, bytes], list[int]] = defaultdict(list)
    for index, words in enumerate(words_right):
        for key in _bands(words):
            if len(buckets[key]) < _LARGEST_BUCKET:
                buckets[key].append(index)
    for index, words in enumerate(words_left):
        for candidate in sorted({other for key in _bands(words) for other in buckets.get(key, ())}):
            other = words_right[candidate]
            similarity = len(words & other) / len(words | other) if words or other else 1.0
            if similarity >= THRESHOLD:
                yield index, candidate, similarity


def _bands(words: frozenset[str]) -> list[tuple[int, bytes]]:
    hashes = np.array([zlib.crc32(word.encode("utf-8", "surrogatepass")) % _PRIME for word in words] or [0], np.int64)
    smallest = ((_FACTORS[:, None] * hashes + _OFFSETS[:, None]) % _PRIME).min(axis=1)
    return [(band, row.tobytes()) for band, row in enumerate(smallest.reshape(_BANDS, _ROWS_PER_BAND))]


_RANDOM = np.random.default_rng(20250530)
_FACTORS = _RANDOM.integers(1, _PRIME, _BANDS * _ROWS_PER_BAND)
_OFFSETS = _RANDOM.integers(0, _PRIME, _BANDS * _ROWS_PER_BAND)
