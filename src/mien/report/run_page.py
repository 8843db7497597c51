"""A run folder as the context of a report, and the page written into it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.core import recipe as recipes
from mien.core.errors import MienError, command
from mien.core.files import write_text
from mien.core.labels import identify
from mien.core.rundir import RunDir
from mien.data import dataset as datasets
from mien.evaluate import report_words as words
from mien.evaluate.answered import Answered, augmented, read_answers
from mien.evaluate.compare_runs import flatten
from mien.evaluate.history import best_epoch, read_history, unfinished
from mien.evaluate.metrics import Metrics, measure
from mien.evaluate.report import Curves, ReportContext, Verdict, page
from mien.evaluate.truth import FERPLUS, LABELS, TITLES, of_classes
from mien.evaluate.use_of_val import sentence as about_val
from mien.explain.show_calibration import GROUP as CALIBRATION
from mien.page.words import listed
from mien.report.found import marks, outlived, read_diagnosis, read_drawings
from mien.report.over_training import over_training

_NO_IDS: NDArray[np.int64] = np.zeros(0, np.int64)


@dataclass(frozen=True)
class Written:
    """A report: its file, size in bytes, figures (None without an evaluation), verdicts, and what is missing.

    Of what is missing each has the command that makes it.
    """

    path: Path
    size: int
    metrics: Metrics | None
    verdicts: tuple[Verdict, ...]
    drawings: int
    missing: tuple[tuple[str, str], ...]


def write_run_report(run: RunDir, *, data: Path | None = None, out: Path | None = None) -> Written:
    """Write the page of a run: to report.html in its folder, or to `out`.

    Args:
        run: its folder.
        data: the packed set, if it is not where the run was trained on it. Pictures are shown only from the very
            set that was measured.
        out: the file.

    Raises:
        MienError: no run, damaged files in it, or `data` is not the set that was measured.
    """
    context, metrics = run_context(run.require(), data=data)
    path = out or run.report
    text = page(context, metrics)
    write_text(path, text)
    return Written(
        path=path,
        size=len(text.encode()),
        metrics=metrics,
        verdicts=context.verdicts,
        drawings=len(context.drawings),
        missing=context.missing,
    )


def run_context(run: RunDir, *, data: Path | None = None) -> tuple[ReportContext, Metrics | None]:
    """Everything that the run's folder knows, and its figures where the run was evaluated; raises as above."""
    diagnosis, verdicts = read_diagnosis(run)
    drawings, old = read_drawings(run)
    found = _answers(run)
    answers = None if found is None or found.stale else found
    if data is not None and answers is None:
        raise MienError(
            f"{run.path}: no evaluation of its weights, so nothing was measured on {data}",
            hint=command("eval", run.path, data),
        )
    kept = _scored(answers) if answers else None
    shown = kept or _Scored((), _NO_IDS, np.zeros((0, 0), np.float32), _NO_IDS)
    context = ReportContext(
        title=f"Run {run.path.resolve().name}",
        measured_on=f"pictures of {answers.dataset} ({answers.split})" if answers else "",
        labels=shown.labels,
        images=_images(run, answers, shown.rows, data) if answers and kept else None,
        ids=shown.ids,
        probabilities=shown.probabilities,
        curves=_curves(run, marks(verdicts)),
        facts=_facts(run),
        notes=(*(_notes(run, answers) if answers else ()), *unfinished(run)),
        diagnosis=diagnosis,
        verdicts=verdicts,
        drawings=(*drawings, *over_training(run)),
        tables=_tables(run),
        missing=_missing(run, found, diagnosed=bool(diagnosis), drawn=bool(drawings), old=old),
    )
    return context, measure(shown.ids, shown.probabilities, shown.labels) if kept else None


@dataclass(frozen=True)
class _Scored:
    """Labels (K), right ids (n,), probabilities (n, K) and rows in the packed set (n,) of what counts."""

    labels: tuple[str, ...]
    ids: NDArray[np.int64]
    probabilities: NDArray[np.float32]
    rows: NDArray[np.int64]


def _answers(run: RunDir) -> Answered | None:
    return read_answers(run.path) if (run.evaluation / "metrics.json").is_file() else None


def _scored(answers: Answered) -> _Scored | None:
    """What the figures of the labels were measured on; None where the split has no labels."""
    labels = answers.labels
    if not labels:
        return None
    ids = np.array([labels.index(name) if name in labels else -1 for name in answers.label], np.int64)
    kept = ids >= 0
    return _Scored(labels, ids[kept], answers.among(identify(labels))[kept], answers.rows[kept])


