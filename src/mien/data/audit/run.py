"""The whole audit: every check in order, over one data set."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from time import perf_counter

import numpy as np
from numpy.typing import NDArray

from mien.data.audit import copies, corrupt, counts, duplicates, unlike, which_copy
from mien.data.audit.class_fit import class_fit
from mien.data.audit.copies import Copies
from mien.data.audit.finding import Finding, Severity, worst
from mien.data.audit.label_errors import label_errors
from mien.data.audit.measures import Measures, measure
from mien.data.audit.not_face import not_a_face
from mien.data.audit.people import people
from mien.data.audit.preprocessing import Inputs, preprocessing
from mien.data.audit.split_fit import split_fit
from mien.data.audit.unusable import unusable
from mien.data.dataset import Dataset
from mien.data.formats.base import Progress

# Groups of copies (N,), −1 for none, and how far it is → probabilities (N, K) of nets that had not seen the picture.
Judge = Callable[[NDArray[np.int64], Progress], NDArray[np.floating]]
# The name of what is being done → where its progress goes.
Watch = Callable[[str], Progress]


@dataclass(frozen=True, eq=False)
class Request:
    """What to look at beside the pictures and labels themselves.

    Attributes:
        inputs: what the net is fed of the same pictures in training and in evaluation, for `preprocessing`.
        judge: trains nets and asks them about the labels, for `label-errors`: minutes.
    """

    inputs: tuple[Inputs, Inputs] | None = None
    judge: Judge | None = None


@dataclass(frozen=True, eq=False)
class Audit:
    """What came out.

    Attributes:
        data: what was looked at.
        findings: in the order in which they were looked for.
        seconds: spent on each check.
    """

    data: Dataset
    findings: tuple[Finding, ...]
    seconds: dict[str, float]

    @property
    def worst(self) -> Severity:
        """The worst severity of all findings."""
        return worst(list(self.findings))


@dataclass
class Subject:
    """The data set under audit, and what more than one check needs of it, made once."""

    data: Dataset
    request: Request
    tell: Progress

    @cached_property
    def copies(self) -> Copies:
        return copies.of(self.data, tell=self.tell)

    @cached_property
    def measures(self) -> Measures:
        return measure(self.data.images, tell=self.tell)


def _counts(subject: Subject) -> list[Finding]:
    data = subject.data
    names = data.labels.names
    return [counts.counts(data.label, data.split, names), class_fit(data.label, data.split, names)]


def _corrupt(subject: Subject) -> list[Finding]:
    return corrupt.check(subject.data)


def _unusable(subject: Subject) -> list[Finding]:
    return unusable(subject.measures)


def _not_a_face(subject: Subject) -> list[Finding]:
    odd = unlike.oddness(subject.data.images, tell=subject.tell)
    return [not_a_face(odd, subject.data.votes)]


def _copies(subject: Subject) -> list[Finding]:
    return duplicates.check(subject.data, subject.tell, subject.copies)


def _people(subject: Subject) -> list[Finding]:
    data = subject.data
    return [] if data.subject is None else [people(data.subject, data.split)]


def _which_copy(subject: Subject) -> list[Finding]:
    return which_copy.check(subject.data, subject.tell)


def _split_fit(subject: Subject) -> list[Finding]:
    data = subject.data
    return [split_fit(data.images, data.split, group=subject.copies.group, measures=subject.measures)]


def _preprocessing(subject: Subject) -> list[Finding]:
    inputs = subject.request.inputs
    return [] if inputs is None else [preprocessing(*inputs)]


def _label_errors(subject: Subject) -> list[Finding]:
    data, judge = subject.data, subject.request.judge
    if judge is None:
        return []
    probabilities = judge(subject.copies.group, subject.tell)
    return [label_errors(data.label, probabilities, label_set=data.labels, votes=data.votes)]


CHECKS: dict[str, Callable[[Subject], list[Finding]]] = {
    "counting classes": _counts,
    "comparing pictures": _copies,
    "comparing people": _people,
    "looking for FER2013": _which_copy,
    "reading rejects": _corrupt,
    "measuring pictures": _unusable,
    "looking for faces": _not_a_face,
    "comparing splits": _split_fit,
    "comparing preprocessing": _preprocessing,
    "judging labels": _label_errors,
}


def audit(data: Dataset, *, request: Request | None = None, watch: Watch | None = None) -> Audit:
    """Look for everything that is known to go wrong with a data set; nothing is changed.

    Args:
        data: a packed set; its pixels are read in blocks.
        request: what to look at beside pictures and labels.
        watch: called with the name of each check for somewhere to tell how far it is.
    """
    subject = Subject(data, request or Request(), _silent)
    findings: list[Finding] = []
    seconds: dict[str, float] = {}
    for name, check in CHECKS.items():
        started = perf_counter()
        if watch is not None:
            subject.tell = watch(name)
        findings += check(subject)
        seconds[name] = perf_counter() - started
    return Audit(data, tuple(findings), seconds)


def _silent(done: int, total: int | None) -> None:
    """Progress that nobody watches."""
    del done, total
