"""The recipe of golden_indices.json: a second implementation of the portable draw, in plain Python.

It follows the description of the algorithm word by word, with Python integers and loops, and shares
nothing with the library but NumPy's Philox. To write the file anew (which breaks the promise that a
seed keeps its indices for ever): ``python tests/golden_indices.py``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from pathlib import Path

import numpy as np

FILE = Path(__file__).with_suffix(".json")

CASES = [
    {"seed": seed, "n": n, "num_mix": num_mix, "num_outputs": num_outputs, "anchored": anchored}
    for seed in ([0], [2**128 - 1], [1, 2, 3, 4294967295])
    for n, num_mix, num_outputs in [
        (1, 1, 1),
        (2, 2, 2),
        (5, 5, 5),
        (8, 2, 8),
        (8, 3, 19),
        (33, 8, 32),
        (100, 30, 4),
        (1000, 20, 500),
        (300, 300, 300),
        (10**6, 3, 1000),
    ]
    for anchored in (True, False)
]


# What a generator gives as a seed: eight of its words, or of what torch makes of them.
WORDS_OF_GENERATORS = {
    "PCG64": [
        *(3485385464, 770692085, 778955830, 3733325604),
        *(169217806, 1426794759, 2668153314, 1137256737),
    ],
    "PCG64DXSM": [
        *(4234965425, 3623335912, 4171405818, 2862434462),
        *(2334669224, 1521745991, 2106684779, 3320529067),
    ],
    "MT19937": [
        *(3843294716, 3633671190, 2134938238, 2511314771),
        *(2833801731, 2398230783, 254806671, 2157730735),
    ],
    "Philox": [
        *(2822938822, 1160386694, 2470991254, 1912692795),
        *(3873367202, 1400169018, 2448819223, 790031773),
    ],
    "SFC64": [
        *(505003342, 3016514949, 1801522516, 3070988745),
        *(470959508, 1413598129, 3043803539, 4245462579),
    ],
    "torch": [
        *(303761048, 3607553667, 521102280, 2445173525),
        *(1877166739, 80522091, 174507689, 1064672149),
    ],
}


def words(seed: list[int] | list[list[int]]) -> Iterator[int]:
    sequence = np.random.SeedSequence(seed[0], spawn_key=tuple(seed[1:]))
    bits = np.random.Philox(sequence)
    while True:
        yield from map(int, bits.random_raw(1024))


def below(stream: Iterator[int], n: int, count: int) -> list[int]:
    """Words modulo n; those past the last full cycle of n are replaced afterwards, in order."""
    taken = [next(stream) for _ in range(count)]
    limit = 2**64 // n * n
    while bad := [i for i, word in enumerate(taken) if word >= limit]:
        for i in bad:
            taken[i] = next(stream)
    return [word % n for word in taken]


def redraw(stream: Iterator[int], rows: int, n: int, length: int) -> list[list[int]]:
    """Replace entries that occur to their left, by row and value, until none do."""
    flat = below(stream, n, rows * length)
    table = [flat[i * length : (i + 1) * length] for i in range(rows)]
    while True:
        hits = [
            (i, value, place)
            for i, row in enumerate(table)
            for place, value in enumerate(row)
            if value in row[:place]
        ]
        if not hits:
            return table
        for (i, _, place), value in zip(sorted(hits), below(stream, n, len(hits)), strict=True):
            table[i][place] = value


def sort(stream: Iterator[int], rows: int, n: int, length: int) -> list[list[int]]:
    """Order the things by the words they get, with the thing in the low bits of its word."""
    shift = (n - 1).bit_length()
    table = []
    for _ in range(rows):
        packed = sorted((next(stream) >> shift) << shift | thing for thing in range(n))
        assert len({word >> shift for word in packed}) == n, "a tie: not in these cases"
        table.append([word & ((1 << shift) - 1) for word in packed][:length])
    return table


def arrangements(stream: Iterator[int], rows: int, n: int, length: int) -> list[list[int]]:
    draw = redraw if 4 * length <= n else sort
    return draw(stream, rows, n, length)


def orderings(
    seed: list[int] | list[list[int]], n: int, num_mix: int, num_outputs: int, anchored: bool
) -> list[list[int]]:
    stream = words(seed)
    if not anchored:
        return arrangements(stream, num_outputs, n, num_mix)
    if num_mix == 1:
        return [[i % n] for i in range(num_outputs)]
    others = arrangements(stream, num_outputs, n - 1, num_mix - 1)
    return [[i % n, *(other + (other >= i % n) for other in row)] for i, row in enumerate(others)]


def digest(indices: list[list[int]]) -> str:
    return hashlib.sha256(np.asarray(indices, dtype="<i8").tobytes()).hexdigest()


def main() -> None:
    golden = []
    for case in CASES:
        indices = orderings(**case)
        golden.append({**case, "first_row": indices[0][:8], "sha256": digest(indices)})
    FILE.write_text("[\n" + ",\n".join(map(json.dumps, golden)) + "\n]\n", encoding="utf-8")


if __name__ == "__main__":
    main()
