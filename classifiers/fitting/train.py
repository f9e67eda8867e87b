"""`make train-classifier`: labelled rows in, the file of weights out. The same rows give the same bytes."""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from classifiers.fitting.fit import fit
from classifiers.fitting.rows import DataMissing, Row, read

WEIGHTS: Final = Path(__file__).resolve().parents[1] / "weights" / "scorer.bin"
# Half a megabyte of weights; twice as many words move no figure by more than its noise.
MOST_WORDS: Final = 10_000
_NO_DATA: Final = 2


def trained(rows: Sequence[Row], most_words: int = MOST_WORDS) -> bytes:
    """The file of weights fitted on those of `rows` that are not held out."""
    fitted = [row for row in rows if not row.held_out]
    return fit(fitted, most_words, fingerprint(fitted)).to_bytes()


def fingerprint(rows: Sequence[Row]) -> str:
    """Digest of which rows were used, in which order."""
    found = hashlib.sha256()
    for row in rows:
        found.update(f"{row.set}/{row.id}/{row.digest}\n".encode())
    return found.hexdigest()


def main(arguments: Sequence[str]) -> int:
    parser = argparse.ArgumentParser(prog="make train-classifier", description=__doc__)
    parser.add_argument("--data", type=Path, help="the directory of labelled rows (docs/classification.md)")
    parser.add_argument("--out", type=Path, default=WEIGHTS)
    parser.add_argument("--words", type=int, default=MOST_WORDS)
    given = parser.parse_args(arguments)
    if given.data is None:
        print(
            "no data: make train-classifier ARGS='--data DIR'; docs/classification.md says what DIR holds",
            file=sys.stderr,
        )
        return _NO_DATA
    try:
        rows = read(given.data)
    except DataMissing as missing:
        print(f"no data: {missing}", file=sys.stderr)
        return _NO_DATA
    found = trained(rows, given.words)
    given.out.write_bytes(found)
    held_out = sum(row.held_out for row in rows)
    print(f"{given.out}: {len(found)} bytes from {len(rows) - held_out} rows; {held_out} held out")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
