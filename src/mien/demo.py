"""The whole way on faces that mien draws itself: draw, import, train, measure, export, verify, predict, report."""

from __future__ import annotations

import shlex
import shutil
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from PIL import Image

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json
from mien.core.recipe import Recipe
from mien.data.dataset import Dataset
from mien.data.drawn.face import draw
from mien.data.drawn.paint import draw_face
from mien.data.drawn.sets import Plan, write_class_folders
from mien.data.pack import import_data
from mien.deploy.export import export_run
from mien.deploy.runtime import Prediction, Predictor
from mien.deploy.verify import VerifyReport, verify
from mien.evaluate import results
from mien.evaluate.answerer import open_answerer
from mien.evaluate.bound import bound
from mien.evaluate.evaluate import Evaluation, evaluate
from mien.evaluate.metrics import Metrics
from mien.evaluate.report import Curves, ReportContext, write_report
from mien.evaluate.truth import LABELS
from mien.train.loop import Watcher
from mien.train.run import Finished, train

MARKER = "demo.json"
RECIPE = "demo"
NOTE = (
    "These faces were drawn by mien itself, so the figures show that the whole way works. "
    "They say nothing about photographs of people: for those, train on real pictures."
)
Say = Callable[[str], None]


@dataclass(frozen=True)
class Demo:
    """What a demo made.

    Attributes:
        report: the page to open.
        metrics: of the test split, which nothing was chosen on.
        verified: the exported file against the weights.
        fresh: answers to newly drawn faces, by the expression that was drawn.
        seconds: the whole demo.
    """

    out: Path
    report: Path
    model: Path
    metrics: Metrics
    verified: VerifyReport
    fresh: tuple[tuple[str, Prediction], ...]
    seconds: float


def run_demo(
    out: Path,
    watcher: Callable[[Recipe], Watcher],
    say: Say,
    *,
    plan: Plan | None = None,
    settings: Sequence[str] = (),
    force: bool = False,
) -> Demo:
    """Go the whole way inside the folder `out`, which appears complete or not at all.

    Args:
        out: gets drawn/, packed/, run/, fresh/ and report.html.
        watcher: given the recipe, makes what sees the training go on.
        say: is told each step in a sentence before it begins.
        plan: the faces; its seed decides the training too.
        settings: changes to the recipe, `key.path=value`.
        force: replace an earlier demo in `out`.

    Raises:
        MienError: `out` exists, and is no demo or `force` is not given; or a step fails.
    """
    plan, out = plan or Plan(count=3000), out.absolute()
    recipe = recipes.read(RECIPE, [f"train.seed={plan.seed}", *settings])
    started = time.perf_counter()
    with _fresh_folder(out, force=force):
        say(f"drawing {plan.count:,} faces as class folders of PNG files")
        source = write_class_folders(out / "drawn", plan)
        say("importing them into one packed data set")
        packed = import_data(source, out / "packed").dataset
        say(f"training {recipe.model.name} for {recipe.train.epochs} epochs")
        finished = train(packed, recipe, out / "run", watcher(recipe))
        made = _after_training(out, packed, finished, plan, say)
        made = replace(made, seconds=time.perf_counter() - started)
        write_json(out / MARKER, {"seconds": round(made.seconds, 1), "accuracy": made.metrics.accuracy})
    return made


def _after_training(out: Path, packed: Dataset, finished: Finished, plan: Plan, say: Say) -> Demo:
    run = finished.run
    say(f"measuring on {len(packed.rows('test')):,} test faces that nothing was chosen on")
    evaluation = evaluate(open_answerer(run.path), packed, split="test")
    results.write(run.evaluation, evaluation, packed, weights=bound(run.path))
    say("exporting one ONNX file and comparing it with the weights")
    model = export_run(run.path)
    verified = verify(run.path, model, packed, split="test")
    say("asking the exported file about faces drawn just now")
    fresh = _predict_fresh(out / "fresh", model, plan)
    say("writing the report")
    report = out / "report.html"
    facts = (*_facts(packed, finished, plan), *_proof(model, verified, fresh))
    metrics = write_report(report, _context(out, packed, finished, evaluation, facts))
    return Demo(out, report, model, metrics, verified, fresh, seconds=0.0)


