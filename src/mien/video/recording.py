"""Writing a video while it is made, so that what is there can be played whatever ends the writing."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, final

import av
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.picture import Pixels


class _Container(NamedTuple):
    """A file format: ffmpeg's name for it, its options, and encoders in the order of preference."""

    name: str
    options: dict[str, str]
    encoders: tuple[str, ...]


_H264 = ("libx264", "libopenh264", "h264_videotoolbox", "mpeg4")
# Written in fragments, each complete in itself, and made an ordinary file at the end. The header waits for the first
# of them, so that it can say where in time the streams begin: else frames come 80 ms late and sound does not.
# Each goes to the file at once: of a calm picture ten seconds would wait in the buffer that FFmpeg writes through.
_AT_ONCE = {"flush_packets": "1"}
_FRAGMENTS = {"movflags": "hybrid_fragmented+delay_moov"} | _AT_ONCE
_CONTAINERS = {
    ".mp4": _Container("mp4", _FRAGMENTS, _H264),
    ".m4v": _Container("mp4", _FRAGMENTS, _H264),
    ".mov": _Container("mov", _FRAGMENTS, _H264),
    ".mkv": _Container("matroska", _AT_ONCE, _H264),
    ".webm": _Container("webm", _AT_ONCE, ("libvpx-vp9", "libvpx")),
}
_ENCODER_OPTIONS = {
    "libx264": {"preset": "veryfast", "crf": "20"},
    "libvpx-vp9": {"deadline": "realtime", "cpu-used": "7", "crf": "30", "b": "0"},
}
_KEY_FRAME_EVERY = 50
_TICKS = Fraction(1, 90_000)


@final
class Recording:
    """A video that is being written; made by `recording`."""

    def __init__(self, path: Path, container: OutputContainer, rate: Fraction, sound: Sequence[AudioStream]) -> None:
        self.path = path
        self._container = container
        self._rate = rate
        self._video: VideoStream | None = None
        self._last_tick = -1
        self._sources = sound
        self._sound: dict[AudioStream, AudioStream] = {}
        self._early: list[Packet[Any]] = []

    @property
    def begun(self) -> bool:
        """Whether there is a frame in it."""
        return self._video is not None

    def add_frame(self, pixels: Pixels, time_s: float) -> None:
        """Append a frame, uint8 (H, W, 3) in RGB, to be shown at `time_s` seconds; later ones take the first's size."""
        if self._video is None:
            self._video = self._start(pixels.shape[0], pixels.shape[1])
            for packet in self._early:
                self.add_sound(packet)
            self._early.clear()
        frame = VideoFrame.from_ndarray(pixels, format="rgb24")
        frame = frame.reformat(self._video.width, self._video.height, "yuv420p")
        # Encoders want times that grow; two frames at one time happen in damaged files.
        self._last_tick = max(round(time_s / _TICKS), self._last_tick + 1)
        frame.pts, frame.time_base = self._last_tick, _TICKS
        self._container.mux(self._video.encode(frame))

    def add_sound(self, packet: Packet[Any]) -> None:
        """Append a packet of one of the sounds, as it is; the first ones wait for the first frame."""
        if self._video is None:
            self._early.append(packet)
        elif isinstance(packet.stream, AudioStream):
            packet.stream = self._sound[packet.stream]
            self._container.mux(packet)

    def finish(self) -> None:
        """Write what the encoder has kept back and close the file. Raises MienError when no frame was given."""
        if self._video is None:
            raise MienError(f"{self.path}: there was no frame to write")
        self._container.mux(self._video.encode(None))
        self._container.close()

    def _start(self, height: int, width: int) -> VideoStream:
        format_ = _CONTAINERS[self.path.suffix.lower()]
        encoder = next((name for name in format_.encoders if name in av.codecs_available), None)
        if encoder is None:
            raise MienError(f"{self.path}: no encoder for this format here", hint="another ending: .mp4 .mkv .webm")
        stream = self._container.add_stream(encoder, rate=self._rate, options=dict(_ENCODER_OPTIONS.get(encoder, {})))
        assert isinstance(stream, VideoStream)
        # Colour is stored for two by two pixels.
        stream.width, stream.height, stream.pix_fmt = max(width // 2 * 2, 2), max(height // 2 * 2, 2), "yuv420p"
        stream.codec_context.time_base = _TICKS
        stream.codec_context.gop_size = _KEY_FRAME_EVERY
        try:
            self._sound = {one: self._container.add_stream_from_template(one) for one in self._sources}
            self._container.start_encoding()
        except (ValueError, av.FFmpegError) as error:
            raise _refused(self.path, self._sources, error) from None
        return stream


def _refused(path: Path, sound: Sequence[AudioStream], error: Exception) -> MienError:
    if not sound:
        return MienError(f"{path}: cannot be written ({error})")
    kinds = ", ".join(stream.codec_context.name for stream in sound)
    return MienError(f"{path}: its format does not hold the sound, which is {kinds} ({error})", hint="try .mkv")


@contextmanager
def recording(path: Path, *, rate: Fraction, sound: Sequence[AudioStream] = ()) -> Iterator[Recording]:
    """A video file to write; it appears under its name at the end of the block, also when an error ends that.

    Until then it lies beside its name with `.tmp` at the end and can be played up to about the last two seconds,
    whatever happens to the process.

    Args:
        path: .mp4, .m4v, .mov, .mkv or .webm.
        rate: frames a second, for the encoder's choice of quality; the times of frames are exact.
        sound: streams of the source whose packets will be given to `add_sound`.

    Raises:
        MienError: an ending that is not known, or a format that cannot hold the sound.
    """
    if path.suffix.lower() not in _CONTAINERS:
        raise MienError(f"{path}: not a kind of video that is written", hint=f"known: {' '.join(_CONTAINERS)}")
    format_ = _CONTAINERS[path.suffix.lower()]
    failure: BaseException | None = None
    with atomic_path(path) as temporary:
        container = av.open(str(temporary), "w", format=format_.name, options=format_.options)
        try:
            made = Recording(path, container, rate, sound)
            try:
                yield made
            except BaseException as error:
                failure = error
            if failure is not None and not made.begun:
                raise failure
            made.finish()
        finally:
            container.close()
    if failure is not None:
        raise failure
