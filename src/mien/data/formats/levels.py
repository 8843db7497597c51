"""What the levels of a folder tree mean: wrappers, splits and classes, weighed by the pictures that they hold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from mien.core.labels import canonical, is_expression
from mien.data.split import split_in, split_of

Parts = tuple[str, ...]
_NEARLY_ALL = 0.9  # of the pictures: what lies beside is a preview, a figure, a cover


@dataclass(frozen=True)
class Layout:
    """The level of split names (None: there is none) and that of classes, counted from 0.

    Attributes:
        splits: the split that each folder of the split level stands for; a name that is none stands for itself.
        wrappers: for the levels around the classes, the one folder that is meant.
        overlooked: folders called like expressions below classes that are none.
    """

    split_level: int | None
    class_level: int
    splits: Mapping[str, str]
    wrappers: Mapping[int, str]
    overlooked: frozenset[str] = frozenset()

    @classmethod
    def of(cls, folders: Counter[Parts]) -> Layout:
        """Find the levels from all folders and how many pictures each holds.

        From the top, a level of splits, with a wrapper, or around expressions is passed; the next is that of the
        classes. A split level may also stand below the classes.
        """
        wrappers: dict[int, str] = {}
        splits: dict[str, str] = {}
        split_level, level = None, 0
        while level < _depth(folders):
            wrapper, found = _wrapper(folders, level), _splits(folders, level)
            if wrapper is not None and not found:
                wrappers[level] = wrapper
                folders = Counter({parts: n for parts, n in folders.items() if _leads_to(parts, level, wrapper)})
                found = _splits(folders, level)
            if split_level is None and found:
                split_level, splits = level, found
            elif wrapper is None and not _only_surrounds(folders, level):
                break
            level += 1
        if split_level is None:
            below = ((i, _splits(folders, i)) for i in range(level + 1, _depth(folders)))
            split_level, splits = next(((i, found) for i, found in below if found), (None, {}))
        return cls(split_level, level, splits, wrappers, _expressions_below(folders, level))

    @property
    def is_plain(self) -> bool:
        """Whether nothing but splits is around the classes."""
        above = self.split_level is not None and self.split_level < self.class_level
        return self.class_level == int(above) and not self.wrappers

    def is_beside(self, parts: Parts) -> bool:
        """Whether a folder lies beside the one that holds the classes."""
        return not all(_leads_to(parts, level, name) for level, name in self.wrappers.items())

    def split_and_class(self, parts: Parts) -> tuple[str | None, str | None]:
        """Split and class of a picture in the folder `parts`."""
        split = None
        if self.split_level is not None and len(parts) > self.split_level:
            split = self.splits.get(parts[self.split_level], parts[self.split_level])
        return split, parts[self.class_level] if len(parts) > self.class_level else None


def _depth(folders: Iterable[Parts]) -> int:
    return max(map(len, folders))


def _leads_to(parts: Parts, level: int, name: str) -> bool:
    """Whether a folder is the one of this name at this level, or in it, or above it."""
    return len(parts) <= level or parts[level] == name


def _names(folders: Iterable[Parts], level: int) -> set[str]:
    return {parts[level] for parts in folders if len(parts) > level}


def _expressions_below(folders: Iterable[Parts], level: int) -> frozenset[str]:
    """The folders below a level that are called like expressions, where none of the level itself is."""
    names = [_names(folders, i) for i in range(level, _depth(folders))]
    if not names or any(map(is_expression, names[0])):
        return frozenset()
    return frozenset(filter(is_expression, set[str]().union(*names[1:])))


def _splits(folders: Iterable[Parts], level: int) -> dict[str, str]:
    """The split of each folder of a level of splits; empty when it is none.

    It is one when all are called so, or when two different splits are among them (a class may be called "train").
    Names that only speak of a split, such as training_set and test_set, are splits when each speaks of another one, or
    when they hold the same folders, as TrainA, TrainB and Test around the classes.
    """
    names = _names(folders, level)
    exact = {split_of(name) for name in names} - {None}
    if len(exact) > 1 or (len(exact) == 1 and all(split_of(name) for name in names)):
        return {name: split_of(name) or name for name in names}
    spoken = {name: split for name in names if (split := split_in(name))}
    different = len(set(spoken.values()))
    if len(spoken) < len(names) or different < 2:
        return {}
    return spoken if different == len(names) or _share_folders(folders, level) else {}


def _share_folders(folders: Iterable[Parts], level: int) -> bool:
    """Whether several folders of a level have folders below them, of which some name is in each."""
    below: dict[str, set[str]] = defaultdict(set)
    for parts in folders:
        if len(parts) > level + 1:
            below[parts[level]].add(parts[level + 1])
    return len(below) > 1 and bool(set.intersection(*below.values()))


def _wrapper(folders: Counter[Parts], level: int) -> str | None:
    """The folder of this level that only surrounds the classes: nearly all pictures lie in folders below it.

    It stands alone, or has expressions below it, or splits that the folders beside it have not; else they may all be
    classes, one of them large. A folder that is called like an expression is a class, unless expressions are below it.
    So is one with nothing but splits below it, or with a single folder while it has others beside it.
    """
    total = sum(count for parts, count in folders.items() if len(parts) > level)
    inside: Counter[str] = Counter()
    for parts, count in folders.items():
        if len(parts) > level + 1:
            inside[parts[level]] += count
    largest, count = max(inside.items(), key=lambda item: item[1], default=("", 0))
    if count < _NEARLY_ALL * total or not count:
        return None
    within = [parts for parts in folders if parts[level : level + 1] == (largest,)]
    beside = [parts for parts in folders if len(parts) > level and parts[level] != largest]
    classes = [_names(within, i) for i in range(level + 1, _depth(within)) if not _splits(within, i)]
    names = _names(folders, level)
    if not classes or (len(names) > 1 and max(map(len, classes)) == 1):
        return None
    known_below = any(is_expression(name) for name in classes[0])
    if known_below:
        return largest
    meant = not beside or (_has_splits(within, level + 1) and not _has_splits(beside, level + 1))
    return largest if meant and not any(map(is_expression, names)) else None


def _has_splits(folders: list[Parts], first: int) -> bool:
    """Whether one of the levels from `first` on is of splits."""
    return any(_splits(folders, level) for level in range(first, _depth(folders)))


def _only_surrounds(folders: Counter[Parts], level: int) -> bool:
    """Whether the folders of a level are people or sets around expressions, or the splits once more."""
    names, below = _names(folders, level), _names(folders, level + 1)
    if _splits(folders, level) and level:
        deep = (parts for parts in folders if len(parts) > level)
        return bool(below) and all(split_of(parts[level]) == split_of(parts[level - 1]) for parts in deep)
    return len(below) > 1 and not any(map(is_expression, names)) and _are_classes(folders, level + 1)


def _are_classes(folders: Iterable[Parts], level: int) -> bool:
    """Whether the folders of a level are expressions: all, or most of them and two or more in several folders above."""
    around: dict[str, set[str]] = defaultdict(set)
    for parts in folders:
        if len(parts) > level:
            around[canonical(parts[level])].add(parts[level - 1])
    shared = sum(is_expression(name) and len(above) > 1 for name, above in around.items())
    return all(map(is_expression, around)) or (shared > 1 and 2 * shared > len(around))
