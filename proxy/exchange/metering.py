"""What an answer costs: exact whole numbers, rounded up once."""

from typing import Final

from proxy.routing.catalogue.types import Price

_PICOUSD_PER_MICROUSD: Final = 1_000_000


def cost_microusd(
    price: Price, *, input_tokens: int, output_tokens: int, cache_read_tokens: int, cache_write_tokens: int
) -> int:
    """The price of one answer, rounded up to whole micro-dollars.

    Args:
        input_tokens: the whole prompt, cached parts included. Some providers report a larger cached part than prompt;
            fresh input is never less than nothing.
        output_tokens: the whole answer, reasoning included.
    """
    fresh_tokens = max(0, input_tokens - cache_read_tokens - cache_write_tokens)
    read_picousd = price.input_picousd if price.cache_read_picousd is None else price.cache_read_picousd
    write_picousd = price.input_picousd if price.cache_write_picousd is None else price.cache_write_picousd
    picousd = (
        fresh_tokens * price.input_picousd
        + cache_read_tokens * read_picousd
        + cache_write_tokens * write_picousd
        + output_tokens * price.output_picousd
    )
    return -(-picousd // _PICOUSD_PER_MICROUSD)
