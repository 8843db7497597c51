"""Places for the boxes of a graph, from top to bottom: layers by longest path, few crossings, a straight middle.

The steps of Sugiyama, Tagawa and Toda 1981 (IEEE Trans. SMC 11:109) in a small form: ranks, stand-ins where an edge
passes a rank, orders by the means of neighbours, and places by least squares that keep the order.
"""

from __future__ import annotations

from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

SWEEPS = 12
_FIXED = 1e9
Points = list[tuple[float, float]]


@dataclass(frozen=True)
class Size:
    """Width and height of a box."""

    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything is, in the units of the sizes; y grows downwards.

    Attributes:
        centres: of the boxes, by number.
        routes: of the edges, in the order they were given: points from the lower side of one box to the upper side
            of another, one a rank that is passed.
        width: of the whole; height too.
    """

    centres: Points
    routes: list[Points]
    width: float
    height: float


def arrange(sizes: Sequence[Size], edges: Sequence[tuple[int, int]], *, gap: float, drop: float) -> Layout:
    """Places for boxes.

    Args:
        sizes: of the boxes.
        edges: pairs of box numbers, each from a lower to a higher number.
        gap: least distance between two boxes of a rank.
        drop: distance between two ranks.

    Raises:
        ValueError: an edge does not lead to a higher number.
    """
    if any(a >= b for a, b in edges):
        raise ValueError("edges lead from a lower to a higher number")
    ranks = _ranks(len(sizes), edges)
    ranks, links, chains = _with_stand_ins(ranks, edges)
    orders = _ordered(ranks, links)
    widths = np.array([size.width for size in sizes] + [0.0] * (len(ranks) - len(sizes)))
    x = _placed(orders, links, widths, gap)
    tall = [max((sizes[i].height for i in row if i < len(sizes)), default=0.0) for row in orders]
    tops = np.concatenate([[0.0], np.cumsum(np.array(tall) + drop)])
    y = [float(tops[rank] + tall[rank] / 2) for rank in ranks]
    x -= (x - widths / 2).min()
    centres = [(float(x[i]), y[i]) for i in range(len(sizes))]
    routes = [_route(chain, x, y, sizes, (tops, tall, ranks)) for chain in chains]
    return Layout(centres, routes, float((x + widths / 2).max()), float(tops[-1] - drop))


def _ranks(count: int, edges: Sequence[tuple[int, int]]) -> list[int]:
    """The longest way to each box from above."""
    ranks = [0] * count
    for a, b in sorted(edges, key=lambda edge: edge[1]):
        ranks[b] = max(ranks[b], ranks[a] + 1)
    return ranks


def _with_stand_ins(
    ranks: list[int], edges: Sequence[tuple[int, int]]
) -> tuple[list[int], list[tuple[int, int]], list[list[int]]]:
    """Ranks with one more item for each rank an edge passes; links between neighbouring ranks; a chain an edge."""
    ranks, chains = list(ranks), []
    links: list[tuple[int, int]] = []
    for a, b in edges:
        chain = [a]
        for rank in range(ranks[a] + 1, ranks[b]):
            ranks.append(rank)
            chain.append(len(ranks) - 1)
        chain.append(b)
        chains.append(chain)
        links += pairwise(chain)
    return ranks, links, chains


def _ordered(ranks: list[int], links: list[tuple[int, int]]) -> list[list[int]]:
    """The items of each rank from left to right, of several sweeps the order with the fewest crossings."""
    rows: list[list[int]] = [[] for _ in range(max(ranks, default=0) + 1)]
    for item, rank in enumerate(ranks):
        rows[rank].append(item)
    above, below = _neighbours(len(ranks), links)
    best, fewest = [list(row) for row in rows], _crossings(rows, below)
    place = {item: at for row in rows for at, item in enumerate(row)}
    for sweep in range(SWEEPS):
        near = above if sweep % 2 == 0 else below
        for row in rows if sweep % 2 == 0 else reversed(rows):
            mean = {i: sum(place[n] for n in near[i]) / len(near[i]) if near[i] else place[i] for i in row}
            row.sort(key=mean.__getitem__)
            place |= {item: at for at, item in enumerate(row)}
        found = _crossings(rows, below)
        if found < fewest:
            best, fewest = [list(row) for row in rows], found
    return best


def _neighbours(count: int, links: list[tuple[int, int]]) -> tuple[list[list[int]], list[list[int]]]:
    above: list[list[int]] = [[] for _ in range(count)]
    below: list[list[int]] = [[] for _ in range(count)]
    for a, b in links:
        below[a].append(b)
        above[b].append(a)
    return above, below


def _crossings(rows: list[list[int]], below: list[list[int]]) -> int:
    """How many pairs of links cross."""
    total = 0
    for upper, lower in pairwise(rows):
        place = {item: at for at, item in enumerate(lower)}
        before: list[int] = []
        for a in upper:
            for end in sorted(place[b] for b in below[a]):
                total += len(before) - bisect_right(before, end)
                insort(before, end)
    return total


def _placed(
    orders: list[list[int]], links: list[tuple[int, int]], widths: NDArray[np.float64], gap: float
) -> NDArray[np.float64]:
    """x of every item: the longest way in one line, all else near its neighbours, in order and `gap` apart."""
    above, below = _neighbours(len(widths), links)
    middle = _longest_way(orders, above)
    weight = np.where(np.isin(np.arange(len(widths)), middle), _FIXED, 1.0)
    x = np.zeros(len(widths))
    for sweep in range(2 * SWEEPS):
        near = above if sweep % 2 == 0 else below
        for row in orders if sweep % 2 == 0 else reversed(orders):
            wanted = [0.0 if i in middle else float(x[near[i]].mean()) if near[i] else float(x[i]) for i in row]
            x[row] = _apart(np.array(wanted), weight[row], widths[row], gap)
    return x


def _longest_way(orders: list[list[int]], above: list[list[int]]) -> list[int]:
    """One item of each rank, from the last rank up, each linked to the next."""
    way = orders[-1][:1]
    while above[way[-1]]:
        way.append(min(above[way[-1]]))
    return way


def _apart(
    wanted: NDArray[np.float64], weight: NDArray[np.float64], widths: NDArray[np.float64], gap: float
) -> NDArray[np.float64]:
    """The places nearest to `wanted` by weighted squares that keep the order and `gap`: pool adjacent violators."""
    steps = np.concatenate([[0.0], np.cumsum(widths[:-1] / 2 + widths[1:] / 2 + gap)])
    blocks: list[tuple[float, float, int]] = []  # mean, weight, items
    for value, heavy in zip(wanted - steps, weight, strict=True):
        mean, total, count = float(value), float(heavy), 1
        while blocks and blocks[-1][0] > mean:
            before, w, n = blocks.pop()
            mean, total, count = (before * w + mean * total) / (w + total), w + total, n + count
        blocks.append((mean, total, count))
    placed: NDArray[np.float64] = np.repeat([mean for mean, _, _ in blocks], [count for _, _, count in blocks]) + steps
    return placed


def _route(
    chain: list[int],
    x: NDArray[np.float64],
    y: list[float],
    sizes: Sequence[Size],
    rows: tuple[NDArray[np.float64], list[float], list[int]],
) -> Points:
    """From box to box; past a rank straight down along all of its height."""
    tops, tall, ranks = rows
    first, last = chain[0], chain[-1]
    points = [(float(x[first]), y[first] + sizes[first].height / 2)]
    for item in chain[1:-1]:
        top = float(tops[ranks[item]])
        points += [(float(x[item]), top), (float(x[item]), top + tall[ranks[item]])]
    return [*points, (float(x[last]), y[last] - sizes[last].height / 2)]
