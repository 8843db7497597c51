"""Finding wrong labels: how long it takes, and how many of those that were swapped on purpose are found.

    python benchmarks/label_errors.py [PACKED] [--plant 0 0.01 0.05 0.1] [--take 8000] [--drawn 4000] [--work FOLDER]

Without PACKED, on faces that mien draws, whose labels are right. A share of all labels is swapped for another class
at random (share 0: none), nets are trained as `mien data audit --labels` does, and its ranking is looked at:

    found      share of the swapped labels among the suspects
    right      share of the suspects that were swapped; on real sets the others may well be wrong, too
    unfit      with FER+ votes: share of the suspects that were swapped or whose label got no vote
    first n    share of swapped labels among the first n of the ranking, n being how many were swapped
    area       under the ROC curve of the ranking for swapped labels
    voted      with FER+ votes, no label swapped: area for labels without a vote, and their share among the first 1,000

An interrupted benchmark goes on in --work. Seconds are those of training and asking; folds found there cost none.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import torch

from mien.data.audit import copies
from mien.data.audit.finding import Finding
from mien.data.audit.label_errors import label_errors
from mien.data.audit.label_quality import check_by_votes, judge, without_vote
from mien.data.dataset import Dataset, describe, load
from mien.data.drawn.sets import Plan, drawn_set
from mien.train.crossval import out_of_fold


def taken(data: Dataset, count: int, seed: int) -> Dataset:
    """`count` pictures of a set, at random, in memory."""
    rows = np.sort(np.random.default_rng(seed).permutation(len(data))[:count])
    images, table = data.images[rows], data.table.take(pa.array(rows))
    return Dataset(images, table, describe(data.info.name, data.labels, images, table))


def planted(data: Dataset, share: float, seed: int) -> tuple[Dataset, np.ndarray]:
    """The set with a share of its labels swapped, and which they are (N,)."""
    rng = np.random.default_rng([seed, round(1e6 * share)])
    labelled = np.flatnonzero(data.label >= 0)
    chosen = rng.permutation(labelled)[: round(share * len(labelled))]
    label, classes = data.label.copy(), len(data.labels)
    label[chosen] = (label[chosen] + rng.integers(1, classes, len(chosen))) % classes
    place = data.table.column_names.index("label")
    table = data.table.set_column(place, "label", pa.array(label.astype(np.int32)))
    info = describe(data.info.name, data.labels, data.images, table)
    return replace(data, table=table, info=info), label != data.label


def look(data: Dataset, wrong: np.ndarray, work: Path, group: np.ndarray) -> tuple[Finding, str]:
    """One audit of labels, and its line of the table."""
    started = time.perf_counter()
    p = out_of_fold(data, work, groups=group).probabilities
    seconds = time.perf_counter() - started
    finding = label_errors(data.label, p, label_set=data.labels, votes=None if wrong.any() else data.votes)
    line = f"{seconds:7.0f} {finding.figures['agreement']:7.1%} {len(finding.rows):9,}"
    if not wrong.any():
        sure = f"  sure ones: {finding.figures['sure_disagreement']:.2%} otherwise; {finding.severity}"
        return finding, line + (voted(finding) if data.has_votes else sure)
    quality = judge(data.label, p).quality
    check = check_by_votes(quality, data.label >= 0, wrong, depth=int(wrong.sum()))
    suspect = np.zeros(len(data), bool)
    suspect[finding.rows] = True
    found, right, unfit = suspect[wrong].mean(), wrong[suspect].mean(), "      –"
    if data.votes is not None:
        unfit = f"{(wrong | without_vote(data.label, data.labels, data.votes)[1])[suspect].mean():7.1%}"
    shares = f" {found:7.1%} {right:7.1%} {unfit} {check.precision:8.1%} {check.auc:6.3f}"
    return finding, f"{line}{shares}  {finding.severity}"


def voted(finding: Finding) -> str:
    """What the votes say of the ranking."""
    figures = finding.figures
    first = next(value for name, value in figures.items() if name.startswith("without_vote_among"))
    return f"  voted: area {figures['without_vote_auc']:.3f}, {first:.1%} of the first 1,000; {finding.severity}"


def main() -> None:
    """Parse, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("packed", type=Path, nargs="?")
    parser.add_argument("--plant", type=float, nargs="+", default=[0, 0.01, 0.05, 0.1])
    parser.add_argument("--take", type=int, help="so many pictures of PACKED, at random")
    parser.add_argument("--drawn", type=int, default=4000, help="faces to draw without PACKED")
    parser.add_argument("--work", type=Path, help="keeps finished folds")
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as temporary:
        work = options.work or Path(temporary)
        if options.packed is None:
            data = drawn_set(work / "drawn", Plan(count=options.drawn, seed=options.seed))
        else:
            data = load(options.packed)
            data = taken(data, options.take, options.seed) if options.take else data
        group = copies.of(data).group
        print(f"{data.info.name}, {len(data):,} pictures, {torch.get_num_threads()} threads, seed {options.seed}")
        print("swapped seconds  agree  suspects   found   right   unfit  first n   area")
        for share in options.plant:
            changed, wrong = planted(data, share, options.seed)
            _, line = look(changed, wrong, work / f"nets-{share}", group)
            print(f"{share:7.0%}{line}", flush=True)


if __name__ == "__main__":
    main()
