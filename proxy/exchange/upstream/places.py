"""How many requests one provider gets at a time, and who waits for a place: first come, first served."""

import asyncio
from collections import OrderedDict

from providers.types import UpstreamError


class NoPlace(UpstreamError):
    """The operator's own bound is reached. Nothing was sent, so the provider is not to blame."""

    def __init__(self, message: str) -> None:
        super().__init__("overloaded", message, again=False)


class Places:
    """The places at one provider, in this process."""

    __slots__ = ("_free", "_provider", "_queue_s", "_waiting", "max_in_flight")

    def __init__(self, provider: str, max_in_flight: int, queue_s: float) -> None:
        """
        Args:
            provider: its name, for messages.
            max_in_flight: how many there are.
            queue_s: how long to wait for one; 0: not at all.
        """
        self.max_in_flight = max_in_flight
        self._provider = provider
        self._queue_s = queue_s
        self._free = max_in_flight
        # In order of arrival. Whoever gives up is taken out: a provider that hangs would pile them up otherwise.
        self._waiting: OrderedDict[asyncio.Future[None], None] = OrderedDict()

    @property
    def in_flight(self) -> int:
        """Places taken."""
        return self.max_in_flight - self._free

    @property
    def waiting(self) -> int:
        """Requests in the queue."""
        return len(self._waiting)

    def resize(self, max_in_flight: int, queue_s: float) -> None:
        """Another number of places; whoever has one keeps it, and none is given out above the number."""
        self._free += max_in_flight - self.max_in_flight
        self.max_in_flight, self._queue_s = max_in_flight, queue_s
        while self._free > 0 and self._waiting:
            self._free -= 1
            self.leave()

    async def take(self) -> None:
        """Take a place; give it back with `leave`.

        Raises:
            NoPlace: none came free in time.
        """
        if self._free > 0:
            self._free -= 1
            return
        if not self._queue_s:
            raise NoPlace(
                f"{self.max_in_flight} requests to provider `{self._provider}` are in flight, as many as it is given"
            )
        loop = asyncio.get_running_loop()
        place: asyncio.Future[None] = loop.create_future()
        timer = loop.call_later(self._queue_s, _time_out, place)
        self._waiting[place] = None
        try:
            await place
        except TimeoutError:
            raise NoPlace(
                f"no place at provider `{self._provider}` came free within {self._queue_s:g} s "
                f"({self.max_in_flight} requests in flight)"
            ) from None
        except asyncio.CancelledError:
            if place.done() and not place.cancelled() and place.exception() is None:
                self.leave()  # it was given to us in the same turn
            raise
        finally:
            timer.cancel()
            self._waiting.pop(place, None)

    def leave(self) -> None:
        """A request is over: its place goes to whoever has waited longest."""
        while self._waiting and self._free >= 0:
            place, _ = self._waiting.popitem(last=False)
            if not place.done():  # it timed out or was cancelled in this very turn
                place.set_result(None)
                return
        self._free += 1


def _time_out(place: asyncio.Future[None]) -> None:
    if not place.done():
        place.set_exception(TimeoutError())
