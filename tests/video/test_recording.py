"""Writing videos: times, sound and size kept; playable however the writing ends."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from fractions import Fraction
from pathlib import Path
from types import SimpleNamespace

import av
import numpy as np
import pytest
from av.packet import Packet
from video_toys import RATE, frames_of, moving, sound_of, sound_start, times, write_video

from mien.core.errors import MienError
from mien.core.files import final_name
from mien.video import recording as recordings
from mien.video.recording import recording
from mien.video.source import VideoFile


def record(path: Path, frames: Sequence[np.ndarray], seconds: Sequence[float]) -> Path:
    with recording(path, rate=Fraction(RATE)) as made:
        for pixels, time_s in zip(frames, seconds, strict=True):
            made.add_frame(pixels, time_s)
    return path


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv", "a.webm"])
def test_frames_come_back_at_their_times(tmp_path: Path, name: str) -> None:
    frames = moving(10)
    seconds = np.cumsum([0, 0.04, 0.04, 0.2, 0.04, 0.033, 0.04, 0.5, 0.04, 0.04])
    found = frames_of(record(tmp_path / name, frames, list(seconds)))
    np.testing.assert_allclose(list(times(found)), seconds, atol=1.1e-3)
    for (_, pixels), expected in zip(found, frames, strict=True):
        assert abs(pixels.astype(int) - expected).mean() < 5
    assert names(tmp_path) == [name]


def test_odd_sizes_lose_a_pixel_and_later_frames_take_the_size_of_the_first(tmp_path: Path) -> None:
    frames = [np.full((97, 161, 3), 200, np.uint8), np.full((40, 60, 3), 200, np.uint8)]
    found = frames_of(record(tmp_path / "a.mp4", frames, [0, 0.04]))
    assert [pixels.shape for _, pixels in found] == [(96, 160, 3)] * 2


def test_times_that_stand_still_or_go_back_are_put_right(tmp_path: Path) -> None:
    found = list(times(frames_of(record(tmp_path / "a.mp4", moving(5), [0, 0.1, 0.1, 0.05, 0.3]))))
    assert len(found) == 5
    assert (np.diff(found) > 0).all()


def copy(source: Path, to: Path) -> Path:
    """A recording of everything in a video."""
    with VideoFile(source) as video, recording(to, rate=video.rate, sound=video.sound) as made:
        for item in video.frames_and_sound(sound=True):
            if isinstance(item, Packet):
                made.add_sound(item)
            else:
                made.add_frame(item.pixels, item.time_s)
    return to


@pytest.mark.parametrize("name", ["a.mp4", "a.mov", "a.mkv"])
@pytest.mark.parametrize("parts", [1, 3])
def test_sound_of_transport_streams_is_kept_also_where_times_begin_anew(tmp_path: Path, name: str, parts: int) -> None:
    """Their AAC has a header before each packet, which other formats have once."""
    source = write_video(tmp_path / "source.ts", moving(30), sound="aac", codec="mpeg2video")
    source.write_bytes(parts * source.read_bytes())
    made = copy(source, tmp_path / name)
    with av.open(str(source)) as container:
        frames = sum(1 for _ in container.decode(audio=0))
    with av.open(str(made)) as container:
        heard = [frame.time for frame in container.decode(audio=0)]
    assert frames - 2 * parts <= len(heard) <= frames
    assert heard[-1] == pytest.approx(parts * 30 / RATE, abs=0.25 * parts)
    assert frames_of(made)[-1][0] == pytest.approx(parts * 30 / RATE, abs=0.25 * parts)


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_that_goes_back_in_time_is_left_out(tmp_path: Path, name: str) -> None:
    source = write_video(tmp_path / "source.mkv", moving(30), sound="aac")
    with VideoFile(source) as video, recording(tmp_path / name, rate=video.rate, sound=video.sound) as made:
        for item in video.frames_and_sound(sound=True):
            if isinstance(item, Packet):
                item.pts = item.dts = item.dts % 500
                made.add_sound(item)
            else:
                made.add_frame(item.pixels, item.time_s)
    assert 0 < len(sound_of(tmp_path / name)) < len(sound_of(source))


def test_of_sound_without_pictures_only_the_latest_waits(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recordings, "_MOST_EARLY", 10)
    source = write_video(tmp_path / "source.mp4", moving(30), sound="aac")
    with VideoFile(source) as video, recording(tmp_path / "a.mp4", rate=video.rate, sound=video.sound) as made:
        items = list(video.frames_and_sound(sound=True))
        packets = [item for item in items if isinstance(item, Packet)]
        assert len(packets) > 10
        expected = [bytes(packet) for packet in packets[-10:]]
        for packet in packets:
            made.add_sound(packet)
        made.add_frame(moving(1)[0], 0)
    assert sound_of(tmp_path / "a.mp4") == expected


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv", "a.webm"])
def test_colours_are_those_of_high_definition_and_the_file_says_so(tmp_path: Path, name: str) -> None:
    red = np.full((96, 160, 3), (200, 60, 40), np.uint8)
    made = record(tmp_path / name, [red] * 3, [0, 0.04, 0.08])
    with av.open(str(made)) as container:
        frame = next(container.decode(video=0))
        assert (frame.colorspace, frame.color_range) == (1, 1)
    [(_, shown), *_] = frames_of(made)
    assert abs(shown.astype(int) - red).max() < 8


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_sound_is_kept_packet_by_packet(tmp_path: Path, name: str) -> None:
    source = write_video(tmp_path / "source.mp4", moving(30), sound="aac")
    copy(source, tmp_path / name)
    assert sound_of(tmp_path / name) == sound_of(source)
    # Matroska knows no time before zero, where the sound's decoder warms up: it moves all streams alike.
    before, after = ([frames_of(p)[i][0] - sound_start(p) for i in (0, 10, 29)] for p in (source, tmp_path / name))
    if name == "a.mp4":
        np.testing.assert_allclose(list(times(frames_of(tmp_path / name))), list(times(frames_of(source))), atol=1.1e-3)
    np.testing.assert_allclose(after, before, atol=1.1e-3)


def test_a_format_that_cannot_hold_the_sound_says_which_can(tmp_path: Path) -> None:
    source = write_video(tmp_path / "source.mkv", moving(3), sound="pcm_s16le")
    with (
        VideoFile(source) as video,
        pytest.raises(MienError, match=r"a\.webm: .*sound.*pcm_s16le(.|\n)*\.mkv"),
        recording(tmp_path / "a.webm", rate=video.rate, sound=video.sound) as made,
    ):
        made.add_frame(moving(1)[0], 0)
    assert names(tmp_path) == ["source.mkv"]


def test_an_error_in_between_leaves_what_was_written(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="NaN"):
        record(tmp_path / "a.mp4", moving(9), [*np.arange(8) / RATE, np.nan])
    assert len(frames_of(tmp_path / "a.mp4")) == 8


FULL_DISK = """
import json, resource, signal, sys
from fractions import Fraction
from pathlib import Path
import numpy as np
from mien.core.errors import MienError
from mien.video.recording import recording
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
most = resource.getrlimit(resource.RLIMIT_FSIZE)[1]
noise = np.random.default_rng(0).integers(0, 255, (10, 64, 64, 3), np.uint8)
for path, room in zip(sys.argv[1::2], sys.argv[2::2]):
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(room), most))
    try:
        with recording(Path(path), rate=Fraction(25)) as made:
            for i in range(400):
                made.add_frame(noise[i % 10], i / 25)
    except MienError as error:
        print(json.dumps([i, str(error)]))
