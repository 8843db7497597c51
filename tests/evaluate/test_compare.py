"""Comparing classifiers: the paired statistics, the matching of runs, and the verb."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image
from scipy.stats import binomtest

from mien.cli.app import run
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.evaluate import results
from mien.evaluate.answered import read_answers
from mien.evaluate.bound import run_of
from mien.evaluate.compare import holm, mcnemar, paired, paired_interval, verdict
from mien.evaluate.compare_runs import compare_runs, flatten, short_names
from mien.evaluate.evaluate import evaluate
from mien.evaluate.history import read_history
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


@pytest.mark.parametrize(("first", "second"), [(0, 1), (2, 12), (12, 2), (5, 5), (40, 71), (900, 1000)])
def test_mcnemar_is_the_binomial_test_and_mid_p_its_less_conservative_sister(first: int, second: int) -> None:
    exact, mid = mcnemar(first, second)
    test = binomtest(first, first + second)
    assert exact == pytest.approx(test.pvalue)
    at = binomtest(min(first, second), first + second, alternative="less").pvalue
    below = binomtest(min(first, second) - 1, first + second, alternative="less").pvalue if min(first, second) else 0
    assert mid == pytest.approx(at + below)
    assert mid <= exact


def test_where_nothing_tells_two_apart_p_is_1() -> None:
    assert mcnemar(0, 0) == (1.0, 1.0)
    assert mcnemar(3, 3) == (1.0, 1.0)


def test_the_paired_interval_is_that_of_newcombe_s_example() -> None:
    # Newcombe 1998, Stat Med 17:2635: cells 36, 12, 2, 0; method 10 gives 0.0569 to 0.3404 for first − second.
    interval = paired_interval(36, 12, 2, 0)
    assert (-interval.high, -interval.low) == pytest.approx((0.0569, 0.3404), abs=5e-5)


def test_the_paired_interval_turns_with_the_runs() -> None:
    one, other = paired_interval(500, 40, 61, 99), paired_interval(500, 61, 40, 99)
    assert (one.low, one.high) == pytest.approx((-other.high, -other.low))


def test_the_paired_interval_covers_the_true_difference_in_19_of_20_samples() -> None:
    rng, cells = np.random.default_rng(0), (0.6, 0.06, 0.1, 0.24)
    intervals = [paired_interval(*sample) for sample in rng.multinomial(400, cells, size=2000).tolist()]
    covered = np.mean([one.low <= 0.04 <= one.high for one in intervals])
    assert 0.94 < covered < 0.965


def test_extreme_tables_have_intervals_within_their_range() -> None:
    for cells in ((10, 0, 0, 0), (0, 0, 0, 10), (0, 10, 0, 0), (0, 0, 10, 0), (0, 1, 0, 0)):
        interval = paired_interval(*cells)
        assert -1 <= interval.low <= (cells[2] - cells[1]) / sum(cells) <= interval.high <= 1


def test_paired_counts_who_is_right() -> None:
    first, second = np.array([1, 1, 1, 0, 0], bool), np.array([1, 0, 0, 1, 0], bool)
    pair = paired(first, second)
    assert (pair.both, pair.first_only, pair.second_only, pair.neither, pair.count) == (1, 2, 1, 1, 5)
    assert pair.difference == pytest.approx(-0.2)


def test_paired_refuses_unlike_or_no_pictures() -> None:
    with pytest.raises(MienError, match="not to the same pictures"):
        paired(np.ones(3, bool), np.ones(4, bool))
    with pytest.raises(MienError, match="no pictures to compare"):
        paired(np.ones(0, bool), np.ones(0, bool))


def test_holm_multiplies_by_what_is_left_and_never_decreases() -> None:
    assert holm([0.01, 0.04, 0.03]) == pytest.approx([0.03, 0.06, 0.06])
    assert holm([0.5, 0.6]) == [1.0, 1.0]
    assert holm([0.02]) == [0.02]
    assert holm([]) == []


def test_verdicts_name_the_better_or_say_that_it_is_open() -> None:
    better = paired(np.arange(100) < 50, np.arange(100) < 70)
    assert verdict("a", "b", better, better.mid_p) == "b is better than a by 20.00 points"
    assert verdict("a", "b", better, 0.2) == "a and b cannot be told apart: 20.00 points on 100 pictures"
    same = paired(np.ones(9, bool), np.ones(9, bool))
    assert verdict("a", "b", same, 1.0) == "a and b are right on the very same pictures"


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


def trained(path: Path, fingerprint: str) -> Path:
    """The run, as one that was trained on the data of this fingerprint."""
    write_json(RunDir(path).data, {"name": "tiny", "fingerprint": fingerprint})
    return path


def test_whom_it_favours_that_val_chose_the_epoch_is_said(make: Make, data: Dataset) -> None:
    here, elsewhere = data.info.fingerprint, "f" * 64
    a, b = (trained(make(name, range(9)), here) for name in "ab")
    assert any("their comparison is fair" in note for note in compare_runs([a, b]).notes)
    other = trained(make("other", range(9)), elsewhere)
    on_val = trained(make("onval", range(9), data__train_on_val="true"), here)
    told = " · ".join(compare_runs([a, other, on_val, make("alone", range(9))]).notes)
    assert "fair" not in told
    for part in (
        "trained on these pictures, so that its figure is no measure: onval",
        "chose the epoch on these pictures, which makes the accuracy a little high: a",
        "did not, and are at a disadvantage: other",
        "not known whether these pictures chose the epoch: alone",
        "the interval of each pair is its own, at 95 %",
    ):
        assert part in told


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
