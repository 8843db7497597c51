"""The audit as a whole: findings, files and the command."""

from __future__ import annotations

import json
import os
import re
import struct
import sys
import zlib
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from PIL import Image

from mien.cli.app import run
from mien.cli.audit_run import _counted
from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.data import dataset
from mien.data.audit.charts import draw
from mien.data.audit.counts import Counts, count
from mien.data.audit.finding import Plot, Severity
from mien.data.audit.page import headline
from mien.data.audit.run import Audit, Request, audit
from mien.data.audit.write import to_json, write
from mien.data.dataset import Dataset
from mien.data.drawn.sets import Plan, drawn_set
from mien.data.formats.base import Progress


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return drawn_set(tmp_path_factory.mktemp("clean") / "packed", Plan(count=245), with_votes=True)


def spoil(clean: Dataset, path: Path) -> Dataset:
    """The clean set with pictures of train put into val, a constant picture, and hardly any disgust in train."""
    images, label, split = np.array(clean.images), clean.label.copy(), clean.split.copy()
    disgust = FER2013.index("disgust")
    train, val = clean.rows("train"), clean.rows("val")
    train = np.concatenate([train[label[train] != disgust], train[label[train] == disgust]])
    images[val[:20]] = images[train[:20]]
    label[val[:20]] = label[train[:20]]
    images[val[20]] = 100
    kept = np.ones(len(images), bool)
    kept[train[label[train] == disgust][2:]] = False
    table = dataset.make_table(
        label=label[kept], split=split[kept], source=[f"x{i}" for i in np.flatnonzero(kept)], images=images[kept]
    )
    return dataset.save(path, images[kept], table, dataset.describe("spoilt", FER2013, images[kept], table))


@pytest.fixture(scope="module")
def clean_audit(clean: Dataset) -> Audit:
    return audit(clean)


@pytest.fixture(scope="module")
def spoilt_audit(spoilt: Dataset) -> Audit:
    return audit(spoilt)


@pytest.fixture(scope="module")
def spoilt(clean: Dataset, tmp_path_factory: pytest.TempPathFactory) -> Dataset:
    return spoil(clean, tmp_path_factory.mktemp("spoilt") / "packed")


def test_a_clean_set_is_told_so_plainly(clean_audit: Audit) -> None:
    done = clean_audit
    assert done.worst <= Severity.NOTE, [f.verdict for f in done.findings if f.severity > Severity.NOTE]
    fine = tuple(f for f in done.findings if f.severity is Severity.FINE)
    assert headline(fine) == f"This set is clean: {len(fine)} things looked for, nothing found."
    assert headline(done.findings).startswith(("This set is clean", "No trouble in this set"))


def test_planted_trouble_is_found_and_named(spoilt_audit: Audit) -> None:
    done = spoilt_audit
    found = {finding.name: finding for finding in done.findings}
    assert done.worst is Severity.SEVERE
    assert found["leakage"].severity is Severity.SEVERE
    assert len(found["leakage"].rows) == 20
    assert found["counts"].severity is Severity.WARNING
    assert len(found["constant"].rows) == 1
    assert headline(done.findings).startswith(f"{len(done.findings)} things looked for: 1 severe")
    assert len(found) == len(done.findings), "names are keys"


def test_every_check_tells_where_it_is(clean: Dataset) -> None:
    told: list[str] = []

    def watch(name: str) -> Progress:
        told.append(name)
        return lambda done, total: told.append(f"{name} {done} {total}")

    done = audit(clean, watch=watch)
    assert [name for name in told if name in done.seconds] == list(done.seconds)
    assert f"measuring pictures {len(clean)} {len(clean)}" in told


def test_label_errors_and_preprocessing_are_looked_for_on_request(clean: Dataset, clean_audit: Audit) -> None:
    asked: list[int] = []

    def judge(groups: np.ndarray, tell: Progress) -> np.ndarray:
        asked.append(len(groups))
        tell(1, 1)
        p = np.full((len(clean), 7), 0.02)
        p[np.arange(len(clean)), clean.label] = 0.88
        return p

    inputs = np.zeros((16, 1, 8, 8), np.float32)
    names = {finding.name for finding in audit(clean, request=Request((inputs, inputs), judge)).findings}
    assert {"label-errors", "preprocessing"} <= names
    assert asked == [len(clean)]
    assert not {"label-errors", "preprocessing"} & {finding.name for finding in clean_audit.findings}


