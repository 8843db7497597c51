"""`mien video` and `mien webcam` from file to files, with a toy detector and a model of known answers."""

from __future__ import annotations

import csv
import json
import os
import re
import signal
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pyarrow.parquet as pq
import pytest
from deploy_toys import Linear
from face_toys import SquareDetector, scene
from PIL import Image
from video_toys import RATE, frames_of, moving, sound_of, write_video

from mien.cli import watching, webcam
from mien.cli.app import run as mien
from mien.cli.interrupt import until_interrupted
from mien.cli.webcam import panel
from mien.core.errors import MienError
from mien.core.labels import FER2013, LabelSet
from mien.deploy.runtime import Predictor
from mien.faces.detector import Faces
from mien.video.follow import Follower
from mien.video.recording import Recording
from mien.video.scene import Scene, Seen
from mien.video.source import Frame, VideoFile
from mien.video.watch import Summary, watch

Shown = pytest.CaptureFixture[str]


class StoppingDetector(SquareDetector):
    """Presses Ctrl-C when it is asked for the n-th time."""

    def __init__(self, stop_at: int | None = None) -> None:
        super().__init__()
        self.stop_at = stop_at

    def detect(self, pictures: Sequence[np.ndarray]) -> list[Faces]:
        found = super().detect(pictures)
        if self.stop_at is not None and len(self.sizes) >= self.stop_at:
            self.stop_at = None
            os.kill(os.getpid(), signal.SIGINT)
        return found


@pytest.fixture
def detector(monkeypatch: pytest.MonkeyPatch) -> StoppingDetector:
    found = StoppingDetector()
    monkeypatch.setattr(watching, "CenterFace", found)
    return found