"""


def test_a_disk_that_is_full_leaves_what_can_be_played_and_the_first_failure_is_told(tmp_path: Path) -> None:
    """The largest size of a file stands in for the disk's."""
    rooms = {"some.mp4": 500_000, "some.mkv": 500_000, "none.mp4": 2_000, "none.mkv": 2_000}
    for name in rooms:
        (tmp_path / name).write_text("of yesterday")
    arguments = [str(argument) for name, room in rooms.items() for argument in (tmp_path / name, room)]
    command = [sys.executable, "-c", FULL_DISK, *arguments]
    told = subprocess.run(command, capture_output=True, text=True, check=True).stdout.splitlines()
    assert names(tmp_path) == sorted(rooms)
    for name, line in zip(rooms, told, strict=True):
        given, message = json.loads(line)
        assert message.startswith(f"{tmp_path / name}: cannot be written (")
        assert ".tmp" not in message
        if name.startswith("some"):
            with VideoFile(tmp_path / name) as video:
                assert 20 < len(list(video.frames_and_sound())) <= given, name
        else:
            assert (tmp_path / name).read_text() == "of yesterday", name


@pytest.mark.parametrize("name", ["a.mp4", "a.mkv"])
def test_what_a_format_does_not_take_is_told_with_what_to_try(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    def fail_at_the_second() -> None:
        with recording(tmp_path / name, rate=Fraction(RATE)) as made:
            made.add_frame(moving(1)[0], 0)
            monkeypatch.setattr(made, "_container", SimpleNamespace(mux=refuse, close=made._container.close))
            made.add_frame(moving(1)[0], 1)

    with pytest.raises(MienError) as caught:
        fail_at_the_second()
    more = "; try .mkv" if name == "a.mp4" else ""
    assert caught.value.hint == f"what was written is kept if it can be read{more}"
    monkeypatch.setattr(recordings.av, "open", refuse)
    with pytest.raises(MienError) as caught, recording(tmp_path / name, rate=Fraction(RATE)):
        pass
    assert caught.value.hint == ("try .mkv" if name == "a.mp4" else None)


def refuse(*_: object, **__: object) -> object:
    raise av.error.InvalidDataError(1, "no")


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> object:
        raise av.error.PermissionError(13, "Permission denied", "a temporary name")

    monkeypatch.setattr(recordings.av, "open", refuse)
    with (
        pytest.raises(MienError, match=r"a\.mp4: cannot be written \(Permission denied\)"),
        recording(tmp_path / "a.mp4", rate=Fraction(RATE)),
    ):
        pass


def test_nothing_to_write_leaves_nothing(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="no frame to write"), recording(tmp_path / "a.mp4", rate=Fraction(RATE)):
        pass
    with pytest.raises(RuntimeError), recording(tmp_path / "a.mp4", rate=Fraction(RATE)):
        raise RuntimeError
    with (
        pytest.raises(MienError, match=r"a\.avi: not a kind of video"),
        recording(tmp_path / "a.avi", rate=Fraction(RATE)),
    ):
        pass
    assert names(tmp_path) == []


KILLED = """
import sys, time
from contextlib import ExitStack
from fractions import Fraction
from pathlib import Path
import numpy as np
from mien.video.recording import recording
noise = np.random.default_rng(0).integers(0, 255, (400, 64, 64, 3), np.uint8)
with ExitStack() as open_ones:
    for path in map(Path, sys.argv[1:]):
        made = open_ones.enter_context(recording(path, rate=Fraction(25)))
        for i in range(400):
            made.add_frame(noise[i if path.stem == "noise" else 0], i / 25)
    print("written", flush=True)
    time.sleep(60)
"""


def test_what_a_killed_process_leaves_behind_can_be_played(
    tmp_path: Path, start: Callable[..., subprocess.Popen[str]]
) -> None:
    paths = [tmp_path / f"{shown}.{kind}" for shown in ("noise", "still") for kind in ("mp4", "mov", "mkv")]
    process = start([sys.executable, "-c", KILLED, *map(str, paths)], stdout=subprocess.PIPE)
    assert process.stdout is not None
    assert process.stdout.readline() == "written\n"
    process.kill()
    process.wait()
    left = list(tmp_path.iterdir())
    assert all(path.name.endswith(".tmp") for path in left)
    assert {final_name(path.name) for path in left} == {path.name for path in paths}
    for path in left:
        with VideoFile(path) as video:
            assert len(list(video.frames_and_sound())) >= 250, path