def test_rows_of_a_finding_are_a_table_with_source_label_and_split(spoilt_audit: Audit, tmp_path: Path) -> None:
    done = spoilt_audit
    write(done, tmp_path)
    for finding in done.findings:
        file = tmp_path / "findings" / f"{finding.name}.parquet"
        assert file.is_file() == bool(len(finding.rows))
        if not len(finding.rows):
            continue
        table = pq.read_table(file)
        assert table.column_names[:4] == ["row", "source", "label", "split"]
        assert table.column("row").to_pylist() == finding.rows.tolist()
        assert set(finding.columns) <= set(table.column_names)
        assert len(set(finding.rows.tolist())) == len(finding.rows), "each picture once"
    leaks = pq.read_table(tmp_path / "findings" / "leakage.parquet")
    assert set(leaks.column("split").to_pylist()) == {"val"}
    assert set(leaks.column("label").to_pylist()) <= set(FER2013.names)


def test_audit_json_is_what_was_found_in_plain_values(spoilt_audit: Audit, tmp_path: Path) -> None:
    done = spoilt_audit
    write(done, tmp_path)
    said = json.loads((tmp_path / "audit.json").read_text())
    assert said == json.loads(json.dumps(to_json(done), allow_nan=False))
    assert said["worst"] == "severe"
    by_name = {one["name"]: one for one in said["findings"]}
    assert by_name["leakage"]["rows"] == 20
    assert by_name["leakage"]["table"] == "findings/leakage.parquet"
    assert by_name["counts"]["table"] is None
    for finding in said["findings"]:
        assert all(isinstance(value, bool | int | float | str | None) for value in finding["figures"].values())
        assert finding["verdict"].endswith(".")
        assert finding["why"]
        assert (finding["action"] == "") == (finding["severity"] == "fine") or finding["severity"] == "note"


def test_the_page_holds_every_finding_and_loads_nothing_from_anywhere(spoilt_audit: Audit, tmp_path: Path) -> None:
    done = spoilt_audit
    write(done, tmp_path)
    text = (tmp_path / "report.html").read_text()
    for finding in done.findings:
        assert f'id="{finding.name}"' in text
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert not re.findall(r"@import|<link|<script|url\((?!#)", text)
    order = [text.index(f'id="{finding.name}"') for finding in done.findings if finding.severity is Severity.SEVERE]
    fine = [text.index(f'id="{finding.name}"') for finding in done.findings if finding.severity is Severity.FINE]
    assert max(order) < min(fine)
    assert text.count("<svg") >= 2
    assert text.count("data:image/png") >= 12


def test_names_in_the_data_cannot_break_out_of_the_page(clean: Dataset, tmp_path: Path) -> None:
    bad = dataset.Dataset(
        clean.images, clean.table, clean.info.model_copy(update={"name": "<script>alert(1)</script> $x$"})
    )
    write(audit(bad), tmp_path)
    assert "<script>" not in (tmp_path / "report.html").read_text()


