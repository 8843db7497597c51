"""TFRecord files: framing, foreign layouts, and TensorFlow itself as reader and writer."""

from __future__ import annotations

import importlib.util
import io
import struct
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data.dataset import describe, load, make_table, save
from mien.data.export import export_data
from mien.data.formats.example_proto import build, parse, values
from mien.data.formats.record_file import masked_crc, read_records, write_records
from mien.data.pack import import_data


def png(pixels: np.ndarray) -> bytes:
    """A picture as PNG."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def pictures(count: int) -> np.ndarray:
    """Random grey pictures (count, 5, 5)."""
    return np.random.default_rng(0).integers(0, 256, (count, 5, 5), dtype=np.uint8)


def test_the_masked_checksum_is_tensorflows() -> None:
    # CRC-32C of "123456789" is 0xE3069283 (RFC 3720, B.4); masked: rotated right by 15, plus 0xA282EAD8.
    rotated = (0xE3069283 >> 15 | 0xE3069283 << 17) & 0xFFFFFFFF
    assert masked_crc(b"123456789") == (rotated + 0xA282EAD8) & 0xFFFFFFFF


def test_records_written_are_records_read(tmp_path: Path) -> None:
    records = [b"", b"a", bytes(range(256)) * 40]
    write_records(tmp_path / "a.tfrecord", records)
    assert [(data, fault) for _, data, fault in read_records(tmp_path / "a.tfrecord")] == [(r, "") for r in records]


def test_a_flipped_bit_spoils_one_record_and_the_rest_is_read(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    write_records(path, [b"first", b"second", b"third"])
    spoiled = bytearray(path.read_bytes())
    spoiled[spoiled.index(b"second")] ^= 1
    path.write_bytes(bytes(spoiled))
    assert [fault for *_, fault in read_records(path)] == ["", "checksum of the data is wrong", ""]


def test_a_spoiled_length_ends_the_file_with_a_fault(tmp_path: Path) -> None:
    path = tmp_path / "a.tfrecord"
    write_records(path, [b"first", b"second"])
    spoiled = bytearray(path.read_bytes())
    spoiled[0] ^= 1
    path.write_bytes(bytes(spoiled))
    assert [fault for *_, fault in read_records(path)] == ["damaged length: the rest of the file cannot be read"]


@pytest.mark.parametrize("cut", [1, 4, 8, 20])
def test_a_truncated_file_gives_its_whole_records_and_a_fault(tmp_path: Path, cut: int) -> None:
    path = tmp_path / "a.tfrecord"
    write_records(path, [b"first", b"second"])
    path.write_bytes(path.read_bytes()[:-cut])
    found = list(read_records(path))
    assert found[0][1:] == (b"first", "")
    assert found[1][1:] == (b"", "the file ends inside a record")


def test_a_length_beyond_the_file_is_not_allocated(tmp_path: Path) -> None:
    length = struct.pack("<Q", 1 << 40)
    (tmp_path / "a.tfrecord").write_bytes(length + struct.pack("<I", masked_crc(length)) + b"x" * 50)
    assert [fault for *_, fault in read_records(tmp_path / "a.tfrecord")] == ["the file ends inside a record"]


def test_an_example_holds_bytes_and_numbers() -> None:
    example = parse(build({"a": [b"x", b"y"], "b": [1, -2, 1 << 40], "none": []}))
    assert values(example, "gone", "a") == [b"x", b"y"]
    assert values(example, "b") == [1, -2, 1 << 40]
    assert values(example, "none") == []


def test_short_keys_raw_pixels_and_numbered_labels_are_read(tmp_path: Path) -> None:
    images = pictures(2)
    records = [
        build({"image": [png(images[0])], "label": [3]}),
        build({"image_raw": [images[1].tobytes()], "height": [5], "width": [5], "depth": [1], "label": [0]}),
    ]
    write_records(tmp_path / "validation-00000-of-00001.tfrecord", records)
    (tmp_path / "labels.txt").write_text("cat\ndog\nfox\nowl\n")
    data = import_data(tmp_path, tmp_path / "packed").dataset
    assert (data.images == images).all()
    assert data.label.tolist() == [3, 0]
    assert data.split.tolist() == ["val", "val"]


def test_faulty_records_are_rejected_with_their_reason(tmp_path: Path) -> None:
    good = build({"image/encoded": [png(pictures(1)[0])], "image/class/text": [b"cat"]})
    broken = build({"image/encoded": [png(pictures(1)[0])[:-30]], "image/class/text": [b"cat"]})
    empty = build({"image/class/text": [b"cat"]})
    write_records(tmp_path / "val.tfrecord", [good, b"\xff\xff", broken, empty])
    imported = import_data(tmp_path / "val.tfrecord", tmp_path / "packed")
    assert len(imported.dataset) == 1
    reasons = {item.source: item.reason for item in imported.rejects.items}
    assert list(reasons) == ["val.tfrecord#1", "val.tfrecord#2", "val.tfrecord#3"]
    assert reasons["val.tfrecord#1"] == "not a tensorflow.Example"
    assert reasons["val.tfrecord#2"].startswith("damaged or unreadable")
    assert reasons["val.tfrecord#3"].startswith("no picture under image/encoded")


@pytest.mark.parametrize(
    ("features", "reason"),
    [
        (
            {"image/class/label": [0, 0, 1, 0, 0, 0, 0]},
            "7 values under image/class/label or label or emotion, where one is needed",
        ),
        ({"image/class/text": [b"cat", b"dog"]}, "2 values under image/class/text"),
        ({"image/ferplus/votes": [300, -1, *[0] * 8]}, "votes 300, -1, 0, 0, 0, 0, 0, 0, 0, 0: each is from 0 to 255"),
        ({"image/ferplus/votes": [b"many"] * 10}, "b'many' under image/ferplus/votes"),
        ({"image/height": [b"tall"]}, "b'tall' under image/height or height, where a whole number is needed"),
    ],
)
def test_a_record_that_makes_no_sense_is_rejected(features: dict[str, list[Any]], reason: str, tmp_path: Path) -> None:
    good = {"image/encoded": [png(pictures(1)[0])], "image/class/label": [1]}
    write_records(tmp_path / "val.tfrecord", [build(good), build(good | features)])
    imported = import_data(tmp_path / "val.tfrecord", tmp_path / "packed")
    assert len(imported.dataset) == 1
    assert imported.rejects.items[0].reason.startswith(reason)


@pytest.mark.parametrize("height", [float("nan"), float("inf"), 2.5])
def test_a_height_that_is_no_whole_number_is_rejected(height: float, tmp_path: Path) -> None:
    good = {"image/encoded": [png(pictures(1)[0])], "image/class/label": [1]}
    odd = parse(build(good))
    odd.features.feature["height"].float_list.value.append(height)
    write_records(tmp_path / "val.tfrecord", [build(good), odd.SerializeToString()])
    imported = import_data(tmp_path / "val.tfrecord", tmp_path / "packed")
    assert [item.reason for item in imported.rejects.items] == [
        f"{height} under image/height or height, where a whole number is needed"
    ]


def test_labels_written_as_floats_are_numbers_and_minus_one_is_none(tmp_path: Path) -> None:
    records = []
    for value in (3.0, 1.0, -1.0):
        example = parse(build({"image/encoded": [png(pictures(1)[0])]}))
        example.features.feature["label"].float_list.value.append(value)
        records.append(example.SerializeToString())
    write_records(tmp_path / "test.tfrecord", records)
    data = import_data(tmp_path / "test.tfrecord", tmp_path / "packed").dataset
    assert data.labels.names == ("1", "3")
    assert data.label.tolist() == [1, 0, -1]


def test_a_description_beside_the_records_is_not_read_as_records(tmp_path: Path) -> None:
    record = build({"image/encoded": [png(pictures(1)[0])], "image/class/text": [b"cat"]})
    write_records(tmp_path / "val.tfrecord-00000-of-00001", [record])
    (tmp_path / "val.tfrecord.json").write_text("{}")
    imported = import_data(tmp_path, tmp_path / "packed")
    assert len(imported.dataset) == 1
    assert not imported.rejects


def test_votes_of_some_pictures_only_are_left_out_and_that_is_said(tmp_path: Path) -> None:
    picture = {"image/encoded": [png(pictures(1)[0])], "image/class/text": [b"happy"]}
    write_records(tmp_path / "val.tfrecord", [build(picture), build(picture | {"image/ferplus/votes": [1] * 10})])
    imported = import_data(tmp_path / "val.tfrecord", tmp_path / "packed")
    assert not imported.dataset.has_votes
    assert "only 1 of 2 pictures have FER+ votes: all votes are left out" in imported.notes


def test_a_file_without_records_is_refused(tmp_path: Path) -> None:
    (tmp_path / "train.tfrecord").write_bytes(b"")
    with pytest.raises(MienError, match="no records in it"):
        import_data(tmp_path / "train.tfrecord", tmp_path / "packed")


@pytest.fixture
def eight(tmp_path: Path) -> Path:
    """Eight pictures with votes, six of them train."""
    images = pictures(8)
    rng = np.random.default_rng(1)
    table = make_table(
        label=rng.integers(0, 7, 8),
        split=np.array(["train", "train", "val", "train", "train", "val", "train", "train"]),
        source=[str(i) for i in range(8)],
        images=images,
        votes=rng.integers(0, 11, (8, 10)),
    )
    save(tmp_path / "eight", images, table, describe("eight", FER2013, images, table))
    return tmp_path / "eight"


# TensorFlow runs in a process of its own: its import warns, and it must not be needed by anything else here.
_WITH_TENSORFLOW = """
import sys
from mien.data.formats.example_proto import example_class
example_class()  # both in one process: the messages must not collide
import numpy as np, tensorflow as tf

