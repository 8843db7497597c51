"""`mien data import | show | export` as a user types them."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from mien.cli.app import run
from mien.data import corrections
from mien.data.dataset import Dataset, load

Write = Callable[..., Path]
ROWS = [(0, 1, "Training"), (3, 2, "PublicTest"), (1, "1 2 3", "Training")]


def test_import_prints_counts_decisions_and_rejects(
    write_csv: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "import", str(write_csv(ROWS)), "--out", str(tmp_path / "packed")]) == 0
    out = capsys.readouterr().out
    assert "fer2013: 2 pictures, 4×4 grey" in out
    assert "· read as fer2013" in out
    assert f"· 1 damaged: see {tmp_path / 'packed' / 'rejects.csv'} (1: 3 pixels instead of 16)" in out


def test_the_commonest_reason_of_rejects_is_told(
    write_csv: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [(0, i, "Training") for i in range(3)] + [(3, i, "Sundry") for i in range(4, 7)] + [(1, "1 2 3", "Training")]
    assert run(["data", "import", str(write_csv(rows)), "--out", str(tmp_path / "packed")]) == 0
    where = tmp_path / "packed" / "rejects.csv"
    assert f"· 4 damaged: see {where} (3: unknown split 'Sundry')" in capsys.readouterr().out


def test_splits_are_known_with_spaces_in_their_names(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv([(0, 1, "Training"), (1, 2, "Public Test"), (2, 3, "private_test")])
    assert run(["data", "import", str(source), "--out", str(tmp_path / "packed")]) == 0
    assert load(tmp_path / "packed").split.tolist() == ["train", "val", "test"]


def test_options_that_would_change_nothing_are_told(
    write_csv: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_csv([(0, 1, "Training"), (1, 2, "PublicTest"), (2, 3, "PrivateTest"), (3, 4, "PrivateTest")])
    arguments = ["data", "import", str(source), "--out", str(tmp_path / "packed"), "--test-as-val", "--seed", "9"]
    assert run([*arguments, "--json"]) == 0
    notes = json.loads(capsys.readouterr().out)["notes"]
    assert "2 pictures of test join the 1 of a val that was there" in notes
    assert "val is there, so none was drawn: --val-fraction and --seed change nothing" in notes


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["import", "source.csv", "--votes", "nix.csv", "--no-votes"], "--no-votes contradict each other"),
        (["split", "source", "--folds", "3", "--val", "0.9"], "--val 0.9: with --folds, val is one of the folds"),
    ],
)
def test_options_that_contradict_each_other_are_refused(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", *arguments, "--out", str(tmp_path / "new")]) == 2
    assert said in capsys.readouterr().err


def test_import_prints_one_json_object_when_asked(
    write_csv: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "import", str(write_csv(ROWS)), "-o", str(tmp_path / "packed"), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["count"] == 2
    assert said["rejects"] == {"damaged": 1}
    assert said["fingerprint"] == load(tmp_path / "packed").info.fingerprint


def test_every_option_of_import_reaches_the_import(write_csv: Write, tmp_path: Path) -> None:
    source = write_csv([(i % 7, i, "") for i in range(70)], "all.csv")
    source.write_text("\n".join(line.rpartition(",")[0] for line in source.read_text().splitlines()))
    flags = ["--format", "contest", "--labels", "fer5", "--size", "8", "--colour", "colour", "--val-fraction", "0.5"]
    out, rest = tmp_path / "packed", ["--seed", "7", "--no-votes", "--test-as-val"]
    assert run(["data", "import", str(source), "-o", str(out), *flags, *rest]) == 0
    data = load(out)
    assert data.images.shape == (50, 8, 8, 3)
    assert data.info.counts["val"] == dict.fromkeys(("fear", "happy", "sad", "surprise", "neutral"), 5)
    assert data.info.provenance["options"]["seed"] == 7


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--strict"], "fer2013.csv#2: 3 pixels instead of 16"),
        (["--colour", "blue"], "'blue' is not one of"),
        (["--labels", "fer7"], "unknown label set 'fer7'"),
        (["--size", "4000"], "not between 8 and 1024"),
        (["--votes", "gone.csv"], "gone.csv: no such file or folder\n  → "),
    ],
)
def test_wrong_use_exits_with_two_and_says_why(
    flags: list[str], said: str, write_csv: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "import", str(write_csv(ROWS)), "-o", str(tmp_path / "packed"), *flags]) == 2
    assert said in capsys.readouterr().err
    assert not (tmp_path / "packed").exists()


def test_show_prints_the_table_and_draws_two_pictures(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "show", str(bar_set.path), "--out", str(tmp_path / "show")]) == 0
    out = capsys.readouterr().out
    assert "bars: 160 pictures, 24×24 grey, with FER+ votes" in out
    assert [word for word in ("train", "val", "angry", "neutral", "120", "40", "160") if word not in out] == []
    for name in ("counts.png", "samples.png"):
        with Image.open(tmp_path / "show" / name) as picture:
            assert min(picture.size) > 200


def test_show_as_json_names_its_files(bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "show", str(bar_set.path), "--out", str(tmp_path), "--json"]) == 0
    said = json.loads(capsys.readouterr().out)
    assert said["counts"] == bar_set.info.counts
    assert Path(said["files"]["samples"]).is_file()


def test_the_sample_sheet_repeats_with_its_seed(bar_set: Dataset, tmp_path: Path) -> None:
    for name, seed in (("a", "0"), ("b", "0"), ("c", "1")):
        run(["data", "show", str(bar_set.path), "--out", str(tmp_path / name), "--seed", seed])
    first, again, other = ((tmp_path / name / "samples.png").read_bytes() for name in "abc")
    assert first == again != other


def test_export_and_import_meet_again(bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["data", "export", str(bar_set.path), "--to", "fer2013", "--out", str(tmp_path / "out")]) == 0
    assert "wrote 160 pictures as fer2013" in capsys.readouterr().out
    assert run(["data", "import", str(tmp_path / "out"), "--out", str(tmp_path / "back")]) == 0
    assert load(tmp_path / "back").info.fingerprint == bar_set.info.fingerprint


def test_export_to_an_unknown_format_brings_the_nearest(
    bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(["data", "export", str(bar_set.path), "--to", "tfrecords", "--out", str(tmp_path / "x")]) == 2
    assert "did you mean 'tfrecord'" in capsys.readouterr().err


def test_force_refuses_to_delete_its_own_source_or_files_of_the_user(write_csv: Write, tmp_path: Path) -> None:
    packed = tmp_path / "packed"
    source = write_csv(ROWS)
    assert run(["data", "import", str(source), "-o", str(packed)]) == 0
    (packed / "raw").mkdir()
    inside = Path(shutil.copy(source, packed / "raw" / "fer2013.csv"))
    assert run(["data", "import", str(inside), "-o", str(packed), "--force"]) == 2
    assert run(["data", "import", str(source), "-o", str(packed), "--force"]) == 2
    assert inside.is_file()
    shutil.rmtree(packed / "raw")
    assert run(["data", "show", str(packed)]) == 0  # what mien itself draws there goes with the set
    assert run(["data", "import", str(source), "-o", str(packed), "--force"]) == 0


@pytest.mark.parametrize("name", ["audit/my-decisions.csv", "audit/findings/seen.txt", "show/thesis.png", ".git/HEAD"])
def test_files_of_the_user_beside_those_of_an_audit_do_not_go_with_the_set(
    name: str, write_csv: Write, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    packed, source = tmp_path / "packed", write_csv(ROWS)
    assert run(["data", "import", str(source), "-o", str(packed)]) == 0
    own = ["audit.json", "report.html", "findings/x.parquet", "nets/crossval.json", "nets/fold-0.npy"]
    hidden = [".DS_Store", ".findings.old/x.parquet", ".findings.host-1.tmp/x.parquet"]
    for file in (packed / "audit" / file for file in (*own, *hidden, "corrections.csv.old")):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.touch()
    assert run(["data", "import", str(source), "-o", str(packed), "--force"]) == 0
    assert [file.name for file in (packed / "audit").iterdir()] == ["corrections.csv.old"]
    (packed / name).parent.mkdir(parents=True, exist_ok=True)
    (packed / name).write_text("mine")
    assert run(["data", "import", str(source), "-o", str(packed), "--force"]) == 2
    assert f"which --force would delete: {name}" in capsys.readouterr().err
    assert (packed / name).read_text() == "mine"


def test_decisions_on_labels_outlive_the_set_that_they_are_applied_to(write_csv: Write, tmp_path: Path) -> None:
    source, packed = write_csv([(0, 1, "Training"), (3, 2, "Training"), (3, 3, "PublicTest")]), tmp_path / "packed"
    assert run(["data", "import", str(source), "-o", str(packed)]) == 0
    first = load(packed).table.slice(0, 1).to_pylist()[0]
    audit = packed / "audit"
    audit.mkdir()
    (audit / "report.html").touch()
    header = "row,source,label,suggested,score,votes,action,new_label,sha256"
    decided = f"{header}\n0,{first['source']},angry,happy,,,relabel,,{first['sha256']}\n"
    (audit / "corrections.csv").write_text(decided, encoding="utf-8")
    arguments = ["--corrections", str(audit / "corrections.csv"), "--force"]
    assert run(["data", "import", str(source), "-o", str(packed), *arguments]) == 0
    data = load(packed)
    assert data.labels.names[data.column("label")[0]] == "happy"
    assert (audit / "corrections.csv").read_text(encoding="utf-8") == decided
    assert not (audit / "report.html").exists()


def test_groups_that_cannot_be_written_leave_the_set_as_it_was(
    write_csv: Write, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    packed = tmp_path / "packed"
    assert run(["data", "import", str(write_csv(ROWS)), "-o", str(packed)]) == 0
    before = {path.name: path.read_bytes() for path in packed.iterdir()}

    def fail(_: object, path: Path) -> None:
        path.write_bytes(b"half")
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr("pyarrow.parquet.write_table", fail)
    assert run(["data", "group", str(packed)]) == 2
    assert {path.name: path.read_bytes() for path in packed.iterdir()} == before


@pytest.mark.parametrize("verb", ["import", "subset", "show", "split", "expand"])
def test_a_negative_seed_is_wrong_use(write_csv: Write, tmp_path: Path, verb: str) -> None:
    packed = tmp_path / "packed"
    assert run(["data", "import", str(write_csv(ROWS)), "-o", str(packed)]) == 0
    source = write_csv(ROWS) if verb == "import" else packed
    assert run(["data", verb, str(source), "-o", str(tmp_path / "other"), "--seed", "-1"]) == 2


@pytest.mark.parametrize(
    "flags",
    [
        ["--format", "icml"],
        ["--labels", "nonsense"],
        ["--names", "gone.txt"],
        ["--votes", "gone.csv"],
        ["--no-votes"],
        ["--size", "3"],
        ["--colour", "grey"],
        ["--val-fraction", "7"],
        ["--test-as-val"],
        ["--seed", "1"],
        ["--strict"],
    ],
    ids=lambda flags: flags[0],
)
def test_correcting_a_packed_set_refuses_what_says_how_to_read_a_source(
    flags: list[str], bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    corrections.write(tmp_path / "c.csv", [])
    arguments = ["data", "import", str(bar_set.path), "--corrections", str(tmp_path / "c.csv")]
    assert run([*arguments, "-o", str(tmp_path / "new"), *flags]) == 2
    assert f": {flags[0]} would change nothing" in capsys.readouterr().err
    assert not (tmp_path / "new").exists()
    assert run([*arguments, "-o", str(tmp_path / "new"), "--json"]) == 0


@pytest.mark.parametrize("verb", ["audit", "show"])
def test_settings_of_no_recipe_are_refused(
    verb: str, bar_set: Dataset, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    assert run(["data", verb, str(bar_set.path), "-o", str(out), "--set", "augment.rotation_degrees=20"]) == 2
    assert "name it with --recipe" in capsys.readouterr().err
    assert not out.exists()


@pytest.mark.parametrize(
    ("flags", "said"),
    [
        (["--corrections", "nope.csv"], "nope.csv: no such file"),
        (["--val-fraction", "2"], "2.0 is not between 0 and 1"),
        (["--size", "4000"], "not between 8 and 1024"),
        (["--labels", "fer7"], "unknown label set"),
        (["--names", "nope.txt"], "nope.txt"),
    ],
)
def test_wrong_options_are_told_before_anything_is_read(
    flags: list[str],
    said: str,
    write_csv: Write,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setattr("mien.data.pack._open", None)
    assert run(["data", "import", str(write_csv(ROWS)), "-o", str(tmp_path / "packed"), *flags]) == 2
    assert said in capsys.readouterr().err
