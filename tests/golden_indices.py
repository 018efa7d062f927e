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
        (2**31 - 1, 40, 9),
        (1030, 1030, 3),
        (33, 16, 33),
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


def halves(stream: Iterator[int], count: int) -> list[int]:
    """Words of 32 bits: of each word the low half first. The last half of an odd count is lost."""
    raw = [next(stream) for _ in range(-(-count // 2))]
    return [half for word in raw for half in (word % 2**32, word >> 32)][:count]


def below(stream: Iterator[int], limits: list[list[int]]) -> list[list[int]]:
    """For each limit a word times it, above 32 bits; rejected ones again, in order."""
    places = [(rank, column) for rank, row in enumerate(limits) for column in range(len(row))]
    table = [[0] * len(row) for row in limits]
    while places:
        rejected = []
        for (rank, column), word in zip(places, halves(stream, len(places)), strict=True):
            high, low = divmod(word * limits[rank][column], 2**32)
            table[rank][column] = high
            if low < 2**32 % limits[rank][column]:
                rejected.append((rank, column))
        places = rejected
    return table


def by_digits(
    stream: Iterator[int], rows: int, n: int, taken: list[list[int]], length: int
) -> list[list[int]]:
    """Digit r says which of the things that are left comes next."""
    digits = below(stream, [[n - len(taken[0]) - r] * rows for r in range(length)])
    table = []
    for i in range(rows):
        row = list(taken[i])
        for r in range(length):
            thing = digits[r][i]
            for other in sorted(row):
                thing += thing >= other
            row.append(thing)
        table.append(row)
    return table


def of_donors(
    seed: list[int] | list[list[int]],
    donors: list[list[int]],
    anchors: list[int],
    num_mix: int,
    width: int | None = None,
) -> list[list[int]]:
    """Digit r of a row says which of its donors that are left, in the order given, comes next.

    Long rows are sorted: as many things as a sample may have donors, all others or the `width` of a
    table; those that it has come in the order they have there.
    """
    stream = words(seed)
    if num_mix * num_mix >= 8 * len(donors):
        width = len(donors) - 1 if width is None else width
        table = []
        for anchor, order in zip(anchors, sort(stream, len(anchors), width, width), strict=True):
            row = [donors[anchor][place] for place in order if place < len(donors[anchor])]
            table.append(([anchor, *row] + [anchor] * num_mix)[:num_mix])
        return table
    counts = [len(donors[anchor]) for anchor in anchors]
    limits = [[max(1, count - r) for count in counts] for r in range(num_mix - 1)]
    digits = below(stream, limits)
    table = []
    for i, anchor in enumerate(anchors):
        left = list(donors[anchor])
        row = [left.pop(digits[r][i]) if left else anchor for r in range(num_mix - 1)]
        table.append([anchor, *row])
    return table


def sort(stream: Iterator[int], rows: int, n: int, length: int) -> list[list[int]]:
    """Order the things by the words they get, with the thing in the low bits of its word.

    Up to 1024 things have words of 32 bits; rows with ties are then drawn again, after the others.
    """
    shift = (n - 1).bit_length()
    table: list[list[int]] = [[]] * rows
    left = list(range(rows))
    while left:
        count = len(left) * n
        drawn = halves(stream, count) if n <= 1024 else [next(stream) for _ in range(count)]
        tied = []
        for place, row in enumerate(left):
            part = drawn[place * n : (place + 1) * n]
            packed = sorted(word >> shift << shift | thing for thing, word in enumerate(part))
            table[row] = [word & ((1 << shift) - 1) for word in packed][:length]
            if len({word >> shift for word in packed}) < n:
                tied.append(row)
        assert not tied or n <= 1024, "a tie: not in these cases"
        left = tied
    return table


def orderings(
    seed: list[int] | list[list[int]], n: int, num_mix: int, num_outputs: int, anchored: bool
) -> list[list[int]]:
    stream = words(seed)
    anchors = [[i % n] if anchored else [] for i in range(num_outputs)]
    length = num_mix - anchored
    if num_mix * num_mix < 8 * n:
        return by_digits(stream, num_outputs, n, anchors, length)
    table = sort(stream, num_outputs, n - anchored, length)
    if not anchored:
        return table
    return [[i % n, *(other + (other >= i % n) for other in row)] for i, row in enumerate(table)]


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
