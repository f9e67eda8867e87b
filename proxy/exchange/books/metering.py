"""What an answer costs: exact whole numbers, rounded up once."""

from proxy.routing.catalogue.cost import PICOUSD_PER_MICROUSD, cost_picousd
from proxy.routing.catalogue.types import Price


def cost_microusd(
    price: Price,
    *,
    input_tokens: int,
    output_tokens: int,
    cache_read_tokens: int,
    cache_write_tokens: int,
    cache_write_1h_tokens: int = 0,
    audio_input_tokens: int = 0,
    audio_output_tokens: int = 0,
    requests: int = 1,
) -> int:
    """The price of one answer, rounded up to whole micro-dollars. For the arguments see `cost_picousd`."""
    picousd = cost_picousd(
        price,
        input_tokens=input_tokens,
        output_tokens=output_tokens,
        cache_read_tokens=cache_read_tokens,
        cache_write_tokens=cache_write_tokens,
        cache_write_1h_tokens=cache_write_1h_tokens,
        audio_input_tokens=audio_input_tokens,
        audio_output_tokens=audio_output_tokens,
        requests=requests,
    )
    return -(-picousd // PICOUSD_PER_MICROUSD)
