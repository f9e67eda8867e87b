"""What every serving process sets up alike."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, Final

FAILED: Final = 1
"""Exit code: it failed while running."""

_GC_ALLOCATIONS: Final = 20_000


@contextmanager
def importing() -> Iterator[None]:
    """What is imported inside lives as long as the process: the collector walks it neither meanwhile nor later.

    A good part of a start went there.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def loop_factory() -> Any:
    """uvloop's, where there is one."""
    try:
        import uvloop
    except ImportError:  # no wheel for this platform: asyncio's own loop serves too, at a higher price
        return None
    return uvloop.new_event_loop


def spare_the_collector() -> None:
    """Keep the cyclic garbage collector from walking what lives as long as the process, and run it less often.

    Requests make hardly any cycles: reference counts free them. Untuned, a twelfth of a request's CPU went here.
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(_GC_ALLOCATIONS, 50, 20)