exported, written = sys.argv[1:]
kinds = {"image/encoded": tf.io.FixedLenFeature([], tf.string),
         "image/class/label": tf.io.FixedLenFeature([], tf.int64),
         "image/class/text": tf.io.FixedLenFeature([], tf.string),
         "image/ferplus/votes": tf.io.FixedLenFeature([10], tf.int64)}
records = tf.data.TFRecordDataset([f"{exported}/train.tfrecord", f"{exported}/val.tfrecord"])
rows = [tf.io.parse_single_example(record, kinds) for record in records]
pixels = [tf.io.decode_png(row["image/encoded"]).numpy()[..., 0] for row in rows]
np.savez(f"{written}/seen.npz", pixels=pixels, label=[int(r["image/class/label"]) for r in rows],
         text=[r["image/class/text"].numpy().decode() for r in rows],
         votes=[r["image/ferplus/votes"].numpy() for r in rows])

def feature(value):
    if isinstance(value, bytes):
        return tf.train.Feature(bytes_list=tf.train.BytesList(value=[value]))
    return tf.train.Feature(int64_list=tf.train.Int64List(value=[value]))

for name, part in (("train", slice(0, 6)), ("val", slice(6, 8))):
    with tf.io.TFRecordWriter(f"{written}/{name}.tfrecord") as writer:
        for image, row in zip(pixels[part], rows[part]):
            features = {"image/encoded": feature(tf.io.encode_png(image[..., None]).numpy()),
                        "image/class/text": feature(row["image/class/text"].numpy()),
                        "image/class/label": feature(int(row["image/class/label"]))}
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())
"""


@pytest.mark.slow
@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="tensorflow is not installed")
def test_tensorflow_reads_what_mien_writes_and_mien_reads_what_tensorflow_writes(eight: Path, tmp_path: Path) -> None:
    data = load(eight)
    export_data(data, tmp_path / "exported", "tfrecord")
    (tmp_path / "written").mkdir()
    paths = [str(tmp_path / "exported"), str(tmp_path / "written")]
    done = subprocess.run(
        [sys.executable, "-c", _WITH_TENSORFLOW, *paths], capture_output=True, text=True, timeout=300, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    order = np.argsort(data.split != "train", kind="stable")
    with np.load(tmp_path / "written" / "seen.npz", allow_pickle=False) as seen:
        assert (seen["pixels"] == data.images[order]).all()
        assert (seen["label"] == data.label[order]).all()
        assert seen["text"].tolist() == [data.labels.names[i] for i in data.label[order]]
        assert (seen["votes"] == data.votes[order]).all()
    (tmp_path / "written" / "labels.txt").write_bytes((tmp_path / "exported" / "labels.txt").read_bytes())
    back = import_data(tmp_path / "written", tmp_path / "back").dataset
    assert (back.images == data.images[order]).all()
    assert (back.label == data.label[order]).all()
    assert back.split.tolist() == data.split[order].tolist()
