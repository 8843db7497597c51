"""Frames and sound out of a video file, in the order in which they lie in it; never more than a frame is in memory."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import av
import numpy as np
from av.packet import Packet
from av.video.frame import VideoFrame

from mien.core.errors import MienError
from mien.core.picture import Pixels

_USUAL_RATE = Fraction(30)
SOME_TIME_BASE = Fraction(1, 90_000)


@final
class Frame:
    """One frame of a video.

    Attributes:
        index: from 0.
        time_s: when it is shown, in seconds from the start of the video.
    """

    def __init__(self, index: int, time_s: float, decoded: VideoFrame, pixel_aspect: Fraction | None = None) -> None:
        self.index, self.time_s = index, time_s
        self._decoded = decoded
        self._pixel_aspect = pixel_aspect or Fraction(1)

    @cached_property
    def pixels(self) -> Pixels:
        """uint8 (H, W, 3) in RGB, upright and with square pixels; converted when it is first asked for."""
        width = max(round(self._decoded.width * self._pixel_aspect), 1)
        pixels: Pixels = self._decoded.to_ndarray(format="rgb24", width=width).astype(np.uint8, copy=False)
        # Phones store how they were held instead of turning the pixels: degrees, against the clock.
        quarters = round(self._decoded.rotation / 90) % 4
        return np.ascontiguousarray(np.rot90(pixels, quarters)) if quarters else pixels


@final
class VideoFile:
    """A video to be read once from its beginning; use it as a context manager.

    Attributes:
        path: the file.
        rate: frames a second, on average.
        duration_s: length in seconds; None where the file does not say.
        damaged: packets that could not be decoded so far and were passed over.

    Raises:
        MienError: no such file, or nothing in it that shows moving pictures.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if not path.is_file():
            raise MienError(f"{path}: no such file")
        try:
            self._container = av.open(str(path))
        except av.FFmpegError as error:
            raise MienError(f"{path}: not a video that can be read ({error.strerror})") from None
        if not self._container.streams.video:
            self._container.close()
            raise MienError(f"{path}: holds no video")
        self._video = self._container.streams.video[0]
        self._video.thread_type = "AUTO"
        self.sound = list(self._container.streams.audio)
        self.rate = self._video.average_rate or self._video.guessed_rate or _USUAL_RATE
        length = self._container.duration
        self.duration_s = length / av.time_base if length else None
        self.damaged = 0
        # Before zero lies what a sound decoder needs to warm up.
        self._start_s = max(self._container.start_time or 0, 0) / av.time_base

    @property
    def frame_count(self) -> int | None:
        """About how many frames there are; None where the file does not say."""
        return self._video.frames or (round(self.duration_s * self.rate) if self.duration_s else None)

    def frames_and_sound(self, *, sound: bool = False) -> Iterator[Frame | Packet[Any]]:
        """Every frame and, if wanted, every packet of sound, each in its order."""
        index, last = 0, 0.0
        for packet in self._container.demux(self._video, *(self.sound if sound else [])):
            if packet.stream is not self._video:
                if packet.dts is not None:  # else the empty packet at the end
                    yield self._from_zero(packet)
                continue
            for decoded in self._decoded(packet):
                time_s = last + 1 / float(self.rate) if decoded.time is None else decoded.time - self._start_s
                last = max(time_s, last)
                yield Frame(index, last, decoded, self._video.codec_context.sample_aspect_ratio)
                index += 1

    def _from_zero(self, packet: Packet[Any]) -> Packet[Any]:
        """A packet of sound with the same zero of time as the frames; television streams begin anywhere."""
        if packet.time_base:
            ticks = round(self._start_s / packet.time_base)
            packet.dts = None if packet.dts is None else packet.dts - ticks
            packet.pts = None if packet.pts is None else packet.pts - ticks
        return packet

    def _decoded(self, packet: Packet[Any]) -> list[VideoFrame]:
        try:
            return packet.decode()
        except av.error.InvalidDataError:
            self.damaged += 1
            return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()
