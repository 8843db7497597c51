"""Comparing classifiers: the matching of runs, what is said of them, and the verb."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tomli_w
from PIL import Image

from mien.cli.app import run
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.labels import FER5
from mien.core.rundir import RunDir
from mien.core.spec import Head, ModelSpec
from mien.data import dataset
from mien.data.dataset import Dataset
from mien.evaluate import results
from mien.evaluate.answered import read_answers
from mien.evaluate.bound import run_of
from mien.evaluate.compare import holm
from mien.evaluate.compare_runs import compare_runs, flatten, short_names
from mien.evaluate.evaluate import evaluate
from mien.evaluate.history import read_history
from mien.evaluate.use_of_val import use_of_val
from mien.models.classifier import Classifier
from mien.models.store import digest, save_weights

Make = Callable[..., Path]
LABELS = np.arange(70) % 7


@pytest.fixture
def data(data_of: Callable[..., Dataset]) -> Dataset:
    images = np.zeros((70, 4, 4), np.uint8)
    images[:, 0, 0] = np.arange(70)
    return data_of(images, LABELS)


@pytest.fixture
def make(tmp_path: Path, data: Dataset, table_of: Callable[..., object], no_plots: None) -> Make:  # noqa: ARG001
    """A run folder whose net is wrong on the given pictures."""

    def build(name: str, wrong: range, *, of: Dataset = data, epochs: int = 2, **settings: object) -> Path:
        answers = LABELS.copy()
        answers[list(wrong)] = (answers[list(wrong)] + 1) % 7
        folder = RunDir(tmp_path / name)
        answerer = table_of(fer2013=np.eye(7)[answers] * 0.9 + 0.1 / 7)
        results.write(folder.evaluation, evaluate(answerer, of), of)  # type: ignore[arg-type]
        changes = [f"{key.replace('__', '.')}={value}" for key, value in settings.items()]
        folder.recipe.write_text(tomli_w.dumps(recipes.to_tree(recipes.read("mien-s", changes))))
        rows = "".join(f"{e},{1 / e},,{0.2 * e}\n" for e in range(1, epochs + 1))
        folder.history.write_text(f"epoch,val_loss,train_eval_accuracy,val_accuracy\n{rows}")
        return folder.path

    return build


def test_runs_are_compared_picture_by_picture(make: Make) -> None:
    made = compare_runs([make("a", range(30)), make("b", range(20, 32), optimiser__learning_rate=0.5)])
    assert [(one.name, one.right, one.count) for one in made.runs] == [("a", 40, 70), ("b", 58, 70)]
    pair = made.pairs[0].paired
    assert (pair.both, pair.first_only, pair.second_only, pair.neither) == (38, 2, 20, 10)
    assert made.pairs[0].p == pair.mid_p < 0.001
    assert made.recipes == {"optimiser.learning_rate": (0.012, 0.5)}
    assert made.runs[0].history[1] == {"epoch": 2.0, "val_loss": 0.5, "val_accuracy": 0.4}


def test_three_runs_make_three_pairs_corrected_for_their_number(make: Make) -> None:
    made = compare_runs([make("a", range(30)), make("b", range(20, 32)), make("c", range(20, 34))])
    assert [(one.first, one.second) for one in made.pairs] == [("a", "b"), ("a", "c"), ("b", "c")]
    assert [one.p for one in made.pairs] == holm([one.paired.mid_p for one in made.pairs])


def test_the_order_of_rows_does_not_matter(make: Make) -> None:
    import pyarrow.parquet as pq

    paths = [make("a", range(30)), make("b", range(20, 32))]
    before = compare_runs(paths).to_json()
    file = paths[1] / "eval" / "predictions.parquet"
    table = pq.read_table(file)
    pq.write_table(table.take(np.random.default_rng(0).permutation(70)), file)
    assert compare_runs(paths).to_json() == before


def test_other_data_another_split_and_other_pictures_are_refused(
    make: Make, data: Dataset, data_of: Callable[..., Dataset]
) -> None:
    base = make("a", range(3))
    images = data.images.copy()
    images[:, 3, 3] = 9
    other = data_of(images, LABELS)
    unlike = make("b", range(3), of=other)
    with pytest.raises(MienError, match=r"was measured on other data than .*a: tiny \(") as error:
        compare_runs([base, unlike])
    assert "mien eval" in str(error.value)
    facts = json.loads((base / "eval" / "metrics.json").read_text()) | {"split": "test"}
    write_json(unlike / "eval" / "metrics.json", facts)
    with pytest.raises(MienError, match=r"measured on test, .*a on val"):
        compare_runs([base, unlike])


def test_missing_pictures_are_refused_with_their_number(make: Make) -> None:
    import pyarrow.parquet as pq

    base, less = make("a", range(3)), make("b", range(3))
    file = less / "eval" / "predictions.parquet"
    pq.write_table(pq.read_table(file).slice(4), file)
    with pytest.raises(MienError, match=r"damaged evaluation .*66 rows for 70 pictures"):
        compare_runs([base, less])
    facts = json.loads((less / "eval" / "metrics.json").read_text()) | {"pictures": 66}
    write_json(less / "eval" / "metrics.json", facts)
    with pytest.raises(MienError, match="differ in 4 pictures of val"):
        compare_runs([base, less])


def test_a_run_without_an_evaluation_says_how_to_make_one(make: Make, tmp_path: Path) -> None:
    base = make("a", range(3))
    (tmp_path / "empty").mkdir()
    with pytest.raises(MienError, match=r"empty: no evaluation in it\n.*mien eval"):
        compare_runs([base, tmp_path / "empty"])
    (base / "eval" / "predictions.parquet").write_bytes(b"PAR1")
    with pytest.raises(MienError, match=r"predictions\.parquet: damaged"):
        read_answers(base)


def test_one_run_or_the_same_twice_is_no_comparison(make: Make) -> None:
    base = make("a", range(3))
    for paths in ([base], [base, base]):
        with pytest.raises(MienError, match="two or more different runs"):
            compare_runs(paths)


def test_names_are_as_long_as_it_takes_to_tell_them_apart(tmp_path: Path) -> None:
    assert short_names([tmp_path / "x" / "run", tmp_path / "y" / "run"]) == ["x/run", "y/run"]
    assert short_names([tmp_path / "x", tmp_path / "y"]) == ["x", "y"]


def test_recipes_are_flattened_with_tables_counted_from_1() -> None:
    tree = {"a": {"b": 1, "c": [2, 3]}, "phases": [{"size": 32}, {"size": 48}]}
    assert flatten(tree) == {"a.b": 1, "a.c": [2, 3], "phases.1.size": 32, "phases.2.size": 48}


def test_a_history_that_was_edited_is_named_by_row_and_column(tmp_path: Path) -> None:
    run_dir = RunDir(tmp_path)
    assert read_history(run_dir) == []
    run_dir.history.write_text("epoch,val_loss\n1,0.5\n2,oops\n")
    with pytest.raises(MienError, match=r"history\.csv, row 3: val_loss = 'oops' is no number"):
        read_history(run_dir)


def test_the_verb_prints_a_table_and_writes_curves(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paths = [str(make("a", range(30))), str(make("b", range(20, 32), augment__flip="off"))]
    monkeypatch.undo()  # curves are drawn here
    assert run(["compare", *paths, "--out", str(tmp_path / "out")]) == 0
    told = capsys.readouterr().out
    for part in ("b is better than a by 25.71 points", "57.14", "+25.71", "augment.flip", "the same 70 pictures"):
        assert part in told
    with Image.open(tmp_path / "out" / "curves.png") as picture:
        assert picture.width > 1000
    assert run(["compare", *paths, "--json"]) == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed.pop("folder") is None
    assert printed == json.loads((tmp_path / "out" / "compare.json").read_text())


def test_the_verb_refuses_with_2(make: Make, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["compare", str(make("a", range(3)))]) == 2
    assert "mien compare RUN RUN" in capsys.readouterr().err


def trained(path: Path, fingerprint: str, at: Path | None = None) -> Path:
    """The run, as one that was trained on the data of this fingerprint, which are there or no more."""
    write_json(RunDir(path).data, {"name": "tiny", "fingerprint": fingerprint, "path": str(at or "")})
    return path


@pytest.fixture
def trained_on(make: Make, tmp_path: Path, data: Dataset, data_of: Callable[..., Dataset]) -> Make:
    """A run that was trained on other data: 30 other pictures in train, and beside them so much of `data`."""

    def build(name: str, *, split: str, count: int = 70, copies: int = 0, **settings: object) -> Path:
        others = np.full((30, 4, 4), 200, np.uint8)
        others[:, 0, 0] = np.arange(30)
        images = np.concatenate([data.images[:count], data.images[:copies], others])
        splits = [split] * count + ["train"] * (copies + 30)
        made = data_of(images, np.arange(len(images)) % 7, split=splits)
        saved = dataset.save(tmp_path / f"{name}-data", made.images, made.table, made.info)
        return trained(make(name, range(9), **settings), saved.info.fingerprint, saved.path)

    return build


def test_whom_it_favours_that_val_chose_the_epoch_is_said(make: Make, data: Dataset, trained_on: Make) -> None:
    here = data.info.fingerprint
    a, b = (trained(make(name, range(9)), here) for name in "ab")
    assert any("their comparison is fair" in note for note in compare_runs([a, b]).notes)
    other = trained_on("other", split="val", count=0)
    on_val = trained(make("onval", range(9), data__train_on_val="true"), here)
    told = " · ".join(compare_runs([a, other, on_val, make("alone", range(9))]).notes)
    assert "fair" not in told
    for part in (
        "trained on these pictures or some of them, so that its figure is no measure: onval",
        "chose the epoch on these pictures, which makes the accuracy a little high: a",
        "did not, and are at a disadvantage: other",
        "not known whether these pictures chose the epoch: alone",
        "the interval of each pair is its own, at 95 %",
    ):
        assert part in told


@pytest.mark.parametrize(
    ("told", "made"),
    [
        ("chose", {"split": "val"}),
        ("chose", {"split": "val", "copies": 9}),
        ("trained", {"split": "val", "data__train_on_val": "true"}),
        ("trained", {"split": "train"}),
        ("trained", {"split": "train", "count": 35}),
        ("neither", {"split": "test"}),
        ("neither", {"split": "val", "count": 0}),
    ],
)
def test_pictures_of_a_derived_set_are_found_in_the_data_of_the_run(
    trained_on: Make, told: str, made: dict[str, object]
) -> None:
    assert use_of_val(read_answers(trained_on("run", **made))) == told


def test_what_other_data_held_is_not_known_when_they_are_gone_or_changed(trained_on: Make, data: Dataset) -> None:
    import pyarrow.parquet as pq

    run = trained_on("run", split="val")
    own = RunDir(run).read_json(RunDir(run).data)
    for facts in ({"path": str(run / "gone")}, {"fingerprint": "f" * 64}):
        write_json(RunDir(run).data, own | facts)
        assert use_of_val(read_answers(run)) == "unknown"
    write_json(RunDir(run).data, own)
    file = run / "eval" / "predictions.parquet"
    pq.write_table(pq.read_table(file).drop_columns("sha256"), file)
    assert use_of_val(read_answers(run)) == "unknown"
    assert use_of_val(read_answers(trained(run, data.info.fingerprint))) == "chose"


def test_runs_answer_among_the_labels_that_all_of_them_have(
    make: Make, data: Dataset, table_of: Callable[..., Any], spec_of: Callable[..., ModelSpec]
) -> None:
    logits = np.random.default_rng(0).normal(size=(70, 7))
    logits[np.arange(70), LABELS] += 1
    seven = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    five = seven[:, 2:] / seven[:, 2:].sum(1, keepdims=True)
    full, less = make("full", range(0)), make("less", range(0))
    model = table_of(fer2013=seven)
    results.write(RunDir(full).evaluation, evaluate(model, data), data)
    model.spec, model.answers = spec_of(Head(name="fer5", labels=FER5.names)), {"fer5": five.astype(np.float32)}
    results.write(RunDir(less).evaluation, evaluate(model, data), data)
    made = compare_runs([full, less])
    kept = LABELS >= 2
    assert made.left_out == 20
    assert [run.right for run in made.runs] == [int((five.argmax(1) == LABELS - 2)[kept].sum())] * 2
    assert made.runs[0].right > (seven.argmax(1) == LABELS)[kept].sum()
    assert made.pairs[0].verdict == "full and less are right on the very same pictures"
    told = "all answer among fear, happy, sad, surprise and neutral here; further labels are left out of: full"
    assert made.notes[0] == told


def test_runs_without_two_labels_in_common_are_refused(make: Make) -> None:
    a, b = make("a", range(3)), make("b", range(3))
    tell(b / "eval", scores={})
    with pytest.raises(MienError, match="no two labels in common"):
        compare_runs([a, b])


def test_a_run_and_its_own_evaluation_are_no_comparison(make: Make) -> None:
    base = make("a", range(3))
    with pytest.raises(MienError, match="two or more different runs"):
        compare_runs([base, base / "eval"])


def flipped(run: Path) -> Path:
    """The folder of a second evaluation of the run, which says that it was made with test-time augmentation."""
    shutil.copytree(run / "eval", run.with_name("copy"))
    folder = run.with_name("copy").rename(run / "eval" / "flip")
    tell(folder, tta="flip")
    return folder


def tell(folder: Path, **facts: object) -> None:
    """Change what the evaluation in a folder says of itself."""
    write_json(folder / "metrics.json", json.loads((folder / "metrics.json").read_text()) | facts)


def test_a_runs_answers_with_augmentation_are_known_to_be_its_own(make: Make, data: Dataset) -> None:
    base = trained(make("a", range(9)), data.info.fingerprint)
    made = compare_runs([base, flipped(base)])
    assert made.notes == (
        "measured with unlike test-time augmentation: a none, flip flip",
        "epochs were chosen on val: the runs' accuracies are a little high, their comparison is fair",
    )
    assert [len(run.history) for run in made.runs] == [2, 2]
    other = make("b", range(9), optimiser__learning_rate=0.5)
    assert list(compare_runs([base / "eval" / "flip", other]).recipes) == ["optimiser.learning_rate"]


def test_folders_in_a_run_are_held_to_its_weights(
    make: Make, net: Callable[..., Classifier], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    base, other = make("my run", range(9)), make("b", range(9))
    folder, classifier = flipped(base), net()
    save_weights(RunDir(base).best, classifier.state_dict(), classifier.spec)
    compare_runs([folder, other])  # it does not say whose answers these are
    for one, options in ((folder, " --tta flip"), (base / "eval", "")):
        tell(one, weights={"which": "best", "answers": "other"})
        with pytest.raises(MienError, match="of other weights") as error:
            compare_runs([one, other])
        assert f"mien eval '{base}' DATA --split val{options} measures it again" in str(error.value)
        tell(one, weights={"which": "best", "answers": digest(RunDir(base).best).answers})
        compare_runs([one, other])
    own = folder.rename(base / "eval" / "mine")
    tell(own, weights={"which": "best", "answers": "other"})
    assert read_answers(own).again.endswith(f" --tta flip --out '{own}'")
    monkeypatch.chdir(base / "eval")
    assert read_answers(Path("mine")).stale
    assert read_answers(Path()).stale == ""
    assert run_of(tmp_path) is None


def test_augmented_answers_in_place_of_the_plain_ones_are_refused(make: Make) -> None:
    base, other = make("a", range(9)), make("b", range(9))
    tell(base / "eval", tta="flip")
    with pytest.raises(MienError, match="with test-time augmentation flip, in place of the plain one") as error:
        compare_runs([base, other])
    assert f"mien eval {base} DATA --split val measures it again" in str(error.value)


def test_the_last_weights_were_not_chosen_on_val(make: Make, data: Dataset) -> None:
    a, b = (trained(make(name, range(9)), data.info.fingerprint) for name in "ab")
    tell(b / "eval", weights={"which": "last"})
    assert compare_runs([a, b]).notes == (
        "chose the epoch on these pictures, which makes the accuracy a little high: a",
        "did not, and are at a disadvantage: b",
    )


def test_where_nothing_can_be_written_is_said_before_the_comparison(
    make: Make, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.cli.compare.compare_runs", lambda _: pytest.fail("compared already"))
    (tmp_path / "file").touch()
    assert run(["compare", str(make("a", range(3))), "b", "--out", str(tmp_path / "file")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
