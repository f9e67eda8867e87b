"""From what a request is about, in the classifiers' words, to what benchmarks measure. Values only.

A catalogue may name any of the words itself; that is always finer than the area.
"""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

AREA_OF: Final[Mapping[str, str]] = MappingProxyType(
    {
        "software_design": "code",
        "logic": "reasoning",
        "commonsense": "reasoning",
        "physics": "reasoning",
        "engineering": "reasoning",
        "computer_science": "reasoning",
        # LiveBench's tasks of following instructions are: paraphrase, simplify, summarize, write a story.
        "summarization": "instructions",
    }
)
"""Domains that are measured under another name."""

UNMEASURED: Final = frozenset(
    {
        "general",
        "knowledge",
        "trivia",
        "reading",
        "word_lists",
        "translation",
        "science",
        "biology",
        "chemistry",
        "medicine",
        "psychology",
        "history",
        "society",
        "philosophy",
        "law",
        "business",
        "economics",
    }
)
"""Domains that no benchmark of the default catalogue measures: the kind of task decides."""
