"""`mien demo`: the real way on a tiny scale, and that nothing half-written is ever left."""

from __future__ import annotations

import json
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mien import demo
from mien.cli import app
from mien.cli import demo as verb
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.data import dataset
from mien.data.drawn.sets import Plan
from mien.deploy.runtime import Predictor

TINY = ("train.epochs=2", 'model.options={widths="4,4,4,4"}', "train.probe=32", "data.crop=36", "train.batch_size=16")
PLAN = Plan(count=105, seed=3)


class Silent:
    """A watcher that shows nothing."""

    def __init__(self, recipe: Recipe) -> None:
        self.epochs = recipe.train.epochs

    def step(self, progress: object, *, waited: float) -> None:
        """Nothing to show."""

    def epoch(self, row: dict[str, float | int]) -> None:
        assert row["epoch"] <= self.epochs


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[demo.Demo, list[str]]:
    said: list[str] = []
    out = tmp_path_factory.mktemp("demo") / "out"
    return demo.run_demo(out, Silent, said.append, plan=PLAN, settings=TINY), said


def test_it_goes_the_whole_way(made: tuple[demo.Demo, list[str]]) -> None:
    result, said = made
    assert [line.split()[0] for line in said] == [
        "drawing", "importing", "training", "measuring", "exporting", "asking", "writing",
    ]  # fmt: skip
    assert len(list(result.out.glob("drawn/*/*/*.png"))) == 105
    assert dataset.load(result.out / "packed").info.count == 105
    assert (result.out / "run" / "history.csv").read_text().count("\n") == 3
    assert result.verified.passed
    assert result.verified.pictures == result.metrics.count == 14
    assert json.loads((result.out / demo.MARKER).read_text())["seconds"] > 0


def test_the_report_shows_what_eval_measured_and_predict_answered(made: tuple[demo.Demo, list[str]]) -> None:
    result, _ = made
    measured = json.loads((result.out / "run" / "eval" / "metrics.json").read_text())
    assert measured["split"] == "test"
    assert measured["scores"]["labels"]["accuracy"] == pytest.approx(result.metrics.accuracy)
    page = result.report.read_text(encoding="utf-8")
    assert "of 14 drawn faces that training never saw were given" in page
    for drawn, answer in result.fresh:
        again = Predictor(result.model).predict([result.out / "fresh" / f"{drawn}.png"])[0]
        assert again.label == answer.label
        assert f"{drawn} → {answer.label}" in page


def test_test_faces_were_never_trained_on(made: tuple[demo.Demo, list[str]]) -> None:
    packed = dataset.load(made[0].out / "packed")
    hashes, split = packed.column("sha256"), packed.split
    assert not set(hashes[split == "test"]) & set(hashes[split != "test"])


def test_the_command_ends_with_three_lines_in_words_and_the_report(
    made: tuple[demo.Demo, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "run_demo", lambda *_, **__: made[0])
    assert app.run(["demo"]) == 0
    words = capsys.readouterr().out
    assert "of 14 drawn faces that training never saw were given the label they carry" in words
    assert "Least often: " in words
    assert "answers as the weights do" in words
    assert words.strip().splitlines()[-2] == f"Open the report: {made[0].report}"
    assert words.strip().splitlines()[-1].startswith("Go on with: mien diagnose ")


def test_json_is_one_object(
    made: tuple[demo.Demo, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(verb, "run_demo", lambda *_, **__: made[0])
    assert app.run(["demo", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert Path(told["report"]).is_file()
    assert len(told["fresh"]) == 7
    assert told["verify"]["passed"]


def test_a_file_that_answers_otherwise_is_exit_code_1(
    made: tuple[demo.Demo, list[str]], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    wrong = replace(made[0], verified=replace(made[0].verified, tolerance=-1.0))
    monkeypatch.setattr(verb, "run_demo", lambda *_, **__: wrong)
    assert app.run(["demo"]) == 1
    assert "does NOT answer as the weights do" in capsys.readouterr().out


def test_an_existing_demo_needs_force_and_anything_else_is_never_replaced(
    made: tuple[demo.Demo, list[str]], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert app.run(["demo", "--out", str(made[0].out)]) == 2
    assert "replace the old demo with --force" in capsys.readouterr().err
    (tmp_path / "thesis.tex").write_text("important")
    assert app.run(["demo", "--out", str(tmp_path), "--force"]) == 2
    assert "exists and is not a demo" in capsys.readouterr().err
    assert (tmp_path / "thesis.tex").read_text() == "important"


@pytest.mark.parametrize("step", ["import_data", "export_run"])
def test_an_interrupt_at_any_step_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    _shortcut(monkeypatch, until=step)
    assert app.run(["demo", "--out", str(tmp_path / "d"), "--faces", "105"]) == 130
    assert not list(tmp_path.iterdir())


def test_an_interrupted_replacement_leaves_the_old_demo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = tmp_path / "d"
    old.mkdir()
    (old / demo.MARKER).write_text("{}")
    (old / "report.html").write_text("old")
    _shortcut(monkeypatch, until="train")
    assert app.run(["demo", "--out", str(old), "--faces", "105", "--force"]) == 130
    assert (old / "report.html").read_text() == "old"
    assert [path.name for path in tmp_path.iterdir()] == ["d"]


def test_an_empty_folder_may_be_used_and_is_empty_again_after_an_interrupt(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "d").mkdir()
    _shortcut(monkeypatch, until="import_data")
    assert app.run(["demo", "--out", str(tmp_path / "d"), "--faces", "105"]) == 130
    assert list(tmp_path.rglob("*")) == [tmp_path / "d"]


def test_a_failing_step_leaves_nothing_and_says_why(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def fail(*_: object, **__: object) -> None:
        raise MienError("the disk is full")

    monkeypatch.setattr(demo, "import_data", fail)
    assert app.run(["demo", "--out", str(tmp_path / "d"), "--faces", "105"]) == 2
    assert "the disk is full" in capsys.readouterr().err
    assert not list(tmp_path.iterdir())


def _shortcut(monkeypatch: pytest.MonkeyPatch, *, until: str) -> None:
    """Run the tiny demo, and press Ctrl-C when step `until` would begin."""

    def interrupt(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(
        verb, "run_demo", partial(demo.run_demo, settings=(*TINY, "train.epochs=1", "schedule.warmup_epochs=0"))
    )
    monkeypatch.setattr(demo, until, interrupt)


def test_fresh_faces_are_not_among_the_drawn_ones(made: tuple[demo.Demo, list[str]]) -> None:
    out = made[0].out
    drawn = {path.read_bytes() for path in out.glob("drawn/*/*/*.png")}
    fresh = [path.read_bytes() for path in out.glob("fresh/*.png")]
    assert len(fresh) == 7
    assert not drawn & set(fresh)


def test_a_plan_decides_the_training_seed_too(made: tuple[demo.Demo, list[str]]) -> None:
    assert "seed = 3" in (made[0].out / "run" / "recipe.toml").read_text()
    assert np.isfinite(made[0].metrics.log_loss)
