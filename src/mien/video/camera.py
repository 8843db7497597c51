"""Frames from a camera: always the newest, however long the last one took to answer."""

from __future__ import annotations

import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Condition, Thread
from types import TracebackType
from typing import NamedTuple, Self, final

import av
from av.container import InputContainer
from av.video.frame import VideoFrame

from mien.core.errors import MienError
from mien.video.source import Frame, moving_pictures


class _Kind(NamedTuple):
    """How ffmpeg is asked for cameras on a system, and the usual one."""

    format: str
    device: str | None


_KINDS = {
    "linux": _Kind("v4l2", "/dev/video0"),
    "darwin": _Kind("avfoundation", "0"),
    "win32": _Kind("dshow", None),
}
_CLOSING_SECONDS = 5.0
_NO_FRAME_YET_SECONDS = 0.005
_ASKED_EVERY_SECONDS = 0.2


@final
class Camera:
    """A camera that is read in a thread of its own; use it as a context manager. Frames nobody asked for are dropped.

    Args:
        device: as the system calls it: /dev/video0 on Linux, a number on a Mac, a name on Windows; None: the usual
            one. A video file stands in for a camera and is played at its own speed.
        size: width×height such as 640x480; None: the camera's choice.
        rate: frames a second; None: the camera's choice.

    Raises:
        MienError: no such camera, it is busy, cannot do what was asked, or gives no pictures.
    """

    def __init__(self, device: str | None = None, *, size: str | None = None, rate: int | None = None) -> None:
        kind = _KINDS.get(sys.platform)
        self.device = device or (kind.device if kind else None)
        if self.device is None:
            raise MienError("which camera?", hint="give its name, such as 'Integrated Camera'")
        self._paced = _is_file(self.device)
        wanted = {"video_size": size, "framerate": None if rate is None else str(rate)}
        self._container = _open(self.device, None if self._paced else kind, wanted)
        try:
            self._stream = moving_pictures(self._container, self.device)
        except MienError:
            self._container.close()
            raise
        self._newest: VideoFrame | None = None
        self._failure: Exception | None = None
        self._ended = False
        self._changed = Condition()
        self._thread = Thread(target=self._read, name="camera", daemon=True)

    def frames(self, *, stopped: Callable[[], bool] = lambda: False) -> Iterator[Frame]:
        """Frames as they come, with the time since the first one; ends when the camera does.

        Args:
            stopped: asked while no frame comes, so that a camera that hangs does not hold up the end.

        Raises:
            MienError: the camera was lost.
        """
        index, start = 0, None
        while True:
            with self._changed:
                while self._newest is None and not self._ended and not stopped():
                    self._changed.wait(_ASKED_EVERY_SECONDS)
                decoded, self._newest = self._newest, None
            if decoded is None:
                break
            now = time.monotonic()
            start = now if start is None else start
            yield Frame(index, now - start, decoded)
            index += 1
        if self._failure is not None:
            raise MienError(f"{self.device}: the camera was lost ({self._failure})")

    def _read(self) -> None:
        """The thread: decode, keep the newest."""
        try:
            for decoded in self._decoded():
                with self._changed:
                    self._newest = decoded
                    self._changed.notify()
                if self._ended:
                    return
        except Exception as error:  # whatever it is, who waits for frames is to hear of it
            self._failure = error
        finally:
            with self._changed:
                self._ended = True
                self._changed.notify()

    def _decoded(self) -> Iterator[VideoFrame]:
        start: float | None = None
        while not self._ended:
            try:
                for decoded in self._container.decode(self._stream):
                    if self._paced and decoded.time is not None:
                        start = time.monotonic() - decoded.time if start is None else start
                        time.sleep(max(start + decoded.time - time.monotonic(), 0))
                    yield decoded
                return
            except av.error.BlockingIOError:  # how avfoundation says that there is no frame yet
                time.sleep(_NO_FRAME_YET_SECONDS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ended = True
        self._thread.join(_CLOSING_SECONDS)
        if not self._thread.is_alive():  # a camera that hangs is left to the end of the process
            self._container.close()


def _is_file(device: str) -> bool:
    try:
        return stat.S_ISREG(Path(device).stat().st_mode)
    except OSError:
        return False


def _open(device: str, kind: _Kind | None, wanted: dict[str, str | None]) -> InputContainer:
    options = {key: value for key, value in wanted.items() if value is not None}
    name = f"video={device}" if kind and kind.format == "dshow" and not device.startswith("video=") else device
    try:
        if kind is None:
            return av.open(name, metadata_errors="replace")
        return av.open(name, format=kind.format, options=options)
    except (av.FFmpegError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        hint = "is it there, free and allowed?"
        raise MienError(f"{device}: no camera that can be used ({reason})", hint=hint) from None
