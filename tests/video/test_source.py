"""Reading videos: every frame upright and at its time, sound as it is, and what is none refused by name."""

from __future__ import annotations

import struct
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from face_toys import find, scene
from video_toys import RATE, moving, sound_of, write_video

from mien.core.errors import MienError
from mien.video.source import Frame, VideoFile


def read(path: Path) -> list[Frame]:
    with VideoFile(path) as video:
        return [frame for frame in video.frames_and_sound() if isinstance(frame, Frame) and frame.pixels is not None]


def test_every_frame_comes_at_its_time_with_its_pixels(tmp_path: Path) -> None:
    frames = moving(12)
    path = write_video(tmp_path / "a.mp4", frames)
    found = read(path)
    assert [frame.index for frame in found] == list(range(12))
    np.testing.assert_allclose([frame.time_s for frame in found], np.arange(12) / RATE, atol=1e-3)
    for frame, pixels in zip(found, frames, strict=True):
        assert frame.pixels.dtype == np.uint8
        assert abs(frame.pixels.astype(int) - pixels).mean() < 4
    with VideoFile(path) as video:
        assert (video.rate, video.frame_count) == (RATE, 12)
        assert video.duration_s == pytest.approx(12 / RATE, abs=0.05)


@pytest.mark.parametrize("name", ["a.mp4", "a.ts", "a.mkv"])
def test_sound_comes_in_between_as_it_is_and_on_the_same_clock(tmp_path: Path, name: str) -> None:
    """Transport streams begin at more than a second."""
    path = write_video(tmp_path / name, moving(25), sound="aac", codec="mpeg4" if name != "a.ts" else "mpeg2video")
    with VideoFile(path) as video:
        items = list(video.frames_and_sound(sound=True))
    packets = [item for item in items if isinstance(item, Packet)]
    frames = [item for item in items if isinstance(item, Frame)]
    assert [bytes(packet) for packet in packets] == sound_of(path)
    assert len(frames) == 25
    assert frames[0].time_s == pytest.approx(0, abs=0.15)
    assert float(packets[0].pts * packets[0].time_base) == pytest.approx(frames[0].time_s, abs=0.2)


def test_a_phone_held_upright_shows_upright_frames(tmp_path: Path) -> None:
    """The matrix of the track header says how the phone was held: here a quarter clockwise, as phones write it."""
    path = write_video(tmp_path / "a.mp4", [scene(96, 160, (20, 10, 30))] * 3)
    data = bytearray(path.read_bytes())
    matrix = data.index(b"tkhd") + 4 + 40
    data[matrix : matrix + 36] = struct.pack(">9i", 0, 1 << 16, 0, -1 << 16, 0, 0, 96 << 16, 0, 1 << 30)
    path.write_bytes(data)
    [frame, *_] = read(path)
    assert frame.pixels.shape == (160, 96, 3)
    expected = find(np.rot90(scene(96, 160, (20, 10, 30)), -1))
    np.testing.assert_allclose(find(frame.pixels).boxes, expected.boxes, atol=2)


def test_a_video_that_ends_early_is_read_to_where_it_ends(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", moving(50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert 10 < len(read(path)) < 50


def test_damaged_packets_are_counted_and_passed_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(40), codec="libx264")
    with av.open(str(path)) as container:
        places = [(packet.pos, packet.size) for packet in container.demux(video=0) if packet.pos is not None]
    data = bytearray(path.read_bytes())
    start, size = places[15]
    data[start : start + size] = b"\xff" * size
    path.write_bytes(data)
    with VideoFile(path) as video:
        assert len(list(video.frames_and_sound())) >= 35
        assert video.damaged == 1


def test_what_is_no_video_is_refused_by_name(tmp_path: Path) -> None:
    (tmp_path / "text.mp4").write_text("no video")
    for name, message in (("absent.mp4", "no such file"), ("text.mp4", "not a video that can be read")):
        with pytest.raises(MienError, match=f"{name}: {message}"):
            VideoFile(tmp_path / name)
    with av.open(str(tmp_path / "only.wav"), "w") as container:
        stream = container.add_stream("pcm_s16le", rate=8000)
        stream.layout = "mono"
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 800), np.int16), format="s16", layout="mono")
        silence.rate = 8000
        container.mux([*stream.encode(silence), *stream.encode(None)])
    with pytest.raises(MienError, match=r"only\.wav: holds no video"):
        VideoFile(tmp_path / "only.wav")
