"""Timelines as tables and as a picture."""

from __future__ import annotations

import csv
import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pyarrow.csv as pacsv
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.core.errors import MienError, MissingExtraError
from mien.core.labels import FER2013
from mien.deploy.photos import Face
from mien.deploy.runtime import make_prediction
from mien.video import plot as plots
from mien.video import timeline as timelines
from mien.video.plot import TimelinePlot
from mien.video.scene import Seen
from mien.video.timeline import timeline

HEADER = ["frame", "time_s", "face", "label", "probability", "unsure", "left", "top", "right", "bottom", "score"]


def seen(number: int, label: str = "happy") -> Seen:
    row = np.full(7, 0.05, np.float32)
    row[FER2013.names.index(label)] = 0.7
    face = Face((1.5, 2, 30, 40), (), 0.875, make_prediction("x", row, FER2013.names, 0.75 if label == "sad" else None))
    return Seen(number, face)


class At:
    """Stands in for a frame."""

    def __init__(self, time_s: float) -> None:
        self.index, self.time_s = round(time_s * 25), time_s


FRAMES = [(0, 0.0, [seen(1), seen(2, "sad")]), (1, 0.04, []), (2, 0.08, [seen(2)])]


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_timeline_has_a_row_for_each_face_and_an_empty_one_for_none(tmp_path: Path, name: str) -> None:
    with timeline(tmp_path / name, FER2013.names) as write:
        for frame in FRAMES:
            write(*frame)
    header = [*HEADER, *(f"p_{label}" for label in FER2013.names)]
    if name.endswith("csv"):
        with (tmp_path / name).open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        assert list(rows[0]) == header
        assert [(r["frame"], r["face"], r["label"], r["unsure"]) for r in rows] == [
            *(("0", "1", "happy", "0"), ("0", "2", "sad", "1"), ("1", "", "", ""), ("2", "2", "happy", "0"))
        ]
        assert [float(rows[0][c]) for c in ("left", "top", "right", "bottom", "score")] == [1.5, 2, 30, 40, 0.875]
    else:
        table = pq.read_table(tmp_path / name)
        assert table.column_names == header
        assert table["face"].to_pylist() == [1, 2, None, 2]
        assert table["time_s"].to_pylist() == [0, 0, 0.04, 0.08]
        assert table["unsure"].to_pylist() == [False, True, None, False]
        assert table["p_happy"].to_pylist() == pytest.approx([0.7, 0.05, None, 0.7])


def test_long_timelines_are_written_in_pieces(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "_GROUP_ROWS", 50)
    with timeline(tmp_path / "t.parquet", FER2013.names) as write:
        for i in range(130):
            write(i, i / 25, [seen(1)])
    file = pq.ParquetFile(tmp_path / "t.parquet")
    assert (file.metadata.num_row_groups, file.metadata.num_rows) == (3, 130)
    file.close()
    with timeline(tmp_path / "empty.parquet", FER2013.names):
        pass
    assert pq.read_table(tmp_path / "empty.parquet").num_rows == 0


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_an_error_in_between_leaves_the_rows_before_it(tmp_path: Path, name: str) -> None:
    def interrupted(count: int) -> None:
        with timeline(tmp_path / name, FER2013.names) as write:
            for frame in FRAMES[:count]:
                write(*frame)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted(0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(KeyboardInterrupt):
        interrupted(2)
    found = pq.read_table(tmp_path / name) if name.endswith("parquet") else pacsv.read_csv(tmp_path / name)
    assert found["frame"].to_pylist() == [0, 0, 1]


FULL_DISK = """
import resource, signal, sys
from pathlib import Path
from mien.core.errors import MienError
from mien.video.timeline import timeline
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (20_000,) * 2)
try:
    with timeline(Path(sys.argv[1]), ["a", "b"]) as write:
        for i in range(100_000):
            write(i, i / 25, [])
except MienError as error:
    print(error)
"""


@pytest.mark.parametrize("name", ["t.csv", "t.parquet"])
def test_a_full_disk_leaves_whole_rows_or_nothing_and_the_file_is_named(tmp_path: Path, name: str) -> None:
    told = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(tmp_path / name)], capture_output=True, text=True, check=True
    ).stdout
    assert told.startswith(f"{tmp_path / name}: cannot be written (")
    if name == "t.parquet":  # its end says what is in it
        assert list(tmp_path.iterdir()) == []
    else:
        lines = (tmp_path / name).read_text().split("\n")
        assert lines[-1] == ""
        assert [line.split(",")[0] for line in lines[1:-1]] == [str(i) for i in range(len(lines) - 2)]
        assert {line.count(",") for line in lines[:-1]} == {12}
        assert len(lines) > 500


