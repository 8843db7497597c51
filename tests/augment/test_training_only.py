"""Augmentation exists in training only: nothing that measures, exports or predicts can reach it."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCES = Path(__file__).parents[2] / "src"
# What may not lead to mien.augment, however far: whole parts, and what measures a net while it is trained.
WITHOUT = ("core", "evaluate", "diagnose", "deploy", "serve", "faces", "video", "models", "train.measure")


@cache
def modules() -> dict[str, set[str]]:
    """What each module of mien names in an import, anywhere in it."""
    found = {}
    for file in SOURCES.rglob("*.py"):
        name = ".".join(file.relative_to(SOURCES).with_suffix("").parts).removesuffix(".__init__")
        nodes = list(ast.walk(ast.parse(file.read_text("utf-8"))))
        names = {alias.name for node in nodes if isinstance(node, ast.Import) for alias in node.names}
        for node in nodes:
            if isinstance(node, ast.ImportFrom) and node.module:
                names |= {node.module} | {f"{node.module}.{alias.name}" for alias in node.names}
        found[name] = names
    return found


def reached(start: str, graph: dict[str, set[str]]) -> set[str]:
    seen, waiting = set(), [start]
    while waiting:
        name = waiting.pop()
        if name not in seen:
            seen.add(name)
            waiting += [other for other in graph[name] if other in graph]
    return seen


@pytest.mark.parametrize("part", WITHOUT)
def test_augmentation_is_out_of_reach_of(part: str) -> None:
    graph = modules()
    # The training's measurement takes the type of its machine and pictures from modules that do not augment either.
    starts = [name for name in graph if f"{name}.".startswith(f"mien.{part}.")]
    assert starts or part == "diagnose"
    for start in starts:
        assert not [name for name in reached(start, graph) if name.startswith("mien.augment")], start


def test_training_does_reach_it() -> None:
    assert "mien.augment.batched" in reached("mien.train.step", modules())
