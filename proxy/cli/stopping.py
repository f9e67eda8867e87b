"""What signals ask for: to stop in good order, to skip the lame duck, to end at once."""

import asyncio
import signal


class Stopping:
    """How far a stop has come; use it on one event loop.

    Attributes:
        asked: the process is to stop.
        closing: nothing more is accepted, from now on.
        at_once: what is under way is not waited for.
    """

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.closing = asyncio.Event()
        self.at_once = asyncio.Event()

    def terminate(self) -> None:
        """SIGTERM: a lame duck first; the second time it is over."""
        if self.asked.is_set():
            self.closing.set()
        self.asked.set()

    def interrupt(self) -> None:
        """SIGINT: no lame duck, for somebody sits in front of it; the second time nothing is waited for."""
        if self.closing.is_set():
            self.at_once.set()
        self.asked.set()
        self.closing.set()

    def heed_signals(self) -> None:
        """Let SIGTERM and SIGINT of this process do so."""
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self.terminate)
        loop.add_signal_handler(signal.SIGINT, self.interrupt)

    async def lame_duck(self, lame_duck_s: float) -> None:
        """Wait until nothing more is to be accepted."""
        try:
            async with asyncio.timeout(lame_duck_s):
                await self.closing.wait()
        except TimeoutError:
            self.closing.set()
