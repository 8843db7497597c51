"""Memory of `mien video` over a long video and of `mien predict` over thousands of pictures: early against late.

    python benchmarks/memory.py [MODEL] [--frames 20000] [--pictures 3000] [--threads 1]

The video is a clip of ten seconds, 160×120 with a tone, a face that comes and goes, repeated packet by packet until it
has so many frames; it is asked for everything at once (marked video with its sound, Parquet, plot) and searched at
64 px in every frame, so that it is soon done. The pictures are links to 60 photos of random sizes between 200 and
1,200 px, asked for drawings, CSV and JSON. Resident memory of the process is read four times a second; given are the
medians of the tenth after the first fifth, and of the last tenth, of the time. Exit code 1: later is more than 5 %
above earlier.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from statistics import median

import av
import numpy as np
import psutil
import skimage.data
from PIL import Image

RATE, SECONDS = 25, 10
SOUND_RATE = 8000
FLAT = 1.05


def main() -> None:
    """Both, one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model", type=Path, nargs="?")
    parser.add_argument("--frames", type=int, default=20_000)
    parser.add_argument("--pictures", type=int, default=3_000)
    parser.add_argument("--threads", type=int, default=1)
    options = parser.parse_args()
    common = ["--threads", str(options.threads), "--json"]
    common += ["--model", str(options.model)] if options.model else []
    with tempfile.TemporaryDirectory() as folder:
        flat = [video(Path(folder), options.frames, common), pictures(Path(folder), options.pictures, common)]
    sys.exit(0 if all(flat) else 1)


def video(folder: Path, frames: int, common: list[str]) -> bool:
    """Watch a long video."""
    clip = repeated(short(folder / "short.mp4"), folder / "long.mp4", -(-frames // (RATE * SECONDS)))
    outputs = ["--out", folder / "marked.mp4", "--timeline", folder / "t.parquet", "--plot", folder / "t.png"]
    how = ["--detect-size", 64, "--search-every", 1]
    told, flat = watched(["video", clip, *outputs, *how, *common], folder)
    print(f"  {told['frames']:,} frames of {told['seconds']:,.0f} s, {told['with_faces']:,} with a face")
    return flat and told["frames"] >= frames


def pictures(folder: Path, count: int, common: list[str]) -> bool:
    """Answer a folder of many pictures."""
    album = photos(folder / "album", count)
    outputs = ["--draw", folder / "drawn", "--csv", folder / "p.csv"]
    told, flat = watched(["predict", album, *outputs, "--detect-size", 160, *common], folder)
    print(f"  {count:,} pictures, {len(told['predictions']):,} faces")
    return flat and not told["failed"]


def watched(arguments: list[object], folder: Path) -> tuple[dict[str, object], bool]:
    """What `mien` with these arguments prints, and whether its memory stayed flat, which is told."""
    memory: list[float] = []
    with (folder / "said.json").open("w+") as said:
        started = time.monotonic()
        with subprocess.Popen([sys.executable, "-m", "mien", *map(str, arguments)], stdout=said) as process:
            looked_at = psutil.Process(process.pid)
            while process.poll() is None:
                memory.append(looked_at.memory_info().rss / 1e6)
                time.sleep(0.25)
        seconds = time.monotonic() - started
        if process.returncode:
            sys.exit(f"mien {arguments[0]} ended with {process.returncode}")
        said.seek(0)
        told = json.load(said)
    fifth, tenth = len(memory) // 5, max(len(memory) // 10, 1)
    early, late = median(memory[fifth : fifth + tenth]), median(memory[-tenth:])
    flat = late <= FLAT * early
    verdict = "flat" if flat else "GROWS"
    print(
        f"mien {arguments[0]}: {verdict}, {early:.0f} MB early, {late:.0f} MB late, {max(memory):.0f} MB at most",
        end="",
    )
    print(f"; {seconds:.0f} s", flush=True)
    return told, flat


def short(path: Path) -> Path:
    """A clip with a face for three quarters of its time, and a tone."""
    face = Image.fromarray(skimage.data.astronaut()).crop((140, 20, 320, 200)).resize((100, 100))
    with av.open(str(path), "w") as container:
        stream = container.add_stream("mpeg4", rate=RATE)
        stream.width, stream.height, stream.pix_fmt = 160, 120, "yuv420p"
        tone = container.add_stream("aac", rate=SOUND_RATE)
        tone.layout = "mono"
        for i in range(RATE * SECONDS):
            frame = Image.new("RGB", (160, 120), (90, 110, 100))
            if i % 40 < 30:
                frame.paste(face, (20 + i % 40, 10))
            container.mux(stream.encode(av.VideoFrame.from_image(frame)))
            each = SOUND_RATE // RATE
            wave = 0.2 * np.sin(np.arange(i * each, (i + 1) * each) / 3)
            sound = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], format="fltp", layout="mono")
            sound.rate, sound.pts, sound.time_base = SOUND_RATE, i * each, Fraction(1, SOUND_RATE)
            container.mux(tone.encode(sound))
        for one in (stream, tone):
            container.mux(one.encode(None))
    return path


def repeated(clip: Path, path: Path, times: int) -> Path:
    """The same packets again and again, each stream after itself."""
    with av.open(str(clip)) as source:
        spans = [(p.stream.index, p.dts, p.dts + (p.duration or 1)) for p in source.demux() if p.dts is not None]
    lengths = [max(s[2] for s in spans if s[0] == i) - min(s[1] for s in spans if s[0] == i) for i in (0, 1)]
    with av.open(str(path), "w") as target:
        streams: list[av.stream.Stream] = []
        for turn in range(times):
            with av.open(str(clip)) as source:
                streams = streams or [target.add_stream_from_template(one) for one in source.streams]
                for packet in source.demux():
                    if packet.dts is None or packet.pts is None:
                        continue
                    index = packet.stream.index
                    later = turn * lengths[index]
                    packet.dts, packet.pts = packet.dts + later, packet.pts + later
                    packet.stream = streams[index]
                    target.mux(packet)
    return path


def photos(folder: Path, count: int) -> Path:
    """A folder of so many pictures, which are 60 on the disk."""
    rng = np.random.default_rng(0)
    portrait = Image.fromarray(skimage.data.astronaut())
    (folder / "of").mkdir(parents=True)
    kept = folder.with_name("kept")
    kept.mkdir()
    for i in range(60):
        width, height = rng.integers(200, 1201, 2)
        portrait.rotate(float(rng.uniform(-20, 20))).resize((int(width), int(height))).save(kept / f"{i}.jpg")
    for i in range(count):
        (folder / "of" / f"{i:05d}.jpg").symlink_to(kept / f"{i % 60}.jpg")
    return folder


if __name__ == "__main__":
    main()
