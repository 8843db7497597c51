"""A camera, for which a video file stands in: live, newest frame first, and lost or absent ones named."""

from __future__ import annotations

import itertools
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from face_toys import find
from video_toys import RATE, moving, write_sound, write_video

from mien.core.errors import MienError
from mien.video import camera
from mien.video.camera import Camera


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return write_video(tmp_path / "clip.mp4", moving(25))


class Clock:
    """The camera's clock. Its thread, which sleeps before each frame, sleeps until the test lets it go on."""

    def __init__(self) -> None:
        self.now = 7.0
        self._asleep, self._go_on = threading.Semaphore(0), threading.Semaphore(0)

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self._asleep.release()
        assert self._go_on.acquire(timeout=20)
        self.now += seconds

    def let_come(self, frames: int) -> None:
        """Returns when so many more have come, and the thread sleeps before the next one."""
        for _ in range(frames):
            assert self._asleep.acquire(timeout=20)
            self._go_on.release()
        assert self._asleep.acquire(timeout=20)
        self._asleep.release()

    def let_all_come(self) -> None:
        self._go_on.release(1000)


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    made = Clock()
    monkeypatch.setattr(camera, "time", made)
    yield made
    made.let_all_come()


def test_frames_come_at_the_pace_of_the_camera(clip: Path, clock: Clock) -> None:
    with Camera(str(clip)) as device:
        coming, frames = device.frames(), []
        for _ in range(24):
            clock.let_come(1)
            frames.append(next(coming))
        clock.let_all_come()
        frames += coming
    assert [frame.index for frame in frames] == list(range(25))
    np.testing.assert_allclose([frame.time_s for frame in frames], np.arange(25) / RATE, atol=1e-6)


def test_who_is_slow_gets_the_newest_frame(clip: Path, clock: Clock) -> None:
    frames = []
    with Camera(str(clip)) as device:
        coming = device.frames()
        for missed in (0, 4, 9, 3):
            clock.let_come(1 + missed)
            frames.append(next(coming))
        clock.let_all_come()
    places = [find(frame.pixels).boxes[0, 0] for frame in frames]
    np.testing.assert_allclose(np.diff(places), [5, 10, 4], atol=0.5)  # the square moves by one pixel a frame
    assert [frame.index for frame in frames] == [0, 1, 2, 3]


def test_it_can_be_left_at_any_moment(clip: Path) -> None:
    before = threading.active_count()
    with Camera(str(clip)) as device:
        assert len(list(itertools.islice(device.frames(), 2))) == 2
    assert threading.active_count() == before


def test_a_camera_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(MienError, match="/dev/no-such-camera: no camera that can be used"):
        Camera("/dev/no-such-camera")
    monkeypatch.setattr(sys, "platform", "win32")
    with pytest.raises(MienError, match="which camera"):
        Camera()


def test_what_gives_sound_alone_is_no_camera(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"only\.wav: holds no video"):
        Camera(str(write_sound(tmp_path / "only.wav")))


def test_whatever_ends_the_thread_is_told(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(_: Camera) -> object:
        raise IndexError("list index out of range")

    monkeypatch.setattr(Camera, "_decoded", broken)
    with Camera(str(clip)) as device, pytest.raises(MienError, match=r"the camera was lost \(list index"):
        list(device.frames())


@pytest.mark.parametrize(
    ("platform", "device", "opened", "form"),
    [
        ("linux", None, "/dev/video0", "v4l2"),
        ("linux", "/dev/video2", "/dev/video2", "v4l2"),
        ("darwin", None, "0", "avfoundation"),
        ("win32", "HD Camera", "video=HD Camera", "dshow"),
        ("win32", "video=HD Camera", "video=HD Camera", "dshow"),
    ],
)
def test_cameras_are_asked_for_as_each_system_wants_it(
    platform: str, device: str | None, opened: str, form: str, clip: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[object] = []
    really = camera.av.open

    def stand_in(name: str, **how: object) -> object:
        asked.append((name, how))
        return really(str(clip))

    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(camera.av, "open", stand_in)
    with Camera(device, size="640x480", rate=15) as found:
        assert len(list(found.frames())) > 0
    assert asked == [(opened, {"format": form, "options": {"video_size": "640x480", "framerate": "15"}})]


def test_a_camera_that_is_lost_says_so_after_its_last_frame(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    class Lost:
        def __init__(self, really: object) -> None:
            self.really = really

        def __getattr__(self, name: str) -> object:
            return getattr(self.really, name)

        def decode(self, *which: object) -> object:
            yield from itertools.islice(self.really.decode(*which), 3)
            raise camera.av.error.OSError(5, "unplugged")

    really = camera.av.open
    monkeypatch.setattr(camera.av, "open", lambda name, **how: Lost(really(name, **how)))
    with Camera(str(clip)) as device, pytest.raises(MienError, match=r"clip\.mp4: the camera was lost"):
        list(device.frames())


def test_a_camera_that_hangs_does_not_hold_up_the_end(clip: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()

    class Hanging:
        def __init__(self, really: object) -> None:
            self.really = really

        def __getattr__(self, name: str) -> object:
            return getattr(self.really, name)

        def decode(self, *which: object) -> object:
            yield from itertools.islice(self.really.decode(*which), 1)
            assert go_on.wait(20)

    really = camera.av.open
    monkeypatch.setattr(camera.av, "open", lambda name, **how: Hanging(really(name, **how)))
    end = time.monotonic() + 0.3
    with Camera(str(clip)) as device:
        assert len(list(device.frames(stopped=lambda: time.monotonic() >= end))) == 1
        assert not go_on.is_set()
        go_on.set()
