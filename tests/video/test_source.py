"""Reading videos: every frame upright and at its time, sound as it is, and what is none refused by name."""

from __future__ import annotations

import itertools
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from av.packet import Packet
from av.stream import Disposition
from face_toys import find, scene
from video_toys import RATE, moving, sound_of, write_sound, write_timed, write_video

from mien.core.errors import MienError
from mien.video import source
from mien.video.clock import Clock
from mien.video.source import Frame, VideoFile

SMALL = Fraction(1, 1000)


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


@pytest.mark.parametrize(("degrees", "across", "down"), [(0, True, False), (0, False, True), (90, True, False)])
def test_a_mirrored_video_is_shown_mirrored(tmp_path: Path, degrees: int, across: bool, down: bool) -> None:
    plain = scene(96, 160, (20, 10, 30))
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        stream.set_display_rotation(degrees, hflip=across, vflip=down)
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(plain, "rgb24")), *stream.encode(None)])
    [frame] = read(tmp_path / "a.mp4")
    expected = np.rot90(plain, degrees // 90)
    expected = expected[:: -1 if down else 1, :: -1 if across else 1]
    assert frame.pixels.shape == expected.shape
    np.testing.assert_allclose(find(frame.pixels).boxes, find(expected).boxes, atol=2)


def test_a_video_that_ends_early_is_read_to_where_it_ends(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", moving(50))
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) * 2 // 3])
    assert 10 < len(read(path)) < 50


def test_where_a_cut_off_video_ends_is_known_after_reading(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", moving(100))
    whole = path.read_bytes()
    for is_whole, data in ((True, whole), (False, whole[: len(whole) // 2])):
        path.write_bytes(data)
        with VideoFile(path) as video:
            frames = len(list(video.frames_and_sound()))
            if is_whole:
                assert (frames, video.cut_off_s) == (100, None)
            else:
                assert 30 < frames < 70
                assert video.cut_off_s == pytest.approx(frames / RATE, abs=0.1)


@pytest.mark.parametrize("sound", [None, "aac"])
def test_times_go_on_where_joined_streams_begin_anew(tmp_path: Path, sound: str | None) -> None:
    path = write_video(tmp_path / "a.ts", moving(50), sound=sound, codec="mpeg2video")
    path.write_bytes(3 * path.read_bytes())
    with VideoFile(path) as video:
        items = list(video.frames_and_sound(sound=sound is not None))
        assert video.cut_off_s is None
    shown = [item.time_s for item in items if isinstance(item, Frame)]
    assert len(shown) >= 145
    assert shown[-1] == pytest.approx(150 / RATE, abs=0.5)
    assert np.diff(shown).min() > 0
    assert np.diff(shown).max() < 0.3
    heard = [float(item.dts * item.time_base) for item in items if isinstance(item, Packet)]
    assert (heard[-1] == pytest.approx(150 / RATE, abs=0.5)) if sound else not heard
    # What is seen and what is heard at one place of the file belong together.
    for frame, before in zip(items[1:], items, strict=False):
        if isinstance(frame, Frame) and isinstance(before, Packet):
            assert float(before.dts * before.time_base) == pytest.approx(frame.time_s, abs=0.6)


def shown_and_heard(path: Path) -> tuple[list[float], list[float]]:
    """Times of frames and of packets of sound."""
    with VideoFile(path) as video:
        items = list(video.frames_and_sound(sound=True))
    heard = [float(item.dts * item.time_base) for item in items if isinstance(item, Packet)]
    return [item.time_s for item in items if isinstance(item, Frame)], heard


@pytest.mark.parametrize("rate", [1, 2, 5])
def test_few_frames_a_second_come_at_their_times_however_the_decoder_reorders_them(tmp_path: Path, rate: int) -> None:
    """FFmpeg does not know when the first packets of such an MKV are decoded, and guesses wrongly at the next."""
    expected = np.arange(0, 20, 1 / rate)
    ticks = Fraction(rate)
    path = write_timed(tmp_path / "a.mkv", expected, np.arange(0, 20, 1 / RATE), rate=ticks, codec="libx264")
    with av.open(str(path)) as container:
        late = [packet.pts > packet.dts for packet in container.demux(video=0) if packet.dts is not None]
    assert any(late)
    shown, heard = shown_and_heard(path)
    np.testing.assert_allclose(shown, expected, atol=0.01)
    np.testing.assert_allclose(np.diff(heard), 1024 / 8000, atol=0.01)
    assert heard[-1] == pytest.approx(20, abs=0.2)


@pytest.mark.parametrize("missing", ["sound", "pictures"])
def test_a_gap_of_one_stream_stays_a_gap(tmp_path: Path, missing: str) -> None:
    whole = np.arange(0, 30, 1 / RATE)
    gap = whole[(whole < 5) | (whole >= 20)]
    streams = (whole, gap) if missing == "sound" else (gap, whole)
    path = write_timed(tmp_path / "a.ts", *streams, codec="mpeg2video")
    shown, heard = shown_and_heard(path)
    assert shown[-1] == pytest.approx(30, abs=0.3)
    assert heard[-1] == pytest.approx(30, abs=0.3)
    assert np.diff(shown if missing == "pictures" else heard).max() == pytest.approx(15, abs=0.3)
    with VideoFile(path) as video:  # the sound is not asked for, but known
        seen = [frame.time_s for frame in video.frames_and_sound() if isinstance(frame, Frame)]
    assert seen == shown


@pytest.mark.parametrize("codec", ["mpeg2video", "libx264"])
@pytest.mark.parametrize("sound", [False, True])
def test_a_frame_now_and_then_comes_at_its_time(tmp_path: Path, codec: str, sound: bool) -> None:
    heard = np.arange(0, 90, 1 / RATE) if sound else []
    shown, _ = shown_and_heard(write_timed(tmp_path / "a.ts", np.arange(0, 90, 15), heard, codec=codec))
    np.testing.assert_allclose(np.diff(shown), 15, atol=0.01)


@pytest.mark.parametrize("shorter", ["pictures", "sound"])
@pytest.mark.parametrize("name", ["a.mkv", "untagged.mkv", "a.mp4"])
def test_pictures_and_sound_of_different_length_are_not_cut_off(tmp_path: Path, name: str, shorter: str) -> None:
    lengths = (10, 15) if shorter == "pictures" else (15, 10)
    streams = [np.arange(0, length, 1 / RATE) for length in lengths]
    path = write_timed(tmp_path / name, *streams, codec="mpeg4")
    if "untagged" in name:
        path.write_bytes(path.read_bytes().replace(b"DURATION", b"HOW_LONG"))
    with VideoFile(path) as video:
        assert len(list(video.frames_and_sound())) == lengths[0] * RATE
        assert video.cut_off_s is None
        stated = 15 if "untagged" in name else lengths[0]
        assert video.stated_s == pytest.approx(stated, abs=0.2)


def packet_at(seconds: float, stream: av.VideoStream) -> Packet:
    packet = Packet(b"x")
    packet.stream, packet.time_base = stream, SMALL
    packet.dts = packet.pts = round(seconds / SMALL)
    packet.duration = round(1 / RATE / SMALL)
    return packet


def clock_shows(clock: Clock, *seconds: tuple[float, av.VideoStream]) -> list[float]:
    shown = []
    for at, stream in seconds:
        packet = packet_at(at, stream)
        clock.set(packet)
        shown.append(float(packet.dts * SMALL))
    return shown


def test_a_leap_is_no_pause_and_those_who_return_from_one_are_where_they_were(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mkv"), "w") as container:
        one, two = (container.add_stream("mpeg4", rate=RATE) for _ in range(2))
        clock = Clock(1.0, most_back_s=0.5, longest_leap_s=10.0)
        strayed = clock_shows(clock, (1, one), (1, two), (3600, one), (3600.04, one), (1.12, one), (1.04, two))
        np.testing.assert_allclose(strayed, [0, 0, 0.04, 0.08, 0.12, 0.04], atol=1e-3)
        anew = clock_shows(clock, (0.2, one), (1.3, two), (0.3, two), (0.24, one), (9, one), (9.1, two))
        np.testing.assert_allclose(anew, [0.16, 0.3, 0.26, 0.2, 8.96, 9.06], atol=1e-3)


def test_metadata_in_another_encoding_does_no_harm(tmp_path: Path) -> None:
    path = tmp_path / "a.avi"
    with av.open(str(path), "w") as container:
        container.metadata["title"] = "XXXXXXXX"
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(scene(96, 160), "rgb24")), *stream.encode(None)])
    path.write_bytes(path.read_bytes().replace(b"XXXXXXXX", "测试视频".encode("gbk")))
    assert len(read(path)) == 1


def test_a_video_that_nothing_here_decodes_is_refused_by_name(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving(3))
    path.write_bytes(path.read_bytes().replace(b"mp4v", b"zzzz").replace(b"esds", b"free"))
    with pytest.raises(MienError, match=r"a\.mp4: no decoder for its video"):
        VideoFile(path)


@pytest.mark.parametrize(
    "error", [av.error.MemoryError(12, "no memory"), av.error.PermissionError(1, "no"), IndexError()]
)
def test_where_reading_fails_the_video_ends_and_that_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    class Failing:
        def __init__(self, really: object) -> None:
            self.really = really

        def __getattr__(self, name: str) -> object:
            return getattr(self.really, name)

        def demux(self, *which: object) -> object:
            yield from itertools.islice(self.really.demux(*which), 10)
            raise error

    path, really = write_video(tmp_path / "a.mp4", moving(30)), av.open
    monkeypatch.setattr(source.av, "open", lambda name, **how: Failing(really(name, **how)))
    with VideoFile(path) as video:
        assert len(list(video.frames_and_sound())) == 10
        assert video.damaged == 1


@pytest.mark.parametrize(("aspect", "width"), [(Fraction(2), 320), (Fraction(1, 2), 80), (Fraction(300), 160)])
def test_pixels_are_made_square_within_reason_as_the_container_says(
    tmp_path: Path, aspect: Fraction, width: int
) -> None:
    """VP9 says nothing itself."""
    with av.open(str(tmp_path / "a.mp4"), "w") as container:
        stream = container.add_stream("libvpx-vp9", rate=RATE, options={"deadline": "realtime", "cpu-used": "8"})
        stream.height, stream.width, stream.pix_fmt = 96, 160, "yuv420p"
        stream.codec_context.sample_aspect_ratio = aspect
        container.mux([*stream.encode(av.VideoFrame.from_ndarray(scene(96, 160), "rgb24")), *stream.encode(None)])
    [frame] = read(tmp_path / "a.mp4")
    assert frame.pixels.shape == (96, width, 3)


def test_untagged_high_definition_has_the_colours_that_players_show() -> None:
    red = np.full((720, 64, 3), (200, 60, 40), np.uint8)
    for height, matrix in ((720, "ITU709"), (96, "ITU601")):
        frame = av.VideoFrame.from_ndarray(red[:height], "rgb24").reformat(format="yuv420p", dst_colorspace=matrix)
        frame.colorspace = 2
        assert abs(Frame(0, 0.0, frame).pixels.astype(int) - red[:height]).max() < 8


def test_a_cover_is_no_video(tmp_path: Path) -> None:
    with av.open(str(tmp_path / "a.mp3"), "w") as container:
        tone = container.add_stream("mp3", rate=44100)
        cover = container.add_stream("mjpeg")
        cover.height, cover.width, cover.pix_fmt = 96, 160, "yuvj420p"
        cover.disposition = Disposition.attached_pic
        silence = av.AudioFrame.from_ndarray(np.zeros((1, 4608), np.int16), format="s16", layout="stereo")
        silence.rate = 44100
        container.mux([*tone.encode(silence), *tone.encode(None)])
        container.mux([*cover.encode(av.VideoFrame.from_ndarray(scene(96, 160), "rgb24")), *cover.encode(None)])
    with av.open(str(tmp_path / "a.mp3")) as container:
        assert len(container.streams.video) == 1
    with pytest.raises(MienError, match=r"a\.mp3: holds no video"):
        VideoFile(tmp_path / "a.mp3")


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
    write_sound(tmp_path / "only.wav")
    with pytest.raises(MienError, match=r"only\.wav: holds no video"):
        VideoFile(tmp_path / "only.wav")
