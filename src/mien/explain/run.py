"""All parts of an explanation, one after the other; each is complete in the folder before the next begins."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager
from pathlib import Path

from mien.core.errors import unknown_name
from mien.explain import mistakes, show_architecture, show_attention, show_layers, show_robustness, show_slices
from mien.explain.index import Shown, record
from mien.explain.subject import Subject, Tell

Section = Callable[[Subject, Path, Tell], list[Shown]]
Watch = Callable[[str], AbstractContextManager[Tell]]

# Functions of what a model answers; these do for exported files too.
OUTSIDE: dict[str, Section] = {
    "slices": show_slices.write,
    "robustness": show_robustness.write,
    "mistakes": mistakes.write,
}
# Functions of what is inside a net in torch.
INSIDE: dict[str, Section] = {
    "attention": show_attention.write,
    "layers": show_layers.write,
    "architecture": show_architecture.write,
}
SECTIONS = OUTSIDE | INSIDE


def chosen(names: Sequence[str], *, inside: bool) -> list[str]:
    """The sections of these names, or all that there can be; in the order of `SECTIONS`.

    Args:
        names: wanted; none: all.
        inside: whether the model can be looked into.

    Raises:
        MienError: an unknown name.
    """
    for name in names:
        if name not in SECTIONS:
            raise unknown_name("part of an explanation", name, SECTIONS)
    there = SECTIONS if inside else OUTSIDE
    return [name for name in there if not names or name in names]


def explain(of: Subject, folder: Path, *, sections: Sequence[str], watch: Watch, weights: str = "") -> list[Shown]:
    """Write the sections into `folder`, each with its entries in `index.json`, and return the new entries.

    `weights` is the digest of the model's tensors, so that a report leaves out what was made of others.

    Raises:
        MienError: a section cannot be made of this model.
    """
    shown = []
    for name in sections:
        with watch(name) as tell:
            made = SECTIONS[name](of, folder, tell)
        shown += record(folder, name, made, weights=weights)
    return shown
