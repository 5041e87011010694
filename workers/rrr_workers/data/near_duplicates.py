"""Pairs of texts with nearly the same words, without comparing every text with every other.

Two texts are near duplicates when the Jaccard similarity of their sets of words (case, width and punctuation aside;
numbers are words) is at least ``THRESHOLD``. MinHash with banding finds candidates (a pair at the threshold is missed
with a probability of 0.02 %), the similarity itself decides. After A.Z. Broder, On the resemblance and containment of
documents, 1997.
"""

import re
import unicodedata
from collections import defaultdict
from collections.abc import Iterator, Sequence

Words = frozenset[str]

THRESHOLD = 0.8
_BANDS, _ROWS_PER_BAND = 16, 4
_SEED = 20250530
_MOST_EQUAL = 200  # texts of equal words are all near duplicates: beyond so many the others are left out


def words_of(text: str) -> Words:
    """The words of ``text`` as they are compared."""
    return frozenset(re.findall(r"\w+", unicodedata.normalize("NFKC", text).casefold()))


def near_duplicates(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[int, int, float]]:
    """(index in ``left``, index in ``right``, similarity) of every pair found, by the index in ``left``."""
    from datasketch import MinHash, MinHashLSH

    blank = MinHash(num_perm=_BANDS * _ROWS_PER_BAND, seed=_SEED)

    def signature(words: Words) -> MinHash:
        made = blank.copy()
        made.update_batch([word.encode("utf-8", "surrogatepass") for word in words])
        return made

    candidates = MinHashLSH(num_perm=_BANDS * _ROWS_PER_BAND, params=(_BANDS, _ROWS_PER_BAND))
    indices: dict[Words, list[int]] = defaultdict(list)  # of the texts on the right
    for index, text in enumerate(right):
        indices[words_of(text)].append(index)
    for words in indices:
        candidates.insert(words, signature(words))
    for index, text in enumerate(left):
        words = words_of(text)
        found = [
            (other, similarity)
            for similar in candidates.query(signature(words))
            if (similarity := _jaccard(words, similar)) >= THRESHOLD
            for other in indices[similar][:_MOST_EQUAL]
        ]
        for other, similarity in sorted(found):
            yield index, other, similarity


def _jaccard(one: Words, other: Words) -> float:
    return len(one & other) / len(one | other) if one or other else 1.0
