"""Counting tokens: estimates from lengths, and which beginnings of prompts were seen before."""

from collections import OrderedDict
from dataclasses import dataclass
from hashlib import blake2b

from proxy.sandbox.request import Request
from proxy.sandbox.scripts import Script

_BYTES_PER_TOKEN = 4
_PER_MESSAGE_TOKENS = 4
_PER_ANSWER_TOKENS = 3
_MEDIA_TOKENS = {"image": 85, "audio clip": 60, "file": 250}
# A prefix counts as cached from 1,024 tokens on, in steps of 128: OpenAI's prompt caching guide, 2026-11.
_SHORTEST_PREFIX_TOKENS = 1024
_PREFIX_STEP_TOKENS = 128
_MOST_PREFIXES_A_PROMPT = 2048  # about 260,000 tokens: beyond it nothing is remembered
_MOST_PREFIXES = 32_768  # 16 bytes each and their places in the table: about 4 MB


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens of one answer, all its choices together; `cached` and `audio` are part of the prompt."""

    prompt_tokens: int
    cached_tokens: int
    audio_tokens: int
    completion_tokens: int
    reasoning_tokens: int


class PrefixMemory:
    """Remembers the beginnings of prompts by digest, the most recently seen ones, never the text."""

    def __init__(self) -> None:
        self._seen: OrderedDict[bytes, None] = OrderedDict()

    def __len__(self) -> int:
        return len(self._seen)

    def cached_tokens(self, model: str, prompt: bytes) -> int:
        """Tokens at the beginning of `prompt` that an earlier one for `model` had too; then remembers it."""
        running = blake2b(model.encode(), digest_size=16)
        cached_tokens = 0
        begin_bytes = 0
        for step in range(_MOST_PREFIXES_A_PROMPT):
            end_tokens = _SHORTEST_PREFIX_TOKENS + step * _PREFIX_STEP_TOKENS
            end_bytes = end_tokens * _BYTES_PER_TOKEN
            if end_bytes > len(prompt):
                break
            running.update(prompt[begin_bytes:end_bytes])
            begin_bytes = end_bytes
            digest = running.copy().digest()
            if digest in self._seen:
                cached_tokens = end_tokens
                self._seen.move_to_end(digest)
            else:
                self._seen[digest] = None
        while len(self._seen) > _MOST_PREFIXES:
            self._seen.popitem(last=False)
        return cached_tokens


def text_tokens(text: bytes) -> int:
    """A quarter of the bytes, rounded up."""
    return -(-len(text) // _BYTES_PER_TOKEN)


def count(request: Request, script: Script, cached_tokens: int) -> Usage:
    nouns = [media.noun for message in request.messages for media in message.media]
    prompt_tokens = (
        text_tokens(request.prompt)
        + len(request.messages) * _PER_MESSAGE_TOKENS
        + _PER_ANSWER_TOKENS
        + sum(_MEDIA_TOKENS[noun] for noun in nouns)
    )
    return Usage(
        prompt_tokens=prompt_tokens,
        cached_tokens=cached_tokens,
        audio_tokens=nouns.count("audio clip") * _MEDIA_TOKENS["audio clip"],
        completion_tokens=script.completion_tokens,
        reasoning_tokens=script.reasoning_tokens,
    )
