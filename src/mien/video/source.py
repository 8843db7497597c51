"""Frames and sound out of a video file, in the order in which they lie in it; never more than a frame is in memory."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import Any, Self, final

import av
import numpy as np
from av.container import InputContainer
from av.packet import Packet
from av.stream import Disposition
from av.video.frame import VideoFrame
from av.video.reformatter import Colorspace
from av.video.stream import VideoStream

from mien.core.errors import MienError
from mien.core.paths import absent
from mien.core.picture import Pixels
from mien.video.clock import Clock

_USUAL_RATE = Fraction(30)
# FFmpeg's mark of formats whose times may begin anew in the middle, such as transport streams.
_MAY_BEGIN_ANEW = 0x0200
_LONGEST_LEAP_S = 10.0
# Packets lie in the file in the order of decoding; of other formats FFmpeg guesses when that was, and errs by the
# frames that a decoder keeps back.
_MOST_BACK_S, _MOST_BACK_FRAMES = 0.5, 16
# Pixels of another shape are damage, and a frame of them takes as much memory as it claims.
_MOST_ASPECT = 4
_UNTAGGED = 2
# Players show untagged pictures of so many rows in the colours of high definition.
_HD_ROWS = 720
# A file that states a length ends early when this much is missing, in seconds and as a share.
_LEAST_MISSING_S, _LEAST_MISSING_SHARE = 1.0, 0.02
# How Matroska states the length of a track: hours, minutes, seconds.
_DURATION_TAG = re.compile(r"(\d{1,6}):(\d\d):(\d\d(?:\.\d{1,9})?)")


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
        plausible = pixel_aspect is not None and 1 / _MOST_ASPECT <= pixel_aspect <= _MOST_ASPECT
        self._pixel_aspect = pixel_aspect if pixel_aspect is not None and plausible else Fraction(1)

    @cached_property
    def pixels(self) -> Pixels:
        """uint8 (H, W, 3) in RGB, upright and with square pixels; converted when it is first asked for."""
        shown = self._decoded
        width = max(round(shown.width * self._pixel_aspect), 1)
        colours = Colorspace.ITU709 if shown.colorspace == _UNTAGGED and shown.height >= _HD_ROWS else None
        pixels = shown.to_ndarray(format="rgb24", width=width, src_colorspace=colours)
        return _upright(pixels.astype(np.uint8, copy=False), shown)


def _upright(pixels: Pixels, decoded: VideoFrame) -> Pixels:
    """Turned and mirrored as the file wants it shown: phones store how they were held instead of moving the pixels."""
    matrix: Any = decoded.side_data.get("DISPLAYMATRIX")
    if matrix is None:
        return pixels
    # Where a pixel goes: to the right by right_x·x + right_y·y, down by down_x·x + down_y·y.
    right_x, down_x, _, right_y, down_y = np.frombuffer(matrix, np.int32)[:5].tolist()
    if abs(down_x) > abs(right_x):
        pixels, right_x, down_y = pixels.swapaxes(0, 1), right_y, down_x
    return np.ascontiguousarray(pixels[:: -1 if down_y < 0 else 1, :: -1 if right_x < 0 else 1])


@final
class VideoFile:
    """A video to be read once from its beginning; use it as a context manager.

    Attributes:
        path: the file.
        rate: frames a second, on average.
        duration_s: length in seconds; None where the file does not say.
        damaged: packets that could not be decoded so far and were passed over, and one where reading on failed.

    Raises:
        MienError: no such file, nothing in it that shows moving pictures, or no decoder for these.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        if path.is_dir():
            raise MienError(f"{path}: is a folder", hint="name a video in it")
        if not path.exists():
            raise absent(path)
        if not path.is_file():  # such as a pipe: to open it would be to wait
            raise MienError(f"{path}: is no file", hint="write the video to a file first")
        try:
            self._container = av.open(str(path), metadata_errors="replace")
        except av.FFmpegError as error:
            raise MienError(
                f"{path}: not a video that can be read ({error.strerror})", hint="is it a video, and whole?"
            ) from None
        try:
            self._video = moving_pictures(self._container, str(path))
        except MienError:
            self._container.close()
            raise
        self._video.thread_type = "AUTO"
        self.sound = list(self._container.streams.audio)
        self.rate = self._video.average_rate or self._video.guessed_rate or _USUAL_RATE
        length = self._container.duration
        self.duration_s = length / av.time_base if length else None
        self.damaged = 0
        self._end_s = self._sound_end_s = 0.0
        # Before zero lies what a sound decoder needs to warm up.
        start_s = max(self._container.start_time or 0, 0) / av.time_base
        anew = self._container.format.flags & _MAY_BEGIN_ANEW
        self._clock = Clock(
            start_s,
            most_back_s=_MOST_BACK_S if anew else max(float(_MOST_BACK_FRAMES / self.rate), _MOST_BACK_S),
            longest_leap_s=_LONGEST_LEAP_S if anew else max(self.duration_s or 3600, _LONGEST_LEAP_S),
        )

    @property
    def frame_count(self) -> int | None:
        """About how many frames there are; None where the file does not say."""
        return self._video.frames or (round(self.duration_s * self.rate) if self.duration_s else None)

    @property
    def cut_off_s(self) -> float | None:
        """After reading: where the pictures end, in seconds, if well before `stated_s`; else None.

        Where only the file states a length, the pictures may be shorter than the sound: then all that is in it counts.
        """
        stated = self.stated_s or 0.0
        missing = stated - (self._end_s if self._pictures_stated_s else max(self._end_s, self._sound_end_s))
        whole = self._clock.shifted or missing <= max(_LEAST_MISSING_S, _LEAST_MISSING_SHARE * stated)
        return None if whole else self._end_s

    @property
    def stated_s(self) -> float | None:
        """Length in seconds that the file states for its pictures, or else for itself; None where it does not say."""
        return self._pictures_stated_s or self.duration_s

    @cached_property
    def _pictures_stated_s(self) -> float | None:
        """FFmpeg gives a track that states no length that of the file, but not how many frames it has."""
        own = self._video.duration and self._video.time_base and float(self._video.duration * self._video.time_base)
        tag = _DURATION_TAG.fullmatch(self._video.metadata.get("DURATION", ""))
        if tag:
            own = 3600 * int(tag[1]) + 60 * int(tag[2]) + float(tag[3])
        elif not self._video.frames:
            own = None
        return min(own, self.duration_s or own) if own else None

    def frames_and_sound(
        self, *, sound: bool = False, stopped: Callable[[], bool] = lambda: False
    ) -> Iterator[Frame | Packet[Any]]:
        """Every frame and, if wanted, every packet of sound, each in its order.

        `stopped` is asked before each packet, for between two frames that can be decoded there may be many that cannot.
        """
        index, last = 0, 0.0
        aspect = self._video.sample_aspect_ratio or self._video.codec_context.sample_aspect_ratio
        # Sound is read in any case: it tells a gap of the pictures from a leap of the file.
        for packet in self._packets([self._video, *self.sound]):
            if stopped():
                return
            if packet.stream is not self._video:
                if sound and packet.dts is not None:  # else the empty packet at the end
                    yield packet
                continue
            for decoded in self._decoded(packet):
                last = max(last + 1 / float(self.rate) if decoded.time is None else decoded.time, last)
                yield Frame(index, last, decoded, aspect)
                index += 1

    def _packets(self, streams: Sequence[Any]) -> Iterator[Packet[Any]]:
        """Packets on one clock with zero at the start of the file; one that cannot be read on ends there."""
        try:
            for packet in self._container.demux(*streams):
                self._clock.set(packet)
                if packet.pts is not None and packet.time_base:
                    self._note_end(packet, float((packet.pts + (packet.duration or 0)) * packet.time_base))
                yield packet
        except (av.FFmpegError, IndexError):
            self.damaged += 1
            yield self._last_packet()

    def _note_end(self, packet: Packet[Any], end_s: float) -> None:
        if packet.stream is self._video:
            self._end_s = max(self._end_s, end_s)
        else:
            self._sound_end_s = max(self._sound_end_s, end_s)

    def _last_packet(self) -> Packet[Any]:
        """An empty one, that makes the decoder give what it has kept back."""
        packet: Packet[Any] = Packet()
        packet.stream = self._video
        return packet

    def _decoded(self, packet: Packet[Any]) -> list[VideoFrame]:
        try:
            return self._video.decode(packet)
        except av.FFmpegError:
            self.damaged += 1
            return []

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._container.close()


def moving_pictures(container: InputContainer, name: str) -> VideoStream:
    """The stream of an opened file that shows moving pictures; a cover is none. Raises MienError, naming `name`."""
    moving = [stream for stream in container.streams.video if not stream.disposition & Disposition.attached_pic]
    if not moving:
        raise MienError(f"{name}: holds no video")
    decodable = [stream for stream in moving if stream.codec_context is not None]
    if not decodable:
        raise MienError(f"{name}: no decoder for its video here", hint="convert it to H.264 first")
    return decodable[0]
