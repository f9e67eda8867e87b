"""CPU per frame of each dialect's reader, on recorded streams: from the provider's bytes to the client's.

    python -m tests.bench.decoders [--seconds 0.5]

Pass-through for OpenAI's dialect, translations for the others; fed frame by frame, as a stream arrives. It needs the
recorded exchanges beside the project.
"""

import argparse
import sys
import time
from collections.abc import Callable, Sequence

from providers.clients.openai_chat import OpenAIChat as Client
from providers.dialects import Reader, open_reader
from providers.registry import REGISTRY
from tests.support.recordings import Recording, chat_streams, cut, frames_of
from tests.support.translating import ADAPTERS, foreign_streams

_CLIENT = Client()


def by_adapter() -> dict[str, list[Recording]]:
    """Recorded streams, by the adapter that reads them."""
    found: dict[str, list[Recording]] = {}
    for recording in chat_streams():
        found.setdefault(recording.adapter, []).append(recording)
    for recording in foreign_streams():
        found.setdefault(ADAPTERS[recording.provider, recording.endpoint], []).append(recording)
    return found


def pieces_of(adapter: str, body: bytes) -> list[bytes]:
    """A frame each; Bedrock's say their own length."""
    if adapter != "bedrock":
        return frames_of(body)
    borders, position = [], 0
    while position < len(body):
        borders.append(position)
        position += int.from_bytes(body[position : position + 4], "big")
    return cut(body, borders)


def fed(opened: Callable[[], Reader], streams: Sequence[Sequence[bytes]]) -> int:
    """Read every stream once; gives how many frames that were."""
    frames = 0
    for pieces in streams:
        reader = opened()
        for piece in pieces:
            reader.feed(piece)
        reader.close()
        frames += len(pieces)
    return frames


def microseconds_per_frame(adapter: str, recordings: Sequence[Recording], seconds: float) -> float:
    """The best of several runs: others on the machine only ever make it slower."""
    dialect = REGISTRY[adapter].dialect

    def opened() -> Reader:
        return open_reader(dialect, _CLIENT, many_choices=False, answer_id="req-1", model="m", created_s=1)

    streams = [pieces_of(adapter, recording.body) for recording in recordings]
    best, until = float("inf"), time.monotonic() + seconds
    while time.monotonic() < until:
        began = time.process_time()
        frames = fed(opened, streams)
        best = min(best, (time.process_time() - began) / frames)
    return best * 1_000_000


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--seconds", type=float, default=0.5, help="how long each adapter is measured")
    given = parser.parse_args()
    found = by_adapter()
    if not found:
        sys.exit("no recorded exchanges beside the project")
    for adapter, recordings in sorted(found.items()):
        figure = microseconds_per_frame(adapter, recordings, given.seconds)
        sys.stdout.write(f"{adapter:18} {figure:7.1f} us / frame   {len(recordings):3} streams\n")


if __name__ == "__main__":
    main()
