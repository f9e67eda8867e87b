"""Token counts follow from lengths; a prompt that begins like an earlier one is partly cached."""

from proxy.sandbox import scripts, usage
from proxy.sandbox.usage import PrefixMemory
from tests.proxy.sandbox.asking import ask, user


def prompt_tokens(content: object) -> int:
    asked = ask(content)
    return usage.count(asked, scripts.write(asked), 0).prompt_tokens


def test_a_longer_prompt_counts_more_and_media_have_a_fixed_size() -> None:
    """A quarter of the bytes for text; an image counts the same however large its data is."""
    assert prompt_tokens("x" * 4000) - prompt_tokens("x" * 2000) == 500

    def image(size: int) -> list[dict[str, object]]:
        return [{"type": "image_url", "image_url": {"url": "data:," + "A" * size}}]

    assert prompt_tokens(image(10)) == prompt_tokens(image(100_000))


def test_completion_and_reasoning_tokens_are_pieces() -> None:
    """Every piece of every choice counts, thoughts are part of it and told apart."""
    asked = ask(model="sandbox-reasoning", n=2)
    script = scripts.write(asked)
    counted = usage.count(asked, script, 0)
    assert counted.completion_tokens == sum(len(choice.pieces) for choice in script.choices)
    assert 0 < counted.reasoning_tokens < counted.completion_tokens


def test_a_repeated_beginning_is_cached_in_steps() -> None:
    """Nothing the first time; then whole steps of 128 tokens from 1,024 on, and only what is the same."""
    memory = PrefixMemory()
    beginning = bytes(range(256)) * 20  # 1,280 tokens
    assert memory.cached_tokens("m", beginning + b"one") == 0
    assert memory.cached_tokens("m", beginning + b"two" * 900) == 1280
    assert memory.cached_tokens("m", beginning[:4096] + b"!" * 1024) == 1024
    assert memory.cached_tokens("m", b"!" + beginning) == 0


def test_short_prompts_are_never_cached_and_models_do_not_share() -> None:
    """1,023 tokens are too few; another model has a memory of its own."""
    memory = PrefixMemory()
    for _ in range(2):
        assert memory.cached_tokens("m", b"x" * 4095) == 0
    assert memory.cached_tokens("m", b"x" * 4096) == 0
    assert memory.cached_tokens("other", b"x" * 4096) == 0
    assert memory.cached_tokens("m", b"x" * 4096) == 1024


def test_the_memory_is_bounded_and_keeps_what_was_used_last() -> None:
    """Twenty prompts of a megabyte each, all different, leave at most 32,768 digests."""
    memory = PrefixMemory()
    favourite = b"favourite" * 500
    memory.cached_tokens("m", favourite)
    for number in range(20):
        memory.cached_tokens("m", str(number).encode() * 600_000)
        assert memory.cached_tokens("m", favourite) == 1024
    assert len(memory) <= 32_768


def test_tools_are_part_of_the_prompt() -> None:
    """Offering a tool costs prompt tokens, as it does elsewhere."""
    tools = [{"type": "function", "function": {"name": "add", "description": "Adds " * 50}}]
    with_tool = ask(messages=[user("hello")], tools=tools)
    assert len(with_tool.prompt) > len(ask("hello").prompt) + 200
