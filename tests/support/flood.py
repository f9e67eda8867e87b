"""As much load as a gateway takes: a process of its own with many connections that never rest. Run as a script.

Arguments: port, key, connections. Prints how many requests were answered with 200, and how many otherwise, at SIGTERM.
"""

import asyncio
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_REQUEST = "GET /v1/models HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {key}\r\n\r\n"


async def main(port: int, key: str, connections: int) -> None:
    counts = {True: 0, False: 0}
    over = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, over.set)

    async def flood() -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        while not over.is_set():
            writer.write(_REQUEST.format(key=key).encode())
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(
                int(line.partition(b":")[2])
                for line in head.lower().split(b"\r\n")
                if line.startswith(b"content-length")
            )
            await reader.readexactly(length)
            counts[head.startswith(b"HTTP/1.1 200")] += 1
        writer.close()

    print("flooding", flush=True)  # noqa: T201 - whoever started it waits for this
    async with asyncio.TaskGroup() as tasks:
        for _ in range(connections):
            tasks.create_task(flood())
    print(counts[True], counts[False])  # noqa: T201 - its result


class Flood:
    """A flood under way. `stop` gives how many answers were good, and how many were not."""

    def __init__(self, process: "subprocess.Popen[str]") -> None:
        self._process = process

    def stop(self) -> tuple[int, int]:
        self._process.send_signal(signal.SIGTERM)
        said, _ = self._process.communicate(timeout=20)
        good, bad = said.split()
        return int(good), int(bad)


@contextmanager
def flooding(port: int, key: str, connections: int) -> Iterator[Flood]:
    """A flood for the time of the block."""
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.flood", str(port), key, str(connections)],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        assert "flooding" in process.stdout.readline()
        yield Flood(process)
    finally:
        if process.poll() is None:
            process.kill()
        process.wait()
        assert process.stdout is not None
        process.stdout.close()


if __name__ == "__main__":
    asyncio.run(main(int(sys.argv[1]), sys.argv[2], int(sys.argv[3])))