def test_the_command_ends_with_one_when_something_is_severe(
    spoilt: Dataset, clean: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert spoilt.path is not None
    assert clean.path is not None
    assert run(["data", "audit", str(spoilt.path), "--out", str(tmp_path / "a")]) == 1
    said = " ".join(capsys.readouterr().out.split())
    assert "severe leakage 20 pictures of val" in said
    assert "report.html" in said
    assert run(["data", "audit", str(clean.path), "--out", str(tmp_path / "b")]) == 0
    assert "No trouble in this set" in capsys.readouterr().out


def test_the_terminal_has_a_small_table_of_counts(
    spoilt: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "100")
    run(["data", "audit", str(spoilt.path), "--out", str(tmp_path / "a")])
    lines = capsys.readouterr().out.splitlines()
    assert max(map(len, lines)) <= 100 + len(str(tmp_path))
    splits = count(spoilt.label, spoilt.split, FER2013.names).splits
    head = next(i for i, line in enumerate(lines) if line.split() == ["pictures", *splits])
    rows = [line.split() for line in lines[head + 1 : head + 8]]
    assert {row[0]: [int(n) for n in row[1:]] for row in rows} == {
        name: [spoilt.info.counts[split].get(name, 0) for split in splits] for name in FER2013.names
    }
    assert rows[-1][0] == "disgust", "the rarest class of train comes last"


def test_of_many_classes_the_terminal_shows_the_commonest_and_the_rarest() -> None:
    names = tuple(f"c{i:03}" for i in range(200))
    table = _counted(Counts(np.arange(200)[None], ("train",), names))
    shown = list(table.columns[0].cells)
    assert len(shown) == 21
    assert shown[0] == "c199"
    assert shown[-1] == "c000"
    assert shown[10] == "… 180 more"


def test_a_chart_of_many_classes_shows_the_first_sixty_and_says_so() -> None:
    many = Plot("Pictures", tuple(f"c{i}x" for i in range(200)), {"train": np.arange(200)}, "pictures")
    drawn = draw(many, salt="0")
    assert "Pictures: the first 60 of 200" in drawn
    assert "c59x" in drawn
    assert "c60x" not in drawn
    assert "the first" not in draw(Plot("Pictures", ("a", "b"), {"train": np.arange(2)}), salt="0")


def test_what_cannot_be_written_is_told_before_anything_is_looked_at(
    clean: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.cli.audit_run.audit", lambda *_, **__: pytest.fail("looked at pictures"))
    (tmp_path / "file").write_text("mine")
    assert run(["data", "audit", str(clean.path), "--out", str(tmp_path / "file")]) == 2
    assert "is a file, not a folder" in capsys.readouterr().err
    assert run(["data", "audit", str(clean.path), "--out", str(tmp_path / "file" / "audit")]) == 2
    (tmp_path / "corrections.csv").write_text("my notes\n")
    assert run(["data", "audit", str(clean.path), "--out", str(tmp_path), "--labels"]) == 2
    assert "not a file of corrections" in capsys.readouterr().err


def test_what_would_stop_an_audit_midway_is_told_before_anything_is_looked_at(
    clean: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.cli.audit_run.audit", lambda *_, **__: pytest.fail("looked at pictures"))
    (tmp_path / "corrections.csv.old").write_text("my notes\n")
    assert run(["data", "audit", str(clean.path), "--out", str(tmp_path), "--labels"]) == 2
    assert "corrections.csv.old: not a file of corrections" in capsys.readouterr().err
    table = clean.table.set_column(clean.table.column_names.index("label"), "label", [[-1] * len(clean)])
    blank = dataset.save(tmp_path / "blank", clean.images, table, clean.info).path
    assert run(["data", "audit", str(blank), "--labels"]) == 2
    assert "0 labelled pictures are too few for 3 folds" in capsys.readouterr().err
    (tmp_path / "blank" / "rejects.csv").write_text("my notes\n1\n")
    assert run(["data", "audit", str(blank)]) == 2
    assert "rejects.csv: cannot be read" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["findings/thesis.tex", "report.html"])
def test_files_that_only_have_the_names_of_an_audit_are_left_alone(
    name: str,
    clean_audit: Audit,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("mien.cli.audit_run.audit", lambda *_, **__: pytest.fail("looked at pictures"))
    (tmp_path / name).parent.mkdir(exist_ok=True)
    (tmp_path / name).write_text("mine")
    assert run(["data", "audit", str(clean_audit.data.path), "--out", str(tmp_path)]) == 2
    assert "no audit.json: no audit wrote" in capsys.readouterr().err
    with pytest.raises(MienError, match="no audit wrote"):
        write(clean_audit, tmp_path)
    assert (tmp_path / name).read_text() == "mine"


def test_an_audit_takes_the_place_of_an_earlier_one_and_leaves_nothing_when_it_is_interrupted(
    clean_audit: Audit, spoilt_audit: Audit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        patch.setattr("mien.data.audit.write.write_page", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            write(spoilt_audit, tmp_path)
    write(spoilt_audit, tmp_path)
    assert (tmp_path / "findings" / "leakage.parquet").is_file()
    write(clean_audit, tmp_path)
    assert not (tmp_path / "findings" / "leakage.parquet").exists()


def test_json_is_one_object_and_files_go_into_the_set_if_not_told_otherwise(
    spoilt: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed = spoil(spoilt, tmp_path / "packed").path
    assert run(["data", "audit", str(packed), "--recipe", "mien-s", "--json"]) == 1
    said = json.loads(capsys.readouterr().out)
    assert said["folder"] == str(tmp_path / "packed" / "audit")
    assert "preprocessing" in {finding["name"] for finding in said["findings"]}
    assert sorted(p.name for p in (tmp_path / "packed" / "audit").iterdir()) == [
        "audit.json",
        "findings",
        "report.html",
    ]
    assert dataset.load(tmp_path / "packed").info.count == said["data"]["count"], "the set itself is left as it was"


def test_an_unknown_recipe_and_a_folder_that_is_no_set_end_with_two(clean: Dataset, tmp_path: Path) -> None:
    assert run(["data", "audit", str(tmp_path)]) == 2
    assert run(["data", "audit", str(clean.path), "--out", str(tmp_path / "a"), "--recipe", "no-such"]) == 2
    assert not (tmp_path / "a").exists()


def test_a_set_of_one_picture_one_split_and_no_labels_is_audited(tmp_path: Path) -> None:
    images = np.random.default_rng(0).integers(0, 256, (1, 12, 20, 3)).astype(np.uint8)
    table = dataset.make_table(label=np.array([-1]), split=np.array(["test"]), source=["a"], images=images)
    one = dataset.save(tmp_path / "one", images, table, dataset.describe("one", FER2013, images, table))
    done = audit(one)
    write(done, tmp_path / "out")
    assert done.worst <= Severity.NOTE


def chunk(kind: bytes, data: bytes) -> bytes:
    """A chunk of a PNG file."""
    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))


# A sound header of 100,000×100,000 grey pixels, and a few bytes of them.
HOSTILE_PNG = b"".join(
    [
        b"\x89PNG\r\n\x1a\n",
        chunk(b"IHDR", struct.pack(">IIBBBBB", 100_000, 100_000, 8, 0, 0, 0, 0)),
        chunk(b"IDAT", zlib.compress(bytes(1000))),
        chunk(b"IEND", b""),
    ]
)


def hostile_folder(root: Path) -> Path:
    """Class folders with faces, and among them truncated files, a header of 100,000×100,000 px, links in a loop, a
    pipe that nobody writes to and a device that never ends."""
    rng = np.random.default_rng(0)
    for name in ("angry", "happy"):
        (root / name).mkdir(parents=True)
        for i in range(12):
            Image.fromarray(rng.integers(0, 256, (16, 16)).astype(np.uint8)).save(root / name / f"{i}.png")
    whole = (root / "angry" / "0.png").read_bytes()
    (root / "angry" / "cut.png").write_bytes(whole[: len(whole) // 2])
    (root / "angry" / "empty.png").write_bytes(b"")
    (root / "angry" / "huge.png").write_bytes(HOSTILE_PNG)
    (root / "happy" / "text.jpg").write_text("no picture")
    (root / "happy" / "loop").symlink_to(root, target_is_directory=True)
    (root / "happy" / "self.png").symlink_to(root / "happy" / "self.png")
    (root / "angry" / "nowhere.png").symlink_to(root / "gone.png")
    (root / "angry" / "zero.png").symlink_to("/dev/zero")
    os.mkfifo(root / "happy" / "pipe.png")
    return root


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights there")
def test_hostile_files_never_crash_import_and_audit(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = hostile_folder(tmp_path / "source")
    assert run(["data", "import", str(source), "--out", str(tmp_path / "packed"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["count"] == 24
    assert sum(said["rejects"].values()) >= 6
    rejected = (tmp_path / "packed" / "rejects.csv").read_text()
    assert "too many pixels to be read" in rejected
    assert all(f"{name},no regular file" in rejected for name in ("angry/zero.png", "happy/pipe.png"))
    assert run(["data", "audit", str(tmp_path / "packed"), "--json"]) in (0, 1)
    audited = json.loads(capsys.readouterr().out)
    assert audited["data"]["count"] == 24
    corrupt = next(one for one in audited["findings"] if one["name"] == "corrupt")
    assert corrupt["figures"]["pictures"] == said["rejects"]["damaged"]
    assert corrupt["severity"] == "severe"


@pytest.mark.parametrize("file", ["images.npy", "manifest.parquet", "dataset.json"])
def test_a_damaged_packed_set_is_refused_and_not_audited(file: str, clean: Dataset, tmp_path: Path) -> None:
    packed = spoil(clean, tmp_path / "packed").path
    assert packed is not None
    whole = (packed / file).read_bytes()
    for size in (0, 40, len(whole) // 2):
        (packed / file).write_bytes(whole[:size])
        assert run(["data", "audit", str(packed)]) == 2
    assert not (packed / "audit").exists()
