"""From pairs to groups: what is linked through any chain of pairs belongs together."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.search import Pairs

Groups = NDArray[np.int64]
ALONE = -1


def groups_of(count: int, pairs: Pairs) -> Groups:
    """Group ids (count,), numbered from 0 by their first member, `ALONE` for positions that no pair mentions."""
    linked = np.zeros(count, bool)
    linked[pairs] = True
    part = components(count, pairs)
    ids = np.full(count, ALONE, np.int64)
    members, first, ids[linked] = np.unique(part[linked], return_index=True, return_inverse=True)
    rank = np.zeros(len(members) + 1, np.int64)
    rank[-1] = ALONE
    rank[np.argsort(first)] = np.arange(len(members))
    numbered: Groups = rank[ids]
    return numbered


def components(count: int, pairs: Pairs) -> NDArray[np.int64]:
    """A number (count,) for each position, the same for those that any chain of pairs links."""
    # Loaded here because it takes a while, and whoever only asks about known groups needs none of it.
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    graph = coo_array((np.ones(len(pairs), np.int8), (pairs[:, 0], pairs[:, 1])), shape=(count, count))
    return np.asarray(connected_components(graph, directed=False)[1], np.int64)


def links(group: Groups) -> Pairs:
    """Pairs (P, 2) that tie every group together, each member to the next: the inverse of `groups_of`."""
    members = np.flatnonzero(group >= 0)
    order = members[np.argsort(group[members], kind="stable")]
    same = group[order[1:]] == group[order[:-1]]
    return np.stack([order[:-1][same], order[1:][same]], axis=1)


def tidied(group: Groups) -> Groups:
    """Group ids (N,) numbered anew from 0, without groups of a single member, such as are left when rows are taken."""
    return groups_of(len(group), links(group))


def sizes(group: Groups) -> NDArray[np.int64]:
    """Number of pictures (G,) in each group; those that are alone are not counted."""
    return np.bincount(group[group >= 0])


def first_of_each(group: Groups) -> NDArray[np.bool_]:
    """Mask (N,) that keeps the first picture of each group and all that are alone."""
    keep = group < 0
    keep[np.unique(group, return_index=True)[1]] = True
    return keep


def present(group: Groups, where: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Mask (N,) of the pictures whose group has a member in `where` (N,); those that are alone never."""
    has = np.zeros(int(group.max(initial=-1)) + 1, bool)
    has[group[where & (group >= 0)]] = True
    return np.asarray((group >= 0) & np.append(has, False)[group], np.bool_)


def majority(group: Groups, label: NDArray[np.integer], where: NDArray[np.bool_]) -> NDArray[np.int64]:
    """The commonest label (N,) among the members in `where` of each picture's group, the lowest of equals; else −1.

    Unlabelled members (−1) have no say.
    """
    told = where & (group >= 0) & (label >= 0)
    classes = int(label.max(initial=0)) + 1
    cells, count = np.unique(group[told] * classes + label[told], return_counts=True)
    of, what = np.divmod(cells, classes)
    order = np.lexsort((what, -count, of))
    of, what = of[order], what[order]
    first = np.append(True, of[1:] != of[:-1])[: len(of)]
    table = np.full(int(group.max(initial=-1)) + 2, -1, np.int64)
    table[of[first]] = what[first]
    return table[group]  # a picture that is alone reads the last entry, −1
