"""What a request costs at a price: exact whole pico-dollars. Runs for each candidate and once per answer."""

from typing import Final

from proxy.routing.catalogue.types import Price

PICOUSD_PER_MICROUSD: Final = 1_000_000


def cost_picousd(
    price: Price,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int = 0,
    cache_write_tokens: int = 0,
    cache_write_1h_tokens: int = 0,
    audio_input_tokens: int = 0,
    audio_output_tokens: int = 0,
    requests: int = 1,
) -> int:
    """The price of one request, to the pico-dollar.

    Args:
        input_tokens: the whole prompt; what follows are parts of it. Some providers report a larger cached part than
            prompt; fresh input is never less than nothing.
        output_tokens: the whole answer, reasoning included.
        cache_write_1h_tokens: kept for an hour; not among `cache_write_tokens`.
        audio_input_tokens: neither read from a cache nor written to one.
        audio_output_tokens: a part of `output_tokens`.
        requests: how many were sent; 0 leaves the price per request out.

    The whole prompt, cached parts included, decides the step, and the whole request pays its price: so Google's list
    for prompts above 200k tokens, OpenAI's for those above 272k, Anthropic's for those above 100k of Haiku 5.5 (as
    LiteLLM 1.110.2 and models.dev, 2026-07-02, read their pages).
    """
    per_request_picousd = price.per_request_picousd
    for step in price.steps:
        if input_tokens > step.above_context_tokens:
            price = step.price
            break
    fresh_picousd = price.input_picousd
    picousd = output_tokens * price.output_picousd + requests * per_request_picousd
    if cache_read_tokens:
        read_picousd = price.cache_read_picousd
        picousd += cache_read_tokens * (fresh_picousd if read_picousd is None else read_picousd)
        input_tokens -= cache_read_tokens
    if cache_write_tokens or cache_write_1h_tokens:
        written_picousd = price.cache_write_picousd
        written_picousd = fresh_picousd if written_picousd is None else written_picousd
        kept_picousd = price.cache_write_1h_picousd
        kept_picousd = written_picousd if kept_picousd is None else kept_picousd
        picousd += cache_write_tokens * written_picousd + cache_write_1h_tokens * kept_picousd
        input_tokens -= cache_write_tokens + cache_write_1h_tokens
    if audio_input_tokens:
        heard_picousd = price.audio_input_picousd
        picousd += audio_input_tokens * (fresh_picousd if heard_picousd is None else heard_picousd)
        input_tokens -= audio_input_tokens
    if audio_output_tokens and price.audio_output_picousd is not None:
        picousd += audio_output_tokens * (price.audio_output_picousd - price.output_picousd)
    return picousd + fresh_picousd * input_tokens if input_tokens > 0 else picousd
