"""What trained models say of the training pictures, asked once and kept in the run folder."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file
from torch import Tensor

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.recipe_keys import DistillConfig
from mien.core.spec import Head, ModelSpec
from mien.data.dataset import Dataset
from mien.evaluate import tta
from mien.evaluate.answerer import Answerer, Answers, Precision, model_file, open_answerer
from mien.evaluate.predict import predict_probabilities
from mien.train.losses import soften
from mien.train.machine import Machine

Tell = Callable[[int, int], None]
# The heads of a teacher and its answers (n, K) by them.
_Said = list[tuple[Head, NDArray[np.float32]]]
_FACTS = "mien-teacher"
_Values = TypeVar("_Values", Tensor, NDArray[np.float32])


def taught(
    data: Dataset,
    rows: NDArray[np.int64],
    spec: ModelSpec,
    config: DistillConfig,
    *,
    folder: Path,
    machine: Machine,
    kept: bool = True,
    tell: Tell | None = None,
) -> tuple[Tensor | None, ...]:
    """For each head of a net the teachers' answers (n, K) to the training pictures at `rows`, None without teachers.

    The mean over the teachers of their answers at the temperature of `config` (Hinton et al. 2015, arXiv 1503.02531,
    section 2). A teacher answers the labels of a head by its own head of the same labels, in whatever order.

    Args:
        data: the packed set.
        rows: positions of the training pictures.
        spec: of the net that learns.
        config: teachers, views, temperature.
        folder: where each teacher's answers are kept, and found again by a resumed run, teacher or no.
        machine: whose processes share the work.
        kept: whether what is in `folder` counts; what an earlier start left there may be another teacher's.
        tell: called with how many answers there are and will be.

    Raises:
        MienError: a teacher that is no model, takes other pictures, or has none of the labels.
    """
    if not config.teachers:
        return tuple(None for _ in spec.heads)
    answers = _Asked(data, rows, config, spec.heads, machine, folder, kept).all(tell)
    by_head = ([by_label(head, answer) for answer in answers] for head in spec.heads)
    return tuple(_mean(found, config.temperature, machine.device) for found in by_head)


@dataclass(frozen=True)
class _Asked:
    """Asks teachers, or reads what they said before."""

    data: Dataset
    rows: NDArray[np.int64]
    config: DistillConfig
    heads: tuple[Head, ...]
    machine: Machine
    folder: Path
    kept: bool

    def all(self, tell: Tell | None) -> list[_Said]:
        """What each teacher says. All that have to be asked are opened before the first one is."""
        teachers = self.config.teachers
        known = [_read(self._path(i), self._facts(name)) if self.kept else None for i, name in enumerate(teachers)]
        opened = [
            open_teacher(teacher_file(name), self.heads, self.machine) if said is None else None
            for name, said in zip(teachers, known, strict=True)
        ]
        found = []
        for number, (said, answerer) in enumerate(zip(known, opened, strict=True)):
            done = _Counter(number * len(self.rows), len(teachers) * len(self.rows), tell)
            found.append(said if answerer is None else self._asked(number, answerer, done))
        return [said for said in found if said is not None]

    def _path(self, number: int) -> Path:
        return self.folder / f"{number}.safetensors"

    def _asked(self, number: int, answerer: Answerer, done: _Counter) -> _Said:
        """What a teacher says, which is kept."""
        answers = self._ask(answerer, done)
        if self.machine.is_first:
            heads = [head.model_dump(mode="json") for head in answerer.spec.heads]
            facts = {"facts": self._facts(self.config.teachers[number]), "heads": heads}
            with atomic_path(self._path(number)) as temporary:
                save_file(answers, temporary, metadata={_FACTS: json.dumps(facts)})
        self.machine.wait()
        return [(head, answers[head.name]) for head in answerer.spec.heads]

    def _facts(self, name: str) -> dict[str, Any]:
        """What the answers depend on, apart from the teacher's own weights: the run keeps to what was said at first."""
        rows = hashlib.sha256(self.rows.tobytes()).hexdigest()
        return {"teacher": name, "views": self.config.views, "data": self.data.info.fingerprint, "rows": rows}

    def _ask(self, answerer: Answerer, done: _Counter) -> Answers:
        views, world = tta.variants(self.config.views, answerer.spec), self.machine.processes
        own = self.rows[self.machine.rank :: world]
        part = predict_probabilities(
            answerer, self.data.images, rows=own, variants=views, progress=lambda n: done.add(n * world)
        )
        if world == 1:
            return part
        whole = {name: torch.zeros(len(self.rows), values.shape[1]) for name, values in part.items()}
        for name, values in part.items():
            whole[name][self.machine.rank :: world] = torch.from_numpy(values)
        return {name: self.machine.sum(values.to(self.machine.device)).cpu().numpy() for name, values in whole.items()}


@dataclass
class _Counter:
    done: int
    total: int
    tell: Tell | None

    def add(self, count: int) -> None:
        self.done = min(self.done + count, self.total)
        if self.tell is not None:
            self.tell(self.done, self.total)


def _read(path: Path, facts: dict[str, Any]) -> _Said | None:
    """What a teacher said before, None when it was asked something else or its file is damaged."""
    try:
        with safe_open(path, framework="np") as file:
            told = json.loads((file.metadata() or {})[_FACTS])
            heads = [Head.model_validate(head) for head in told["heads"]]
            return [(h, file.get_tensor(h.name)) for h in heads] if told["facts"] == facts else None
    except (OSError, SafetensorError, KeyError, ValueError):
        return None


def teacher_file(name: str) -> Path:
    """The file of a teacher. Raises MienError, which names the key, when there is none."""
    try:
        return model_file(Path(name))
    except MienError as error:
        raise MienError(f"distill.teachers: {error.message}", hint=error.hint) from None


def open_teacher(path: Path, heads: Sequence[Head], machine: Machine) -> Answerer:
    """A teacher, ready to answer. Raises MienError when it is no model or knows none of the heads."""
    precision: Precision = "bf16" if machine.precision == "bf16" else "fp32"
    answerer = open_answerer(path, device=machine.device, precision=precision)
    known = [set(head.labels) for head in answerer.spec.heads]
    if not any(set(head.labels) in known for head in heads):
        labels = "; ".join(", ".join(head.labels) for head in heads)
        raise MienError(
            f"{answerer.name}: has no head with the labels that are to be learned", hint=f"they are: {labels}"
        )
    return answerer


def by_label(head: Head, answers: Sequence[tuple[Head, _Values]]) -> _Values | None:
    """The answers of a teacher in the order of a head's labels; None when no head of its has them all and no others."""
    fitting = [(own, values) for own, values in answers if set(own.labels) == set(head.labels)]
    for own, values in sorted(fitting, key=lambda pair: pair[0].name != head.name):
        return values[:, [own.labels.index(label) for label in head.labels]]
    return None


def _mean(answers: Sequence[NDArray[np.float32] | None], temperature: float, device: torch.device) -> Tensor | None:
    soft = [soften(torch.from_numpy(values), temperature) for values in answers if values is not None]
    return torch.stack(soft).mean(0).to(device) if soft else None
