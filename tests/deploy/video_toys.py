"""Small videos with sound, made on the spot, and what is in a video file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
from face_toys import scene

Pixels = np.ndarray
RATE = 25
SOUND_RATE = 8000


def moving(count: int, *, height: int = 96, width: int = 160, side: int = 32, speed: float = 1.0) -> list[Pixels]:
    """A bright square that moves to the right by `speed` pixels a frame."""
    return [scene(height, width, (round(20 + speed * i), 30, side)) for i in range(count)]


def write_video(path: Path, frames: Sequence[Pixels], *, sound: str | None = None, codec: str = "mpeg4") -> Path:
    """A video of 25 frames a second; `sound` is the codec of a tone beside it."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=RATE)
        video.height, video.width, video.pix_fmt = *frames[0].shape[:2], "yuv420p"
        video.bit_rate = 4_000_000
        tone = container.add_stream(sound, rate=SOUND_RATE) if sound else None
        if tone is not None:
            tone.layout = "mono"
        each = SOUND_RATE // RATE
        for i, pixels in enumerate(frames):
            container.mux(video.encode(av.VideoFrame.from_ndarray(pixels, "rgb24")))
            if tone is not None:
                container.mux(tone.encode(_tone(i * each, each, tone.format.name)))
        for stream in (video, tone):
            if stream is not None:
                container.mux(stream.encode(None))
    return path


def write_timed(
    path: Path, shown: Sequence[float], heard: Sequence[float] = (), *, rate: Fraction = Fraction(RATE), codec: str
) -> Path:
    """A video whose frames are shown, and whose pieces of a tone of 1/25 s are heard, at these times in seconds."""
    with av.open(str(path), "w") as container:
        video = container.add_stream(codec, rate=rate)
        video.height, video.width, video.pix_fmt = 96, 160, "yuv420p"
        if codec == "libx264":
            video.options = {"preset": "medium", "bf": "3"}
        tone = container.add_stream("aac", rate=SOUND_RATE) if len(heard) else None
        packets = []
        for i, time in enumerate(shown):
            frame = av.VideoFrame.from_ndarray(scene(96, 160, (20 + i // 10, 30, 32)), "rgb24")
            frame.pts, frame.time_base = round(time * rate), 1 / rate
            packets += video.encode(frame)
        packets += video.encode(None)
        if tone is not None:
            tone.layout = "mono"
            each = SOUND_RATE // RATE
            packets += [p for time in heard for p in tone.encode(_tone(round(time * SOUND_RATE), each, "flt"))]
            packets += tone.encode(None)
        container.mux(sorted(packets, key=lambda packet: packet.dts * packet.time_base))
    return path


def write_sound(path: Path) -> Path:
    """A file with a tone and no pictures."""
    with av.open(str(path), "w") as container:
        tone = container.add_stream("pcm_s16le", rate=SOUND_RATE)
        tone.layout = "mono"
        container.mux([*tone.encode(_tone(0, 800, "s16")), *tone.encode(None)])
    return path


def _tone(start: int, count: int, form: str) -> av.AudioFrame:
    wave = 0.3 * np.sin(2 * np.pi * 440 * np.arange(start, start + count) / SOUND_RATE)
    samples = (wave * 32767).astype(np.int16) if form.startswith("s16") else wave.astype(np.float32)
    frame = av.AudioFrame.from_ndarray(samples[None], format=form, layout="mono")
    frame.rate, frame.pts, frame.time_base = SOUND_RATE, start, Fraction(1, SOUND_RATE)
    return frame


def frames_of(path: Path) -> list[tuple[float, Pixels]]:
    """Time in seconds and pixels of every frame."""
    with av.open(str(path)) as container:
        return [(float(frame.time), frame.to_ndarray(format="rgb24")) for frame in container.decode(video=0)]


def sound_of(path: Path) -> list[bytes]:
    """The packets of sound."""
    with av.open(str(path)) as container:
        return [bytes(packet) for packet in container.demux(audio=0) if packet.dts is not None]


def sound_start(path: Path) -> float:
    """When the first packet of sound is due, in seconds; before zero where a decoder warms up."""
    with av.open(str(path)) as container:
        first = next(container.demux(audio=0))
        return float(first.pts * first.time_base)


def times(frames: Iterable[tuple[float, Pixels]]) -> Iterator[float]:
    """The times alone."""
    return (time for time, _ in frames)