def _predict_fresh(folder: Path, model: Path, plan: Plan) -> tuple[tuple[str, Prediction], ...]:
    """Answers to one clear new face of each expression, by file as a user would ask."""
    folder.mkdir()
    rng = np.random.default_rng([plan.seed, 2])
    faces = draw(rng, len(plan.labels), expressions=plan.labels.names, strength=(0.8, 1.0), spread=0.3)
    files = [folder / f"{face.expression}.png" for face in faces]
    for face, file in zip(faces, files, strict=True):
        Image.fromarray(draw_face(face, size=plan.size, colour=plan.colour)).save(file)
    answers = Predictor(model).predict(files)
    return tuple((face.expression, answer) for face, answer in zip(faces, answers, strict=True))


def _context(
    out: Path, packed: Dataset, finished: Finished, evaluation: Evaluation, facts: tuple[tuple[str, str], ...]
) -> ReportContext:
    return ReportContext(
        title="mien demo: expressions on drawn faces",
        measured_on="drawn faces that training never saw",
        labels=evaluation.answer_labels.names,
        images=packed.images[evaluation.rows],
        ids=packed.label[evaluation.rows],
        probabilities=evaluation.answer,
        curves=Curves.of_rows(finished.progress.rows, finished.progress.best_epoch),
        facts=facts,
        commands=_commands(out),
        notes=(NOTE,),
        leak_free=evaluation.scores[LABELS].leak_free,
    )


def _facts(packed: Dataset, finished: Finished, plan: Plan) -> tuple[tuple[str, str], ...]:
    info, progress = packed.info, finished.progress
    counts = {split: sum(of_label.values()) for split, of_label in info.counts.items()}
    parts = ", ".join(f"{count:,} {split}" for split, count in counts.items())
    colour = "colour" if info.channels == 3 else "grey"
    return (
        ("Data", f"{info.count:,} drawn faces, {info.width}×{info.height} px, {colour} ({parts}); seed {plan.seed}"),
        ("Net", finished.spec.architecture),
        ("Training", f"{progress.epoch} epochs in {progress.seconds:.0f} s; epoch {progress.best_epoch} kept"),
    )


def _proof(
    model: Path, verified: VerifyReport, fresh: tuple[tuple[str, Prediction], ...]
) -> tuple[tuple[str, str], ...]:
    difference = max(head.largest_difference for head in verified.heads)
    answered = "; ".join(f"{drawn} → {one.label} {one.probability:.0%}" for drawn, one in fresh)
    return (
        ("Exported file", f"{model.name}, {model.stat().st_size / 1e6:.2f} MB, needs no torch"),
        ("Compared", f"{verified.pictures:,} pictures: probabilities differ by at most {difference:.0e}"),
        ("Drawn just now", answered),
    )


def _commands(out: Path) -> tuple[tuple[str, str], ...]:
    run, packed, fresh = (shlex.quote(str(out / name)) for name in ("run", "packed", "fresh"))
    return (
        (f"mien predict {fresh} --model {run}", "Ask the trained model about pictures of faces, or a folder of them."),
        (f"mien eval {run} {packed} --split test --tta flip", "Measure it again, each picture also mirrored."),
        (f"mien diagnose {run}", "What holds it back, in plain words."),
        ("mien data import fer2013.csv --out fer2013", "The same with real pictures: FER2013, or folders by label."),
        ("mien train fer2013 --recipe mien-s", "Train on them. `mien recipes` lists the recipes and their times."),
    )


@contextmanager
def _fresh_folder(out: Path, *, force: bool) -> Iterator[None]:
    """An empty `out` with a marker; when the work inside fails or is interrupted, what stood there is put back."""
    _check_target(out, force=force)
    was_there = out.exists()
    aside = out.with_name(f".{out.name}.old")
    shutil.rmtree(aside, ignore_errors=True)
    if was_there:
        out.replace(aside)
    try:
        out.mkdir(parents=True)
        write_json(out / MARKER, {"seconds": None})
        yield
    except BaseException:  # Ctrl-C too
        shutil.rmtree(out, ignore_errors=True)
        if was_there:
            aside.replace(out)
        raise
    shutil.rmtree(aside, ignore_errors=True)


def _check_target(out: Path, *, force: bool) -> None:
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return
    if not (out / MARKER).is_file():
        raise MienError(f"{out} exists and is not a demo", hint="choose another --out")
    if not force:
        raise MienError(f"{out} exists", hint="choose another --out, or replace the old demo with --force")
