"""Which copy of FER2013 a set is: what share of it is as published, altered, missing, repeated or foreign."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.data.audit.finding import Figure, Finding, Severity, Sheet
from mien.data.audit.official import PRIVATE_TEST, SIDE, Match, Rows, known, match
from mien.data.dataset import Dataset
from mien.data.formats.base import Progress
from mien.page.words import listed, percent, plural

# Fewer recognised pictures than this share of a set are chance meetings, not a copy of FER2013.
_LEAST_SHARE = 0.01
# A copy that is altered in more than so much of its pictures is another data set for whoever compares figures.
_ALTERED_SHARE = 0.01
# Measured on FER2013, see docs/duplicates.md: JPEG at quality 50 and up leaves detail within these bounds, blur of half
# a pixel or bilinear enlarging does not.
BLURRED, SHARPENED = 0.72, 1.35
DARKER, BRIGHTER = -12, 12
FADED, HARSH = 0.8, 1.25
KINDS = ("mirrored", "blurred", "sharper or noisy", "other brightness or contrast", "re-encoded or resampled")
_WHY = (
    "Copies of FER2013 that circulate are blurred, enlarged, re-encoded or augmented before they were divided; what is "
    "measured on them does not compare with published figures."
)
_ACTION = (
    "Use fer2013.csv of the Kaggle contest, or say with your figures that they are of an altered copy. Augment in "
    "training instead of in the files."
)
_SHOWN = 8


@dataclass(frozen=True)
class Tally:
    """How many pictures are what. The first five make up the set.

    Attributes:
        official: as published, pixel for pixel at 48×48; each published row once.
        altered: recognised with other pixels, where the row itself is not there; each row once.
        repeated: pixel for pixel a row that is already there.
        augmented: recognised with other pixels, where the row is there already.
        foreign: not recognised.
        missing: known rows that no picture is.
        moved: recognised pictures of Training that are in val or test, and of PublicTest that are in train.
    """

    official: int
    altered: int
    repeated: int
    augmented: int
    foreign: int
    missing: int
    moved: int

    @property
    def pictures(self) -> int:
        """In the set."""
        return self.official + self.altered + self.surplus

    @property
    def surplus(self) -> int:
        """Pictures that are no known row, or not for the first time. PrivateTest, which is unknown, is among them."""
        return self.repeated + self.augmented + self.foreign

    @property
    def is_fer2013(self) -> bool:
        """Whether this is a copy at all, or a part of one."""
        return self.pictures - self.foreign > _LEAST_SHARE * self.pictures


def check(data: Dataset, tell: Progress) -> list[Finding]:
    """Which copy of FER2013 a packed set is."""
    rows = known()
    matched = match(data.images, data.table.column("sha256").to_pylist(), rows, tell=tell)
    return [which_copy(matched, data.split, rows, size=data.images.shape[1:3])]


def tally(matched: Match, split: NDArray[np.str_], rows: Rows) -> Tally:
    """Count what N pictures in splits (N,) were matched with."""
    there, once = matched.known, matched.known & ~matched.repeated
    row, in_train = matched.row[once], split[once] == "train"
    # The same pixels may be published on both sides: then they are at home on either.
    of_train, of_val = (
        np.isin(rows.exact, rows.exact[side]) for side in (rows.split == "train", rows.split != "train")
    )
    return Tally(
        official=int((once & matched.exact).sum()),
        altered=int((once & ~matched.exact).sum()),
        repeated=int((matched.repeated & matched.exact).sum()),
        augmented=int((matched.repeated & ~matched.exact).sum()),
        foreign=int((~there).sum()),
        missing=len(rows) - int(once.sum()),
        moved=int(np.where(in_train, ~of_train[row], ~of_val[row]).sum()),
    )


def kinds(matched: Match) -> NDArray[np.int64]:
    """What happened to each altered picture, as a place in `KINDS` (N,); −1 for all others. The first that fits."""
    blurred, sharper = matched.detail < BLURRED, matched.detail > SHARPENED
    light = (matched.brightness < DARKER) | (matched.brightness > BRIGHTER)
    light |= (matched.contrast < FADED) | (matched.contrast > HARSH)
    kind = np.select([matched.mirrored, blurred, sharper, light], [0, 1, 2, 3], 4)
    return np.where(matched.known & ~matched.exact, kind, -1)


def which_copy(matched: Match, split: NDArray[np.str_], rows: Rows, *, size: tuple[int, ...]) -> Finding:
    """The finding `which-copy` of N matched pictures of `size` (height, width), in splits (N,)."""
    found = tally(matched, split, rows)
    if not found.is_fer2013:
        verdict = "This is not FER2013, nor a part of it."
        return Finding("which-copy", Severity.FINE, verdict, _WHY, figures=_figures(found, matched, size))
    kind = kinds(matched)
    concerned = np.flatnonzero(~matched.exact | matched.repeated)
    named = np.array(["", *KINDS], object)[kind[concerned] + 1]
    severity = _severity(found)
    return Finding(
        name="which-copy",
        severity=severity,
        verdict=_verdict(found, kind, size),
        why=_WHY,
        action=_ACTION if severity >= Severity.WARNING else "",
        figures=_figures(found, matched, size),
        rows=concerned,
        columns={
            "published_row": matched.row[concerned],
            "repeated": matched.repeated[concerned],
            "change": named.astype(np.str_),
        },
        sheets=tuple(
            Sheet(f"Recognised, but {what}", np.flatnonzero(kind == i)[:_SHOWN])
            for i, what in enumerate(KINDS)
            if (kind == i).any()
        ),
    )


def _severity(found: Tally) -> Severity:
    allowed = _ALTERED_SHARE * found.pictures
    extra = found.surplus > PRIVATE_TEST
    if found.altered > allowed or (extra and found.augmented > allowed):
        return Severity.WARNING
    return Severity.NOTE if found.altered or found.missing or extra else Severity.FINE


def _verdict(found: Tally, kind: NDArray[np.int64], size: tuple[int, ...]) -> str:
    said = [f"{percent(found.official / found.pictures, 1)} of the pictures are FER2013's, pixel for pixel."]
    if size != (SIDE, SIDE):
        said.append(f"They are {size[1]}×{size[0]} px instead of {SIDE}×{SIDE}, and were reduced to compare.")
    if found.altered:
        said.append(f"{plural(found.altered, 'row')} are there in altered form only.")
    if found.altered or found.augmented > PRIVATE_TEST:
        what = [f"{int((kind == i).sum()):,} {name}" for i, name in enumerate(KINDS) if (kind == i).any()]
        said.append(f"Altered pictures: {listed(what)}.")
    if found.missing:
        said.append(f"{plural(found.missing, 'row')} of Training and PublicTest are missing.")
    if found.surplus:
        said.append(_surplus(found))
    if found.moved:
        said.append(
            f"{plural(found.moved, 'picture')} stand on the other side of train than where they were published."
        )
    return " ".join(said)


def _surplus(found: Tally) -> str:
    """What is there beyond the known rows, and how much of it may be PrivateTest."""
    what = [
        (found.repeated, "equal to a row that is there already"),
        (found.augmented, "altered copies of one"),
        (found.foreign, "not recognised"),
    ]
    parts = listed([f"{count:,} {name}" for count, name in what if count])
    private = (
        "as many as PrivateTest has, whose rows mien does not know"
        if found.surplus == PRIVATE_TEST
        else f"up to {PRIVATE_TEST:,} of them may be PrivateTest, whose rows mien does not know"
    )
    return f"{plural(found.surplus, 'picture')} beyond the known rows ({parts}): {private}."


def _figures(found: Tally, matched: Match, size: tuple[int, ...]) -> dict[str, Figure]:
    kind = kinds(matched)
    changed = {name.replace(" ", "_"): int((kind == i).sum()) for i, name in enumerate(KINDS)}
    return {
        "pictures": found.pictures,
        **vars(found),
        "official_share": round(found.official / max(found.pictures, 1), 5),
        **changed,
    } | {
        "height": size[0],
        "width": size[1],
    }
