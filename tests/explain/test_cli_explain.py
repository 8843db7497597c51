"""`mien explain` from end to end on a small net."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mien.cli import explain
from mien.cli.app import run
from mien.data.dataset import Dataset
from mien.evaluate.answerer import open_answerer
from mien.explain import index, show_robustness
from mien.explain.robustness import CHANGES
from mien.explain.run import SECTIONS
from mien.explain.subject import subject


def test_parts_are_listed_in_the_index_and_replaced_alone(
    weights: Path, packed: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "explain"
    arguments = ["explain", str(weights), str(packed.path), "--out", str(out)]
    assert run([*arguments, "--only", "mistakes", "--only", "slices", "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert json.loads((out / "index.json").read_text()) == said["shown"]
    assert all(entry.keys() == {"title", "text", "file", "group", "weights"} for entry in said["shown"])
    assert all((out / entry["file"]).is_file() for entry in said["shown"])
    before = index.read(out)
    assert run([*arguments, "--only", "mistakes"]) == 0
    assert index.read(out) == before


def test_an_unknown_part_names_its_neighbour(
    weights: Path, packed: Dataset, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["explain", str(weights), str(packed.path), "--out", "x", "--only", "slice"]) == 2
    assert "did you mean 'slices'?" in capsys.readouterr().err


def test_a_file_needs_a_folder(weights: Path, packed: Dataset, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["explain", str(weights), str(packed.path)]) == 2
    assert "--out" in capsys.readouterr().err


def test_every_section_has_its_place_in_the_index() -> None:
    assert set(SECTIONS) <= set(index.GROUPS)


def test_the_architecture_is_drawn_for_the_pictures_of_the_set(weights: Path, packed: Dataset, tmp_path: Path) -> None:
    out = tmp_path / "explain"
    assert run(["explain", str(weights), str(packed.path), "--out", str(out), "--only", "architecture"]) == 0
    [shown] = index.read(out)
    assert "3 sums of branches" in shown.text
    drawn = (out / shown.file).read_text(encoding="utf-8")
    assert "pictures 1×24×24" in drawn
    assert drawn.count(">Linear ") == 2


def test_the_terminal_tells_what_was_found_and_only_names_the_rest(capsys: pytest.CaptureFixture[str]) -> None:
    groups = ("slices", "robustness", "robustness", "mistakes", "mistakes", "attention", "layers", "architecture")
    explain._print([index.Shown(f"t{i}", f"said {i}.", "f", group) for i, group in enumerate(groups)])
    told = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in told] == ["t0", "t1", "t3", "Also"]
    assert told[-1].endswith("t2, t4, t5, t6, t7")
    explain._print([index.Shown("t", "said.", "f", "architecture")])
    assert capsys.readouterr().out == "t  said.\n"


@pytest.fixture
def few_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    """Rotation alone, and nothing drawn."""
    monkeypatch.setattr(show_robustness, "CHANGES", CHANGES[:1])
    monkeypatch.setattr(show_robustness, "save", lambda _figure, _path: None)


@pytest.mark.usefixtures("few_changes")
def test_of_a_net_at_chance_it_is_said_first_and_plots_are_called_so(
    weights: Path, packed: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["explain", str(weights), str(packed.path), "--out", str(tmp_path / "out"), "--only", "robustness"]
    assert run(arguments) == 0
    said = capsys.readouterr()
    assert said.out.startswith("This net is hardly better than always answering “")
    assert "Five points" not in said.out
    assert "2 plots in " in said.out
    assert "robustness …" in said.err


@pytest.mark.usefixtures("few_changes")
def test_robustness_counts_its_levels(weights: Path, packed: Dataset, tmp_path: Path) -> None:
    told: list[tuple[int, int | None]] = []
    few = subject(open_answerer(weights), None, packed)
    show_robustness.write(few, tmp_path, lambda done, total: told.append((done, total)))
    assert told == [(done, 5) for done in range(5)]
