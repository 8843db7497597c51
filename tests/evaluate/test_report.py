"""The report: one page that needs nothing else, and says in words what the figures are."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.evaluate.metrics import Metrics, measure
from mien.evaluate.report import Curves, ReportContext, Verdict, samples, write_report
from mien.evaluate.report_words import (
    at_chance,
    best_and_worst,
    headline,
    mix_ups,
    near_chance,
    percent,
    spread,
    training,
)

LABELS = ("angry", "happy", "sad")
# Answers to ten pictures: angry is always found, one happy is called sad, two sad are called angry.
IDS = np.array([0, 0, 0, 1, 1, 1, 1, 2, 2, 2])
ANSWERS = np.array([0, 0, 0, 1, 1, 1, 2, 0, 0, 2])
SURE = np.array([0.9, 0.8, 0.7, 0.9, 0.8, 0.7, 0.6, 0.95, 0.5, 0.9])


def answers(labels: int = 3) -> np.ndarray:
    p = np.repeat(((1 - SURE) / (labels - 1))[:, None], labels, axis=1)
    p[np.arange(10), ANSWERS] = SURE
    return p


@pytest.fixture
def context() -> ReportContext:
    images = np.random.default_rng(0).integers(0, 255, (10, 12, 12)).astype(np.uint8)
    curves = Curves((1, 2, 3), (0.4, 0.7, 0.9), (0.4, 0.6, 0.55), (1.0, 0.7, 0.3), (1.0, 0.8, 0.9), 2)
    return ReportContext("A title", "test pictures", LABELS, images, IDS, answers(), curves)


def page(path: Path, context: ReportContext) -> str:
    write_report(path / "report.html", context)
    return (path / "report.html").read_text(encoding="utf-8")


def test_the_page_says_the_figures_that_measure_gives(context: ReportContext, tmp_path: Path) -> None:
    metrics = write_report(tmp_path / "report.html", context)
    text = (tmp_path / "report.html").read_text(encoding="utf-8")
    assert metrics == measure(IDS, answers(), LABELS)
    assert "7 of 10 test pictures were given the label they carry: 70.0\u00a0%." in text
    assert "Least often: sad (33\u00a0%), mostly taken for angry." in text
    assert "67\u00a0% of sad (2 of its pictures) were called angry" in text
    assert 'title="sad answered as angry: 2">67<' in text


def test_the_page_loads_nothing_from_anywhere(context: ReportContext, tmp_path: Path) -> None:
    text = page(tmp_path, context)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert not re.findall(r"@import|<link|<script|url\((?!#)", text)


def test_the_same_context_gives_the_same_bytes(context: ReportContext, tmp_path: Path) -> None:
    assert page(tmp_path / "a", context) == page(tmp_path / "b", context)


def test_the_page_follows_a_dark_scheme_curves_included(context: ReportContext, tmp_path: Path) -> None:
    text = page(tmp_path, context)
    assert "prefers-color-scheme: dark" in text
    curves = text[text.index("<svg") : text.rindex("</svg>")]
    assert "var(--accent)" in curves
    assert not set(re.findall(r"#[0-9a-f]{6}\b", curves))


def test_names_are_escaped(context: ReportContext, tmp_path: Path) -> None:
    text = page(tmp_path, replace(context, labels=("<script>x</script>", "happy", "sad")))
    assert "<script>" not in text
    assert "&lt;script&gt;" in text


def test_every_picture_of_a_small_set_is_shown_once(context: ReportContext, tmp_path: Path) -> None:
    text = page(tmp_path, context)
    assert text.count('src="data:image/png;base64,') == 10
    assert len(set(re.findall(r'src="(data:image/png[^"]+)"', text))) == 10


def test_without_curves_there_is_no_part_on_training(context: ReportContext, tmp_path: Path) -> None:
    assert "How training went" in page(tmp_path, context)
    assert "How training went" not in page(tmp_path, replace(context, curves=None))


def test_facts_commands_and_notes_are_told(context: ReportContext, tmp_path: Path) -> None:
    told = replace(context, facts=(("Net", "tiny"),), commands=(("mien predict a", "asks"),), notes=("Mind this.",))
    text = page(tmp_path, told)
    for part in ("<dt>Net</dt><dd>tiny</dd>", "<pre>mien predict a</pre>", "Mind this."):
        assert part in text


def test_many_labels_get_no_matrix_but_their_mix_ups(context: ReportContext, tmp_path: Path) -> None:
    labels = tuple(f"class {i}" for i in range(20))
    text = page(tmp_path, replace(context, labels=labels, probabilities=answers(20)))
    assert "A perfect model fills only the diagonal" not in text
    assert "were called class 0" in text


def test_a_label_without_pictures_has_no_figures(context: ReportContext, tmp_path: Path) -> None:
    text = page(tmp_path, replace(context, labels=(*LABELS, "fear"), probabilities=answers(4)))
    row = text[text.index('<th scope="row">fear</th>') :]
    assert row[: row.index("</tr>")].count("<td>–</td>") == 2


def test_colour_pictures_are_shown_in_colour(context: ReportContext, tmp_path: Path) -> None:
    coloured = np.repeat(context.images[..., None], 3, axis=3)
    assert page(tmp_path, replace(context, images=coloured)).count("data:image/png") == 10


def test_pictures_and_answers_must_be_as_many(context: ReportContext, tmp_path: Path) -> None:
    with pytest.raises(MienError, match="10 answers needs as many pictures, got 9"):
        write_report(tmp_path / "report.html", replace(context, images=context.images[:9]))
    assert not list(tmp_path.iterdir())


def test_wrong_answers_come_the_surest_first_and_right_ones_label_by_label(context: ReportContext) -> None:
    right, wrong = samples(context)
    assert [(one.label, one.answer) for one in wrong] == [("sad", "angry"), ("happy", "sad"), ("sad", "angry")]
    assert [one.probability for one in wrong] == pytest.approx([0.95, 0.6, 0.5])
    assert [one.label for one in right] == ["angry", "happy", "sad", "angry", "happy", "angry", "happy"]
    assert len(samples(context, most=2)[0]) == len(samples(context, most=2)[1]) == 2


def test_curves_come_from_the_rows_of_a_history() -> None:
    rows = [{"epoch": 1, "val_accuracy": 0.3, "val_loss": 1.5}, {"epoch": 2, "val_accuracy": 0.4, "val_loss": 1.2}]
    curves = Curves.of_rows(rows, best_epoch=2)
    assert curves == Curves((1, 2), (), (0.3, 0.4), (), (1.5, 1.2), 2)


def test_a_page_without_training_accuracy_can_be_written(context: ReportContext, tmp_path: Path) -> None:
    curves = Curves((1, 2), (), (0.3, 0.4), (), (1.5, 1.2), 2)
    text = page(tmp_path, replace(context, curves=curves))
    assert "validation pictures" in text
    assert "training pictures</text>" not in text


def test_sentences() -> None:
    metrics = measure(IDS, answers(), LABELS)
    assert percent(None) == "–"
    assert headline(metrics, "faces") == "7 of 10 faces were given the label they carry: 70.0\u00a0%."
    assert "between 39.7 and 89.2\u00a0% (95 % interval)" in spread(metrics)
    assert "Always answering “happy” would be right for 40\u00a0%" in spread(metrics)
    assert mix_ups(metrics) == [("sad", "angry", 2, 2 / 3), ("happy", "sad", 1, 0.25)]


def test_sentences_about_a_perfect_and_about_a_single_label() -> None:
    assert best_and_worst(measure(np.array([0, 1]), np.eye(2), ("a", "b"))) == (
        "Every label is found equally often (100\u00a0%)."
    )
    assert best_and_worst(measure(np.array([0, 0]), np.eye(2), ("a", "b"))) == "All pictures carry the label a."


@pytest.mark.parametrize(
    ("train", "known", "said"),
    [
        (0.9, {"overfits": True, "first": "Overfitting"}, "30.0 points better: it partly knows them by heart. More, "),
        (0.9, {"first": "Batches too large"}, "30.0 points better. The diagnosis says first: Batches too large."),
        (0.9, {}, "30.0 points better."),
        (0.68, {"val_count": 105, "overfits": True, "first": "Wide"}, "chance explains with 105 validation pictures."),
        (0.9, {"val_count": 105, "overfits": True, "first": "Wide"}, "More, or more varied, pictures help most."),
        (0.65, {}, "5.0 points better, which is usual."),
        (0.59, {}, "hardly better or worse (-1.0 points): it does not know them by heart."),
        (
            0.62,
            {"overfits": True, "first": "Overfitting"},
            "(+2.0 points): it did not yet know them by heart. The ",
        ),
        (0.476, {}, "12.4 points worse: they are harder, or some of their labels are wrong."),
    ],
)
def test_training_is_judged_by_its_lead_on_its_own_pictures(train: float, known: dict[str, Any], said: str) -> None:
    text = training((0.5, 0.6), (0.5, train), 2, **known)
    assert text.startswith("The weights of epoch 2 of 2 were kept: 60.0\u00a0% on validation.")
    assert said in text
    assert ("by heart. More" in text) == ("pictures help most" in said or "it partly knows" in said)


def test_labels_found_equally_often_are_all_named_or_counted() -> None:
    told = best_and_worst(
        measure(np.repeat(np.arange(4), 2), np.eye(4)[[0, 0, 1, 1, 2, 0, 3, 1]], ("a", "b", "c", "d"))
    )
    assert told == "Found most often: a and b (100\u00a0%). Least often: c and d (50\u00a0%)."
    many = np.eye(6)[[0, 1, 2, 3, 4, 0]]
    assert best_and_worst(measure(np.arange(6), many, tuple("abcdef"))) == (
        "Found most often: 5 labels (100\u00a0%). Least often: f (0\u00a0%), mostly taken for a."
    )


def test_a_net_near_chance_is_said_to_be_one(context: ReportContext, tmp_path: Path) -> None:
    """Three of ten are 11 to 60 %, and always answering the commonest label would be right for 40 %."""
    noise = "This net is hardly better than always answering “happy”: what follows describes noise."
    assert noise in page(tmp_path, replace(context, ids=np.roll(IDS, 5)))
    ten_times = np.tile(IDS, 10), np.tile(answers(), (10, 1))
    assert near_chance(measure(*ten_times, LABELS)) == ""
    assert near_chance(measure(np.array([0, 0]), np.eye(2), ("a", "b"))) == ""


def test_an_epoch_is_marked_in_the_curves_only_where_they_are(context: ReportContext, tmp_path: Path) -> None:
    assert context.curves is not None
    verdicts = (Verdict("Title", "warning", "What.", confidence="high", epoch=2, mark="1"),)
    marked = replace(context, verdicts=verdicts, diagnosis="One.", curves=replace(context.curves, marks={2: "1"}))
    assert "Epoch 2, marked 1 in the curves." in page(tmp_path, marked)
    without = page(tmp_path, replace(marked, curves=None))
    assert "Epoch 2." in without
    assert "marked" not in without


def answered(*confusion: tuple[int, ...]) -> Metrics:
    """The figures of sure answers with these counts, right classes in rows."""
    pairs = [(i, j) for i, row in enumerate(confusion) for j, count in enumerate(row) for _ in range(count)]
    ids, answer = np.array(pairs).T
    return measure(ids, np.eye(len(confusion))[answer], tuple("abcdefg"[: len(confusion)]))


def test_a_good_net_on_unequal_labels_is_no_noise() -> None:
    """95 of 100 right, where always answering the commonest label would be right for 90."""
    told = near_chance(answered((85, 5), (0, 10)))
    assert told == "By accuracy alone, this net is hardly better than always answering “a”."
    assert not at_chance(answered((85, 5), (0, 10)))
    assert not at_chance(answered((0, 50), (50, 0)))  # surely wrong: two labels were exchanged
    for blind in (((90, 0), (10, 0)), ((81, 9), (9, 1)), ((1, 0), (0, 1)), ((27, 23), (24, 26))):
        assert at_chance(answered(*blind))
        assert near_chance(answered(*blind)).endswith("what follows describes noise.")
    assert not at_chance(answered((9, 0), (0, 0)))


def test_of_a_set_without_labels_the_curves_tell_no_share() -> None:
    nan = float("nan")
    assert training((nan, nan), (nan, nan), 2, val_count=100) == "The weights of epoch 2 of 2 were kept."
    assert training((0.5, 0.6), (nan, nan), 2).endswith("were kept: 60.0\u00a0% on validation.")
