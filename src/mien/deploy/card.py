"""The model card that lies beside an exported model: what it is, what it was measured to do, what it is not for."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from mien.core.errors import MienError
from mien.core.labels import FERPLUS10, mapping
from mien.core.rundir import RunDir
from mien.core.spec import ModelSpec
from mien.evaluate.answered import augmented

NOT_A_FEELING = """\
## What an expression label is not

The label names what a face looks like to people who sorted pictures into these classes. It is not what a person
feels: people show little of it, show it differently, or show what they do not feel. The people do not agree either:
FER2013's own label is that of the FER+ majority for only two pictures in three. Classes are not equally easy (see the
figures), and pictures unlike those of training (other light, pose, age, region of the world) have to be measured before
the labels are relied on. A probability is the model's share of belief among its own classes, not a strength of feeling.

Do not use it to judge people. In the European Union, inferring emotions at work and in education is prohibited with
narrow exceptions (Regulation 2024/1689, article 5), and other uses carry duties. This is no legal advice.
"""


def model_card(run: RunDir, spec: ModelSpec, *, weights: str) -> str:
    """Markdown for the exported model of `run`; what the run folder does not hold is said to be missing.

    Raises:
        MienError: a file of the run is damaged.
    """
    digest = hashlib.sha256(run.exported.read_bytes()).hexdigest()
    shows_expressions = any(mapping(head.label_set, FERPLUS10).any() for head in spec.heads)
    parts = [
        f"# {spec.provenance.get('recipe', spec.architecture)}\n",
        use(run.exported.name, "Expression labels for pictures of single faces" if shows_expressions else "Labels"),
        table("Model", model_facts(spec, weights) | {"sha256 of the file": digest}),
        _data(run),
        _figures(run, spec),
        f"## Recipe\n\n```toml\n{run.recipe.read_text(encoding='utf-8').strip()}\n```\n",
        NOT_A_FEELING if shows_expressions else "",
    ]
    return "\n".join(part for part in parts if part)


def use(name: str, what: str) -> str:
    """How the model called `name` is asked, in the shell and in Python."""
    return (
        f"{what}. The file holds class names, input size, normalisation and calibration, and takes raw pixels.\n\n"
        f"```sh\nmien predict PICTURES --model {name}\n```\n\n"
        f'```python\nfrom mien import Predictor\n\nPredictor("{name}").predict("face.jpg")\n```\n'
    )


def table(title: str, facts: dict[str, str]) -> str:
    """A section of two columns."""
    rows = "".join(f"| {name} | {value} |\n" for name, value in facts.items())
    return f"## {title}\n\n| | |\n|---|---|\n{rows}"


def model_facts(spec: ModelSpec, weights: str) -> dict[str, str]:
    """What the spec says, in words."""
    options = ", ".join(f"{k} = {v}" for k, v in spec.options.items())
    colour = "grey" if spec.channels == 1 else "colour"
    seen = f", of which the centre {spec.crop}×{spec.crop} is seen" if spec.crop else ""
    facts = {
        "network": spec.architecture + (f" ({options})" if options else ""),
        "weights": weights,
        "input": f"uint8, {spec.height}×{spec.width} px, {colour}{seen}",
        "normalisation": spec.normalise.kind,
        "face in photos": f"a square of {spec.face_margin:g} times CenterFace's box" + _framed(spec),
    }
    for head in spec.heads:
        facts[f"head `{head.name}`"] = f"{', '.join(head.labels)} (temperature {head.temperature:g})"
    if len(spec.heads) > 1:
        facts["answers when nothing is asked for"] = f"head `{spec.head().name}`"
    if spec.abstain_below is not None:
        facts["unsure below"] = f"{spec.abstain_below:g}"
    return facts | {key.replace("_", " "): value for key, value in spec.provenance.items()}


def _framed(spec: ModelSpec) -> str:
    """What else is unusual in how faces are cut out."""
    moved = f", shifted {'down' if spec.face_shift > 0 else 'up'} by {abs(spec.face_shift):.2g} of its side"
    return (moved if spec.face_shift else "") + ("" if spec.face_level else ", eyes not made level")


def _data(run: RunDir) -> str:
    facts = _read(run.data)
    if facts is None:
        return "## Training data\n\nThe run does not say.\n"
    counts = {split: sum(of.values()) for split, of in facts.get("counts", {}).items()}
    told = {"name": str(facts.get("name")), "fingerprint": str(facts.get("fingerprint"))}
    pictures = {f"pictures in {split}": f"{count:,}" for split, count in counts.items()}
    origin = {key: str(value) for key, value in (facts.get("provenance") or {}).items()}
    return table("Training data", told | pictures | origin)


def _figures(run: RunDir, spec: ModelSpec) -> str:
    """The scores of `mien eval`, if they are those of these very weights."""
    measured = _read(run.evaluation / "metrics.json")
    if measured is None or measured.get("provenance") != spec.provenance:
        return "## Figures\n\nNot measured: run `mien eval RUN DATA`, then `mien export RUN` again.\n"
    lines = [
        f"`mien eval` on {measured['dataset']['name']} ({measured['dataset']['fingerprint'][:12]}), split "
        f"{measured['split']}, {measured['pictures']:,} pictures, test-time augmentation {measured['tta']}, "
        f"{measured['date']}. In brackets: 95 % intervals. The exported model answers without augmentation.\n"
    ]
    lines += [_score(kind, score) for kind, score in measured["scores"].items()]
    lines += [_with_views(facts) for facts in augmented(run, measured)]
    return "## Figures\n\n" + "\n".join(lines)


def _score(kind: str, score: dict[str, Any]) -> str:
    accuracy = percent(score["accuracy"], score["accuracy_interval"])
    header = (
        f"**{kind}** (head `{score['head']}`, {score['count']:,} pictures): accuracy {accuracy}, "
        f"macro-F1 {percent(score['macro_f1'])}, log loss {score['log_loss']:.3f} nats, "
        f"expected calibration error {percent(score['calibration_error'])}\n"
    )
    rows = [
        (c["name"], f"{c['support']:,}", *(percent(c[f], c[f"{f}_interval"]) for f in ("recall", "precision")))
        for c in score["classes"]
    ]
    lines = [("label", "pictures", "recall", "precision"), ("---",) * 4, *rows]
    return header + "\n" + "".join(f"| {' | '.join(row)} |\n" for row in lines)


def _with_views(facts: dict[str, Any]) -> str:
    """The accuracies of an evaluation with test-time augmentation."""
    told = [f"{kind} {percent(s['accuracy'], s['accuracy_interval'])}" for kind, s in facts["scores"].items()]
    return f"With test-time augmentation {facts['tta']}, accuracy: {', '.join(told)}.\n"


def percent(value: float | None, interval: dict[str, float] | None = None) -> str:
    """A share in per cent with the ends of its interval; – where it is not defined."""
    if value is None:
        return "–"
    ends = f" ({100 * interval['low']:.1f}–{100 * interval['high']:.1f})" if interval else ""
    return f"{100 * value:.1f} %{ends}"


def _read(path: Path) -> dict[str, Any] | None:
    if not path.is_file():
        return None
    try:
        facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise MienError(f"{path}: damaged ({error})", hint="run `mien eval` again, or remove the file") from None
    return facts
