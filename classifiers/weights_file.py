"""The file of learnt weights: what is in it, and how it is read and written. Same weights, same bytes.

Layout: a line with the lengths of what follows; the header, JSON; the names of the features of each block, one a
line; then one byte per feature and output, features in the order of their names. A weight is its byte less 128, times
the scale of its block and output. Pure Python, so that the run time needs nothing else.
"""

from dataclasses import dataclass
from typing import Any, Final

import orjson

_MAGIC: Final = b"headgate scorer 1"
BLOCKS: Final = ("words", "forms", "material")


class BadWeights(Exception):
    """The file is not one of these, or of another version."""


@dataclass(frozen=True, slots=True)
class Block:
    """Features of one kind. `rows[i]` holds one byte (0..255, 128 is zero) per output for `names[i]`."""

    names: tuple[str, ...]
    rows: tuple[bytes, ...]
    scales: tuple[float, ...]  # one per output


@dataclass(frozen=True, slots=True)
class Weights:
    """All that was learnt. Outputs stand in the order of `outputs`: (head, label)."""

    outputs: tuple[tuple[str, str], ...]
    biases: tuple[float, ...]
    blocks: dict[str, Block]
    # Confidence as it was found on rows not fitted: per kind of ask, (said, found) points with growing `said`.
    calibration: dict[str, tuple[tuple[float, float], ...]]
    # The spread of the gain over the fitted rows, so that a difficulty is a share of them: growing quantiles.
    gain_quantiles: tuple[float, ...]
    fitted_on: str  # digest of the rows

    def to_bytes(self) -> bytes:
        header = {
            "outputs": self.outputs,
            "biases": self.biases,
            "blocks": {
                name: {"features": len(self.blocks[name].names), "scales": self.blocks[name].scales}
                for name in BLOCKS
            },
            "calibration": self.calibration,
            "gain_quantiles": self.gain_quantiles,
            "fitted_on": self.fitted_on,
        }
        head = orjson.dumps(header, option=orjson.OPT_SORT_KEYS)
        names = [name for block in BLOCKS for name in self.blocks[block].names]
        listed = "\n".join(names).encode()
        rows = b"".join(row for block in BLOCKS for row in self.blocks[block].rows)
        return b"%s %d %d\n%s%s%s" % (_MAGIC, len(head), len(listed), head, listed, rows)


def from_bytes(data: bytes) -> Weights:
    """Read what `to_bytes` wrote.

    Raises:
        BadWeights: another file, another version, or cut short.
    """
    first, _, rest = data.partition(b"\n")
    if not first.startswith(_MAGIC + b" "):
        raise BadWeights("not a file of weights of this version")
    head_bytes, names_bytes = map(int, first[len(_MAGIC) + 1 :].split())
    header: dict[str, Any] = orjson.loads(rest[:head_bytes])
    names = rest[head_bytes : head_bytes + names_bytes].decode().split("\n")
    rows = rest[head_bytes + names_bytes :]
    outputs = tuple((head, label) for head, label in header["outputs"])
    width = len(outputs)
    if len(rows) != width * len(names):
        raise BadWeights(f"{len(rows)} bytes of weights where {width * len(names)} were announced")
    blocks: dict[str, Block] = {}
    start = 0
    for block in BLOCKS:
        said = header["blocks"][block]
        end = start + said["features"]
        own = tuple(rows[at * width : (at + 1) * width] for at in range(start, end))
        blocks[block] = Block(tuple(names[start:end]), own, tuple(said["scales"]))
        start = end
    calibration = {
        kind: tuple((said, found) for said, found in points) for kind, points in header["calibration"].items()
    }
    return Weights(
        outputs,
        tuple(header["biases"]),
        blocks,
        calibration,
        tuple(header["gain_quantiles"]),
        header["fitted_on"],
    )