@pytest.fixture
def model(tmp_path: Path) -> Linear:
    return Linear(tmp_path / "model.onnx", [FER2013], face_margin=1.0)


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A face from the start, gone for five frames, a second one beside it at the end; with sound."""
    frames = moving(30)
    frames[10:15] = [scene(96, 160)] * 5
    for frame in frames[20:]:
        frame[10:30, 110:130] = 230
    return write_video(tmp_path / "clip.mp4", frames, sound="aac")


@pytest.fixture
def ask(model: Linear, detector: StoppingDetector, capsys: Shown) -> Callable[..., str]:
    def run(*arguments: object, code: int = 0) -> str:
        assert detector.sizes == []
        verb, *rest = map(str, arguments)
        assert mien([verb, *rest, "--model", str(model.path), "--threads", "1"]) == code
        return capsys.readouterr().out

    return run


def rows_of(path: Path) -> list[dict[str, str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_a_video_becomes_a_timeline_a_plot_and_a_marked_video_with_its_sound(
    ask: Callable[..., str], clip: Path, tmp_path: Path
) -> None:
    out, table, plot = tmp_path / "out.mp4", tmp_path / "t.csv", tmp_path / "t.png"
    told = json.loads(
        ask("video", clip, "--out", out, "--timeline", table, "--plot", plot, "--search-every", 1, "--json")
    )
    assert (told["frames"], told["answered"], told["with_faces"]) == (30, 30, 25)
    assert [(f["face"], f["frames"]) for f in told["faces"]] == [(1, 25), (2, 10)]
    rows = rows_of(table)
    assert [r["face"] for r in rows[:10]] == ["1"] * 10
    assert [r["face"] for r in rows[10:15]] == [""] * 5
    assert [r["face"] for r in rows[20:24]] == ["1", "2"] * 2
    assert len(rows) == 40
    before, after = frames_of(clip), frames_of(out)
    assert len(after) == 30
    for (then, plain), (now, marked) in zip(before, after, strict=True):
        assert now == pytest.approx(then, abs=1e-3)
        assert plain.shape == marked.shape
    difference = [abs(a.astype(int) - b).mean() for (_, a), (_, b) in zip(before, after, strict=True)]
    assert min(difference[:10]) > 2 * max(difference[10:15])
    assert sound_of(out) == sound_of(clip)
    with Image.open(plot) as picture:
        assert picture.width > 500


def test_every_nth_frame_is_looked_at_and_all_are_kept(ask: Callable[..., str], clip: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "out.mkv", tmp_path / "t.parquet"
    told = json.loads(ask("video", clip, "--every", 4, "--out", out, "--timeline", table, "--json"))
    assert (told["frames"], told["answered"]) == (30, 8)
    found = pq.read_table(table)
    assert sorted(set(found["frame"].to_pylist())) == list(range(0, 30, 4))
    assert len(frames_of(out)) == 30


def test_the_summary_is_a_table_for_people(ask: Callable[..., str], clip: Path) -> None:
    lines = ask("video", clip).splitlines()
    assert lines[0].split()[:3] == ["face", "from", "s"]
    assert lines[-1].startswith("30 frames, 1.2 s; 30 looked at, ")


def test_ctrl_c_ends_in_good_order_with_everything_complete(
    ask: Callable[..., str], clip: Path, tmp_path: Path, detector: StoppingDetector
) -> None:
    detector.stop_at = 8
    out, table, plot = tmp_path / "out.mp4", tmp_path / "t.csv", tmp_path / "t.png"
    asked = ("video", clip, "--out", out, "--timeline", table, "--plot", plot, "--search-every", 1, "--json")
    told = json.loads(ask(*asked, code=130))
    assert told["frames"] == 8
    assert len(frames_of(out)) == 8
    assert len(sound_of(out)) > 0
    assert len(rows_of(table)) == 8
    assert plot.is_file()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


def test_a_recording_that_fails_leaves_the_rest_and_is_told(
    clip: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    model: Linear,
    detector: StoppingDetector,  # noqa: ARG001
    capsys: Shown,
) -> None:
    really = Recording.add_frame

    def full(self: Recording, pixels: np.ndarray, time_s: float) -> None:
        if time_s > 0.5:
            raise MienError("out.mp4: cannot be written")
        really(self, pixels, time_s)

    monkeypatch.setattr(Recording, "add_frame", full)
    out, table, plot = tmp_path / "out.mp4", tmp_path / "t.csv", tmp_path / "t.png"
    wanted = ("--out", str(out), "--timeline", str(table), "--plot", str(plot))
    assert mien(["video", str(clip), *wanted, "--model", str(model.path), "--threads", "1"]) == 2
    assert "out.mp4: cannot be written" in capsys.readouterr().err
    assert len(frames_of(out)) == 13
    assert {row["frame"] for row in rows_of(table)} == {str(i) for i in range(14)}
    assert plot.is_file()


def test_a_video_without_a_picture_says_so_and_leaves_older_files(
    model: Linear,
    detector: StoppingDetector,
    clip: Path,
    tmp_path: Path,
    capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(VideoFile, "frames_and_sound", lambda *_, **__: iter(()))  # as where no frame can be decoded
    older = [tmp_path / name for name in ("out.mp4", "t.csv", "t.png")]
    for file in older:
        file.write_text("older")
    wanted = [f"--{name}={file}" for name, file in zip(("out", "timeline", "plot"), older, strict=True)]
    assert mien(["video", str(clip), *wanted, "--model", str(model.path), "--threads", "1"]) == 2
    assert "clip.mp4: no picture of it can be read" in capsys.readouterr().err
    assert [file.read_text() for file in older] == ["older"] * 3
    assert detector.sizes == []


def test_a_video_that_is_cut_off_is_said_to_be(
    ask: Callable[..., str], tmp_path: Path, capsys: Shown, model: Linear
) -> None:
    cut = write_video(tmp_path / "cut.mkv", moving(100))
    cut.write_bytes(cut.read_bytes()[: cut.stat().st_size // 2])
    told = json.loads(ask("video", cut, "--json"))
    assert told["duration_s"] == pytest.approx(4, abs=0.1)
    assert 1 < told["cut_off_s"] < 3
    assert mien(["video", str(cut), "--model", str(model.path), "--threads", "1"]) == 0
    assert re.search(r"cut\.mkv: its pictures end at 0:0[12]\.\d of 0:04; is", capsys.readouterr().err)


def test_ctrl_c_is_heard_where_no_picture_decodes(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(VideoFile, "_decoded", lambda *_: [])
    with VideoFile(clip) as source:
        packets = list(source.frames_and_sound(sound=True))
    asked = iter([False] * 5)
    with VideoFile(clip) as source:
        until = list(source.frames_and_sound(sound=True, stopped=lambda: next(asked, True)))
    assert len(until) <= 5 < len(packets)


def test_a_second_ctrl_c_interrupts_at_once() -> None:
    with until_interrupted() as stopped:
        assert not stopped()
        os.kill(os.getpid(), signal.SIGINT)
        assert stopped()
        with pytest.raises(KeyboardInterrupt):
            os.kill(os.getpid(), signal.SIGINT)


def test_a_camera_is_watched_recorded_and_summed_up(ask: Callable[..., str], clip: Path, tmp_path: Path) -> None:
    out, table = tmp_path / "cam.mkv", tmp_path / "t.csv"
    told = json.loads(ask("webcam", clip, "--out", out, "--timeline", table, "--search-every", 1, "--json"))
    assert told["camera"] == str(clip)
    assert 0 < told["frames"] <= 30
    assert len(frames_of(out)) == told["frames"]
    assert {r["frame"] for r in rows_of(table)} == {str(i) for i in range(told["frames"])}
    assert told["faces"][0]["face"] == 1


def test_a_camera_stops_after_some_seconds_or_on_ctrl_c(
    ask: Callable[..., str],
    tmp_path: Path,
    detector: StoppingDetector,
    capsys: Shown,
    model: Linear,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    long = write_video(tmp_path / "long.mp4", [scene(96, 160, (20, 20, 30))] * 5 * RATE)
    with monkeypatch.context() as patched:  # every picture that is looked at takes a tenth of a second
        patched.setattr(webcam, "time", SimpleNamespace(monotonic=lambda: 7 + len(detector.sizes) / 10))
        told = json.loads(ask("webcam", long, "--seconds", 0.4, "--search-every", 1, "--json"))
    assert told["frames"] == 4
    detector.stop_at = len(detector.sizes) + 3
    assert mien(["webcam", str(long), "--model", str(model.path), "--threads", "1"]) == 0
    assert "looked at" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["video", "absent.mp4"], "absent.mp4: no such file"),
        (["video", "clip.mp4", "--out", "out.avi"], "out.avi: not a kind of video"),
        (["video", "clip.mp4", "--timeline", "t.xlsx"], "t.xlsx: a timeline is"),
        (["video", "clip.mp4", "--labels", "fer2014"], "did you mean 'fer2013'"),
        (["video", "model.onnx"], "model.onnx: not a video"),
        (["video", "clip.mp4", "--out", "./clip.mp4"], "clip.mp4: is what is looked at"),
        (["webcam", "clip.mp4", "--out", "./clip.mp4"], "clip.mp4: is what is looked at"),
        (["video", "clip.mp4", "--timeline", "x.csv", "--plot", "./x.csv"], "x.csv: is to be written twice"),
        (["webcam", "clip.mp4", "--out", "x.mp4", "--plot", "x.mp4"], "x.mp4: is to be written twice"),
        (["video", "clip.mp4", "--plot", "."], "is a folder"),
        (["video", "clip.mp4", "--plot", "clip.mp4/t.png"], "clip.mp4 is a file, not a folder"),
        (["webcam", "clip.mp4", "--plot", "t.jpg"], "t.jpg: does not end in .png"),
        (["video", "."], ".: is a folder"),
        (["video", "pipe"], "pipe: is no file"),
        (["webcam", "absent.mp4"], "absent.mp4: no camera"),
        (["video", "clip.mp4", "--every", "0"], "--every"),
    ],
)
def test_wrong_use_exits_with_two_and_leaves_nothing(
    arguments: list[str],
    message: str,
    clip: Path,
    model: Linear,
    detector: StoppingDetector,
    capsys: Shown,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(clip.parent)
    os.mkfifo("pipe")
    before = clip.read_bytes()
    assert mien([*arguments, "--model", str(model.path)]) == 2
    assert message in capsys.readouterr().err
    assert detector.sizes == []
    assert sorted(path.name for path in Path().iterdir()) == ["clip.mp4", "model.onnx", "pipe"]
    assert clip.read_bytes() == before


def test_the_terminal_shows_bars_for_each_face(model: Linear) -> None:
    looks = Scene(Predictor(model.path), Follower(SquareDetector()))
    text = panel(looks.look(scene(96, 160, (20, 20, 30), (90, 20, 40)), 0.0), 25).plain
    assert text.count("face ") == 2
    assert all(text.count(name) == 2 for name in FER2013.names)
    assert "no face" in panel([], 25).plain


def test_names_of_a_strangers_model_do_not_command_the_terminal(
    tmp_path: Path, clip: Path, detector: StoppingDetector, capsys: Shown
) -> None:
    assert detector.sizes == []
    names = LabelSet(name="bad", names=("a\x1b]0;title\x07", "b\x9b2J", "c\x7f"))
    model = Linear(tmp_path / "bad.onnx", [names], face_margin=1.0)
    looks = Scene(Predictor(model.path), Follower(SquareDetector(), every=1), smooth_s=0)
    shown = panel(looks.look(scene(96, 160, (20, 20, 30)), 0.0), 25).plain
    assert mien(["video", str(clip), "--model", str(model.path), "--threads", "1"]) == 0
    for text in (shown, capsys.readouterr().out):
        assert "a\ufffd]0;title\ufffd" in text
        assert not set("\x1b\x07\x9b\x7f") & set(text)


def test_ctrl_c_is_heard_where_the_pictures_never_decode(clip: Path, model: Linear) -> None:
    looks = Scene(Predictor(model.path), Follower(SquareDetector(), every=1), smooth_s=0)
    with VideoFile(clip) as source:
        only_sound = [item for item in source.frames_and_sound(sound=True) if not isinstance(item, Frame)]
    taken: list[object] = []
    assert len(only_sound) > 3
    watch(only_sound, looks, [], sound=taken.append, stopped=lambda: len(taken) == 2)
    assert taken == only_sound[:2]


def test_answers_are_smoothed_and_belong_to_their_face(model: Linear) -> None:
    """Where one face becomes brighter, its probabilities follow slowly and the other's stay."""

    def frames() -> Iterator[np.ndarray]:
        for i in range(20):
            frame = scene(96, 160, (20, 20, 30), (100, 20, 30))
            frame[20:35, 100:130] = 230 if i < 5 else 150
            yield frame

    plain = Scene(Predictor(model.path), Follower(SquareDetector(), every=1), smooth_s=0)
    calm = Scene(Predictor(model.path), Follower(SquareDetector(), every=1), smooth_s=0.5)
    seen = [(plain.look(f, i / RATE), calm.look(f, i / RATE)) for i, f in enumerate(frames())]
    values = np.array([[[list(s.face.probabilities.values()) for s in each] for each in pair] for pair in seen])
    jump = abs(np.diff(values[:, 0, 1], axis=0)).max()
    assert jump > 0.005
    assert abs(np.diff(values[:, 1, 1], axis=0)).max() < 0.2 * jump
    np.testing.assert_allclose(values[:, 1, 0], values[:, 0, 0], atol=1e-6)
    np.testing.assert_allclose(values.sum(3), 1, atol=1e-5)
    assert [[s.number for s in calm_] for _, calm_ in seen] == [[1, 2]] * 20


