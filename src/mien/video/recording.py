"""Writing a video while it is made, so that what is there can be played whatever ends the writing."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from fractions import Fraction
from pathlib import Path
from typing import Any, NamedTuple, final

import av
from av.audio.stream import AudioStream
from av.bitstream import BitStreamFilterContext
from av.container import OutputContainer
from av.packet import Packet
from av.video.frame import VideoFrame
from av.video.reformatter import ColorPrimaries, ColorRange, Colorspace, ColorTrc
from av.video.stream import VideoStream

from mien.core.errors import MienError
from mien.core.files import atomic_path
from mien.core.picture import Pixels
from mien.video.failures import Failures, writing


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
# Packets of sound that wait for the first frame, about a minute and a half: of a file whose pictures never decode,
# all of them would.
_MOST_EARLY = 4_000
# Formats that want AAC without the headers that transport streams put before each packet. FFmpeg takes them away by
# itself, but not where the header of the file waits for the first fragment.
_BARE_AAC = ("mp4", "mov")


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
        self._sound: dict[AudioStream, _Copy] = {}
        self._early: deque[Packet[Any]] = deque(maxlen=_MOST_EARLY)

    @property
    def begun(self) -> bool:
        """Whether there is a frame in it."""
        return self._video is not None

    def add_frame(self, pixels: Pixels, time_s: float) -> None:
        """Append a frame, uint8 (H, W, 3) in RGB, to be shown at `time_s` seconds; later ones take the first's size.

        Raises:
            MienError: it cannot be written, as when the disk is full.
        """
        with self._writing():
            if self._video is None:
                self._video = self._start(pixels.shape[0], pixels.shape[1])
                for packet in self._early:
                    self.add_sound(packet)
                self._early.clear()
            frame = VideoFrame.from_ndarray(pixels, format="rgb24").reformat(
                *(self._video.width, self._video.height, "yuv420p"),
                dst_colorspace=Colorspace.ITU709,
                dst_color_range=ColorRange.MPEG,
            )
            # Encoders want times that grow; two frames at one time happen in damaged files.
            self._last_tick = max(round(time_s / _TICKS), self._last_tick + 1)
            frame.pts, frame.time_base = self._last_tick, _TICKS
            self._container.mux(self._video.encode(frame))

    def add_sound(self, packet: Packet[Any]) -> None:
        """Append a packet of one of the sounds, as it is; the first ones wait for the first frame.

        Raises:
            MienError: it cannot be written.
        """
        if self._video is None:
            self._early.append(packet)
        elif isinstance(packet.stream, AudioStream):
            with self._writing():
                self._container.mux(self._sound[packet.stream].taken(packet))

    def finish(self) -> None:
        """Write what the encoder has kept back and close the file.

        Raises:
            MienError: no frame was given, or the rest cannot be written.
        """
        failures = Failures()
        with failures.noted(), self._writing():
            if self._video is None:
                raise MienError(f"{self.path}: there was no frame to write")
            self._container.mux(self._video.encode(None))
        with failures.noted(), self._writing():
            self._container.close()
        failures.tell()

    def _writing(self) -> AbstractContextManager[None]:
        return writing(self.path, begun=self.begun, instead=_instead(self.path))

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
        _tag_colours(stream)
        bare = format_.name in _BARE_AAC
        try:
            for one in self._sources:
                self._sound[one] = _Copy(self._container.add_stream_from_template(one), _header_filter(one, bare))
            self._container.start_encoding()
        except (ValueError, av.FFmpegError) as error:
            if isinstance(error, OSError):
                raise
            raise _refused(self.path, self._sources, error) from None
        return stream


@final
class _Copy:
    """A stream of sound that is written, and how packets of its source get there."""

    def __init__(self, stream: AudioStream, without_headers: BitStreamFilterContext | None) -> None:
        self._stream = stream
        self._without_headers = without_headers
        self._last_dts: int | None = None

    def taken(self, packet: Packet[Any]) -> list[Packet[Any]]:
        """What is to be written of a packet of the source; nothing of one that is damaged or goes back in time."""
        dts, unit = packet.dts, packet.time_base
        if dts is not None and self._last_dts is not None and dts <= self._last_dts:
            return []
        self._last_dts = dts
        try:
            packets = self._without_headers.filter(packet) if self._without_headers else [packet]
        except av.error.InvalidDataError:
            return []
        for one in packets:
            one.stream, one.time_base = self._stream, unit
        return packets


def _header_filter(source: AudioStream, bare: bool) -> BitStreamFilterContext | None:
    headers = source.codec_context.name == "aac" and not source.codec_context.extradata
    return BitStreamFilterContext("aac_adtstoasc", in_stream=source) if bare and headers else None


def _tag_colours(stream: VideoStream) -> None:
    """Say which colours the numbers of the file stand for: players guess, and by the size of the picture."""
    context = stream.codec_context
    context.colorspace, context.color_range = Colorspace.ITU709, ColorRange.MPEG
    context.color_primaries, context.color_trc = ColorPrimaries.BT709, ColorTrc.BT709


def _refused(path: Path, sound: Sequence[AudioStream], error: Exception) -> MienError:
    if not sound:
        return MienError(f"{path}: cannot be written ({error})", hint=_instead(path))
    kinds = ", ".join(getattr(stream.codec_context, "name", "unknown") for stream in sound)
    return MienError(f"{path}: its format does not hold the sound, which is {kinds} ({error})", hint=_instead(path))


def _instead(path: Path) -> str | None:
    """Matroska holds what the others do, and more."""
    return None if path.suffix.lower() == ".mkv" else "try .mkv"


@contextmanager
def recording(path: Path, *, rate: Fraction, sound: Sequence[AudioStream] = ()) -> Iterator[Recording]:
    """A video file to write; it appears under its name at the end of the block, also when an error ends that.

    Until then it lies beside its name with `.tmp` at the end and can be played up to about the last two seconds,
    whatever happens to the process. Nothing appears that cannot be played. Of several failures the first is told.

    Args:
        path: .mp4, .m4v, .mov, .mkv or .webm.
        rate: frames a second, for the encoder's choice of quality; the times of frames are exact.
        sound: streams of the source whose packets will be given to `add_sound`.

    Raises:
        MienError: an ending that is not known, a format that cannot hold the sound, or a file that cannot be written.
    """
    if path.suffix.lower() not in _CONTAINERS:
        raise MienError(f"{path}: not a kind of video that is written", hint=f"known: {' '.join(_CONTAINERS)}")
    format_ = _CONTAINERS[path.suffix.lower()]
    failures = Failures()
    with failures.noted(), atomic_path(path) as temporary:
        with writing(path, begun=False, instead=_instead(path)):
            container = av.open(str(temporary), "w", format=format_.name, options=format_.options)
        made = Recording(path, container, rate, sound)
        with failures.noted():
            yield made
        with failures.noted():
            made.finish()
        if not (made.begun and (failures.first is None or _plays(temporary))):
            failures.tell()
    failures.tell()


def _plays(path: Path) -> bool:
    """Whether a file whose writing failed has at least its first frame."""
    try:
        with av.open(str(path)) as container:
            return next(container.decode(video=0), None) is not None
    except av.FFmpegError:
        return False