def _images(run: RunDir, answers: Answered, rows: NDArray[np.int64], data: Path | None) -> NDArray[np.uint8] | None:
    """The pictures that were measured; None where the set is no longer at hand or has changed."""
    known = run.read_json(run.data).get("path") if run.data.is_file() else None
    path = data or (Path(known) if known and Path(known).is_dir() else None)
    if path is None:
        return None
    try:
        packed = datasets.load(path)
    except MienError:  # what is there now is no packed set, and pictures are no must
        if data is not None:
            raise
        return None
    if packed.info.fingerprint == answers.fingerprint:
        return packed.images[rows]
    if data is None:
        return None
    raise MienError(
        f"{data}: not the set that was measured (fingerprint {packed.info.fingerprint[:12]}, "
        f"the evaluation has {answers.fingerprint[:12]})",
        hint=f"{command('eval', run.path, data)} measures on it",
    )


def _curves(run: RunDir, marked: Mapping[int, str]) -> Curves | None:
    rows = [row for row in read_history(run) if "val_accuracy" in row]
    if not rows:
        return None
    counts = run.read_json(run.data).get("counts", {}) if run.data.is_file() else {}
    return Curves.of_rows(
        rows,
        best_epoch(recipes.read_own(run.recipe), rows),
        marks={e: m for e, m in marked.items() if e <= len(rows)},
        val_count=sum(of_classes(counts).get("val", {}).values()),
    )


def _notes(run: RunDir, answers: Answered) -> tuple[str, ...]:
    """What else the evaluation tells, of the labels without their copies first."""
    scores = answers.facts["scores"]
    free, votes = scores.get(LABELS, {}).get("leak_free"), scores.get(FERPLUS)
    notes = [
        words.leak_free_told(free) if free else "",
        f"{TITLES[FERPLUS]}: {words.with_ends(votes)} of {votes['count']:,} pictures." if votes else "",
        *(_with_views(one) for one in augmented(run, answers.facts)),
        "Measured with the last weights." if answers.last else "",
        about_val(answers),
    ]
    return tuple(note for note in notes if note)


def _with_views(facts: Mapping[str, Any]) -> str:
    """The figures of an evaluation with test-time augmentation; of votes where there are no labels."""
    scores = facts["scores"]
    told = [
        words.with_ends(score) + (f" as the {TITLES[kind]}" if kind != LABELS else "") for kind, score in scores.items()
    ]
    return f"With test-time augmentation {facts['tta']}: {listed(told)}." if told else ""


def _facts(run: RunDir) -> tuple[tuple[str, str], ...]:
    """The few facts that are always in sight; everything else is in the tables."""
    recipe = recipes.read_own(run.recipe)
    facts = [("Recipe", f"{recipe.name}: {recipe.about}" if recipe.about else recipe.name), ("Net", recipe.model.name)]
    if run.data.is_file():
        told = run.read_json(run.data)
        counts = told.get("counts", {})
        parts = ", ".join(f"{sum(of_label.values()):,} {split}" for split, of_label in counts.items())
        facts.append(("Data", f"{told.get('name', '?')} ({parts})"))
        facts.append(("Fingerprint", str(told.get("fingerprint", "?"))))
    return tuple(facts)


def _tables(run: RunDir) -> dict[str, list[tuple[str, str]]]:
    recipe = recipes.read_own(run.recipe).model_dump(mode="json", exclude_none=True)
    tables = {"Recipe, key by key": _flat(recipe)}
    for title, path in (("Environment", run.environment), ("Data", run.data)):
        if path.is_file():
            tables[title] = _flat(run.read_json(path))
    return tables


def _flat(tree: Mapping[str, Any]) -> list[tuple[str, str]]:
    return [(key, _text(value)) for key, value in flatten(dict(tree)).items() if value not in ({}, [], None)]


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _missing(
    run: RunDir, found: Answered | None, *, diagnosed: bool, drawn: bool, old: Sequence[str]
) -> tuple[tuple[str, str], ...]:
    """What is not there, or is there of an earlier state of the run, and the commands that make it."""
    path = run.path
    wanted = []
    if found is None:
        wanted.append(("Not evaluated yet; figures, labels and mix-ups come with", command("eval", path, "DATA")))
    elif found.stale:
        wanted.append((f"The evaluation is {found.stale}; it is left out. Again with", found.again))
    if earlier := outlived(run):
        wanted.append((f"The diagnosis is {earlier}; it is left out. Again with", command("diagnose", path)))
    elif not diagnosed:
        wanted.append(("Not diagnosed yet; what happened and what to try comes with", command("diagnose", path)))
    if old:
        parts = [word for group in old if group != CALIBRATION for word in ("--only", group)]
        what = f"Made of weights that the run no longer has, and left out: {listed(list(old))}. Again with"
        wanted += [(what, command("explain", path, *parts))] if parts else []
        wanted += [(what, command("calibrate", path))] if CALIBRATION in old else []
    elif not drawn:
        wanted.append(("Not explained yet; what the net looks at comes with", command("explain", path)))
    return tuple(wanted)
