"""What a request will probably use, by what its model's last answers used. For rates alone."""

from typing import Final

BYTES_PER_TOKEN: Final = 4.0
"""Before a model has answered."""
LEAST_BYTES_PER_TOKEN: Final = 1.0
MOST_BYTES_PER_TOKEN: Final = 16.0
"""JSON around the text counts as bytes; far above this, what is not text was mistaken for it."""
OUTPUT_TOKENS: Final = 512
"""Before a model has answered."""
LEAST_OUTPUT_TOKENS: Final = 16
MOST_OUTPUT_TOKENS: Final = 32_768

_KEPT: Final = 0.98
"""Of the weight of earlier answers, with each new one: about the last fifty count."""
_PRIOR_ANSWERS: Final = 8.0
_PRIOR_PROMPT_TOKENS: Final = 250.0


class _Seen:
    """Sums over a model's answers, older ones fading; they begin with a few answers of the kind we would guess."""

    __slots__ = ("answers", "output_tokens", "prompt_bytes", "prompt_tokens")

    def __init__(self) -> None:
        self.answers = _PRIOR_ANSWERS
        self.prompt_tokens = _PRIOR_ANSWERS * _PRIOR_PROMPT_TOKENS
        self.prompt_bytes = self.prompt_tokens * BYTES_PER_TOKEN
        self.output_tokens = _PRIOR_ANSWERS * OUTPUT_TOKENS


class Guesses:
    """One per process, by the backend's id: as many as the catalogue has. No clock, no store."""

    __slots__ = ("_models",)

    def __init__(self) -> None:
        self._models: dict[str, _Seen] = {}

    def prompt_tokens(self, backend_id: str, prompt_bytes: int) -> int:
        """Of a prompt whose body, without pictures, has so many bytes; at least 1."""
        seen = self._models.get(backend_id)
        ratio = BYTES_PER_TOKEN
        if seen is not None:
            ratio = seen.prompt_bytes / seen.prompt_tokens
            ratio = min(MOST_BYTES_PER_TOKEN, max(LEAST_BYTES_PER_TOKEN, ratio))
        return int(prompt_bytes / ratio) + 1

    def output_tokens(self, backend_id: str) -> int:
        """Of one answer."""
        seen = self._models.get(backend_id)
        if seen is None:
            return OUTPUT_TOKENS
        return min(MOST_OUTPUT_TOKENS, max(LEAST_OUTPUT_TOKENS, round(seen.output_tokens / seen.answers)))

    def learn(
        self, backend_id: str, *, prompt_bytes: int, prompt_tokens: int, output_tokens: int, choices: int
    ) -> None:
        """What the provider reported of a whole answer.

        Args:
            prompt_bytes: of the body, without pictures.
            output_tokens: of all `choices` together.
        """
        seen = self._models.get(backend_id)
        if seen is None:
            seen = self._models[backend_id] = _Seen()
        # A provider's nonsense moves the guess no further than a strange but possible answer would.
        believed = min(
            prompt_bytes / LEAST_BYTES_PER_TOKEN, max(prompt_bytes / MOST_BYTES_PER_TOKEN, prompt_tokens)
        )
        seen.prompt_bytes = _KEPT * seen.prompt_bytes + prompt_bytes
        seen.prompt_tokens = _KEPT * seen.prompt_tokens + believed
        seen.output_tokens = _KEPT * seen.output_tokens + min(output_tokens, choices * MOST_OUTPUT_TOKENS)
        seen.answers = _KEPT * seen.answers + choices