def test_a_timeline_that_cannot_be_begun_is_not_said_to_be_kept(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(MienError) as caught, timeline(tmp_path / "t.csv", ["a"]):
        pass
    assert caught.value.hint == "is the disk full, or the folder closed to you?"


def test_other_kinds_of_files_and_a_missing_library_are_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with (
        pytest.raises(MienError, match=r"t\.xlsx: a timeline is \.csv or \.parquet"),
        timeline(tmp_path / "t.xlsx", []),
    ):
        pass
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r"mien\[video\]"), timeline(tmp_path / "t.parquet", []):
        pass


def colours(path: Path) -> set[tuple[int, ...]]:
    with Image.open(path) as picture:
        found = picture.convert("RGB").getcolors(1 << 24)
    assert found is not None
    return {colour for count, colour in found if count > 300}


def test_the_plot_shows_what_each_face_looked_like_and_nothing_where_it_was_not(tmp_path: Path) -> None:
    plot = TimelinePlot(FER2013.names)
    for i in range(50):
        plot(At(i / 25), [seen(1, "happy" if i < 25 else "fear")], answered=True)
    plot.save(tmp_path / "t.png", "a $100 clip")
    assert {(0xFF, 0xD2, 0x3F), (0xB7, 0x94, 0xF6), (255, 255, 255)} <= colours(tmp_path / "t.png")
    empty = TimelinePlot(FER2013.names)
    empty(At(0), [], answered=True)
    empty.save(tmp_path / "empty.png", "nobody")
    assert (0xFF, 0xD2, 0x3F) not in colours(tmp_path / "empty.png")


@pytest.mark.parametrize("interval_s", [1 / 60, 1 / 25, 1 / 15, 0.2, 2.0])
def test_a_face_seen_in_every_answered_frame_is_seen_without_a_break(interval_s: float) -> None:
    """Whatever the rate and the length; and where it was away for a while, there is one."""
    plot = TimelinePlot(FER2013.names)
    for i in range(900):
        plot(At(i * interval_s), [] if 300 <= i < 330 else [seen(1)], answered=True)
        plot(At(i * interval_s), [seen(1)], answered=False)
    first, second = plot.presence(1)
    assert first[0][0] == 0
    assert first[0][-1] == pytest.approx(300 * interval_s, abs=3 * plot.step_s)
    assert second[0][0] == pytest.approx(330 * interval_s, abs=3 * plot.step_s)
    for times, shares in (first, second):
        assert len(times) == len(shares) + 1
        np.testing.assert_allclose(shares.sum(1), 1, rtol=1e-5)


def test_an_hour_takes_no_more_memory_than_a_minute() -> None:
    plot = TimelinePlot(FER2013.names)
    for second in range(3600):
        plot(At(float(second)), [seen(1)], answered=True)
        plot(At(second + 0.5), [seen(1, "fear")], answered=False)
    [steps] = plot._faces.values()
    assert 500 <= len(steps) <= 1000
    assert sum(row[-1] for row in steps.values()) == 3600
    total = sum(steps.values())
    assert total[FER2013.names.index("happy")] / total[-1] == pytest.approx(0.7, rel=1e-5)
    assert plot.end_s == 3599.5


def test_of_very_many_faces_the_longest_seen_are_kept_and_the_others_counted(tmp_path: Path) -> None:
    plot = TimelinePlot(FER2013.names)
    titles: list[str] = []
    for i in range(1000):
        plot(At(i / 10), [seen(1), seen(i + 2)], answered=True)
        assert len(plot._faces) <= 200
        assert {1, i + 2} <= plot._faces.keys()
    decorate = plot._decorate
    plot._decorate = lambda figure, grid, title, left_out: (
        titles.append(left_out),
        decorate(figure, grid, title, left_out),
    )
    plot.save(tmp_path / "t.png", "a crowd")
    assert titles == [1001 - 6]


@pytest.mark.parametrize("fonts", [True, False])
def test_titles_and_classes_in_any_script_are_drawn_or_replaced_without_warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fonts: bool
) -> None:
    if not fonts:
        monkeypatch.setattr(plots, "font_file", lambda *_, **__: None)
        monkeypatch.setattr("mien.deploy.annotate.legible", str.isascii)
    plot = TimelinePlot(("高兴", "радость", *FER2013.names[2:]))
    plot(At(0), [seen(1)], answered=True)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        plot.save(tmp_path / "t.png", "视频 Видео.mp4")
    assert (tmp_path / "t.png").is_file()
    assert fonts or plots._legible("视频 Видео.mp4") == "?? ?????.mp4"
