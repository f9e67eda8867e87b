"""Unit vectors for texts: words and parts of words, each counted at a place of its own.

Texts that share words point the same way, texts that share none stand about at right angles; nothing is learnt.
"""

import re
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from math import log, sqrt
from zlib import crc32

_WORD = re.compile(r"\w+")
# Short words say least about a text; from this length on all weigh the same.
_FULL_WEIGHT_LETTERS = 6
_PART_LETTERS = 3
# Of the word it is part of: `lock` and `locks` are alike, `lock` and `clock` less so.
_PART_WEIGHT = 0.25
_STEPS = 4096  # weights are told apart to this part of a word's


def of_text(text: str, dimensions: int) -> tuple[float, ...]:
    """The direction of `text`, which is not empty. Upper and lower case are one."""
    lowered = text.casefold()
    # A text of signs alone, such as emoji, is its own one word.
    words = Counter(_WORD.findall(lowered) or [lowered])
    features: defaultdict[str, float] = defaultdict(float)
    for word, times in words.items():
        weight = min(len(word), _FULL_WEIGHT_LETTERS) / _FULL_WEIGHT_LETTERS * (1 + log(times))
        features[word] += weight
        bounded = f"<{word}>"
        for begin in range(len(bounded) - _PART_LETTERS + 1):
            features[f"/{bounded[begin : begin + _PART_LETTERS]}"] += weight * _PART_WEIGHT
    return _direction(features, dimensions)


def of_tokens(tokens: Sequence[int], dimensions: int) -> tuple[float, ...]:
    """The direction of token ids, of which there is at least one."""
    return _direction({f"#{token}": 1 + log(times) for token, times in Counter(tokens).items()}, dimensions)


def _direction(features: Mapping[str, float], dimensions: int) -> tuple[float, ...]:
    # Whole numbers, whose sum does not depend on the order, as rounded ones' would.
    places = [0] * dimensions
    for feature, weight in features.items():
        digest = crc32(feature.encode())
        # The sign makes features that meet at one place cancel as often as they add up.
        places[(digest >> 1) % dimensions] += round(weight * _STEPS) * (1 if digest & 1 else -1)
    if not any(places):  # all cancelled, as may happen in very few dimensions
        places[crc32(min(features).encode()) % dimensions] = 1
    length = sqrt(sum(place * place for place in places))
    return tuple(place / length for place in places)