def test_the_mean_of_a_face_is_that_of_its_time_whatever_the_frame_rate() -> None:
    happy, sad = {"happy": 1.0, "sad": 0.0}, {"happy": 0.0, "sad": 1.0}
    rates = [(i / 30, happy) for i in range(31)] + [(1 + 0.5 * i, sad) for i in range(1, 21)]
    summary = Summary()
    for time_s, row in rates:
        summary.add(SimpleNamespace(time_s=time_s), [Seen(1, SimpleNamespace(probabilities=row))], answered=True)
    assert summary.faces[1].frames == 51
    assert summary.faces[1].mean == pytest.approx([1.25 / 11, 9.75 / 11])
    # Once only, and again after more than the tracker waits for it.
    for time_s, row, mean in ((20, happy, [1, 0]), (20, happy, [1, 0]), (21, sad, [0.5, 0.5]), (60, sad, [0.25, 0.75])):
        summary.add(SimpleNamespace(time_s=time_s), [Seen(2, SimpleNamespace(probabilities=row))], answered=True)
        assert summary.faces[2].mean == pytest.approx(mean)


def test_a_file_that_is_no_video_is_wrong_use(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "bad.jpg").write_text("hello")
    assert mien(["video", str(tmp_path / "bad.jpg")]) == 2
    assert "bad.jpg: " in capsys.readouterr().err
