"""`mien predict`: files and folders in; a table, JSON, CSV or a submission out."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from deploy_toys import Linear, structured
from PIL import Image

from mien.cli.app import run as mien
from mien.core.labels import FER2013, FERPLUS8, LabelSet
from mien.data import dataset

COLUMNS = ["source", "face", "label", "probability", "unsure", "left", "top", "right", "bottom", "score"]
FACES = structured(6, 6, 6)
NAMES = ["b/2.png", "b/10.JPG", "a.png", "b/c/0007.webp", "b/c/x[1].png", "z.bmp"]
SORTED = ["a.png", "b/10.JPG", "b/2.png", "b/c/0007.webp", "b/c/x[1].png", "z.bmp"]


@pytest.fixture
def model(tmp_path: Path) -> Linear:
    return Linear(tmp_path / "model.onnx", [FER2013, FERPLUS8])


@pytest.fixture
def faces(tmp_path: Path) -> Path:
    """A folder with six pictures, and things that are none."""
    folder = tmp_path / "faces"
    for name, face in zip(NAMES, FACES, strict=True):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        # Losslessly, so that the answers are known; the name is free to say what it wants.
        Image.fromarray(face).save(folder / name, "PNG")
    (folder / ".hidden").mkdir()
    for name in ("._a.png", ".hidden/x.png", "notes.txt"):
        (folder / name).write_bytes(b"no picture")
    return folder


def expected(model: Linear, head: str = "fer2013") -> dict[str, np.ndarray]:
    return dict(zip(NAMES, model.answers(FACES, head), strict=True))


def read_csv(path: Path) -> list[list[str]]:
    with path.open(newline="", encoding="utf-8") as file:
        return list(csv.reader(file))


def test_a_folder_is_answered_in_order_of_names(model: Linear, faces: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(["predict", str(faces), "--model", str(model.path), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["model"], told["head"]) == (str(model.path), "fer2013")
    assert told["failed"] == []
    assert [p["source"] for p in told["predictions"]] == [str(faces / name) for name in SORTED]
    for p in told["predictions"]:
        answer = expected(model)[str(Path(p["source"]).relative_to(faces))]
        assert list(p["probabilities"]) == list(FER2013.names)
        np.testing.assert_allclose(list(p["probabilities"].values()), answer, atol=1e-6)
        assert p["label"] == FER2013.names[answer.argmax()]


def test_the_table_shows_picture_label_and_runner_up(
    model: Linear, faces: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(faces)
    assert mien(["predict", "b/c/x[1].png", "a.png", "--model", str(model.path)]) == 0
    shown = capsys.readouterr()
    for name in ("a.png", "b/c/x[1].png"):
        answer = expected(model)[name]
        first, second = np.argsort(-answer)[:2]
        line = next(line for line in shown.out.splitlines() if line.startswith(name))
        assert f"{FER2013.names[first]} " in line
        assert f"{100 * answer[first]:.1f} %" in line
        assert f"{FER2013.names[second]} {100 * answer[second]:.1f} %" in line
    assert shown.err == ""


def test_labels_and_head_are_passed_on(model: Linear, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "out.csv"
    asked = ["predict", str(faces / "a.png"), "--model", str(model.path), "--csv", str(out)]
    assert mien([*asked, "--labels", "ferplus8"]) == 0
    header, row = read_csv(out)
    assert header == [*COLUMNS, *(f"p_{name}" for name in FERPLUS8.names)]
    np.testing.assert_allclose([float(v) for v in row[10:]], expected(model, "ferplus8")["a.png"], atol=1e-6)
    assert mien([*asked, "--labels", "fer2013", "--head", "ferplus8"]) == 0
    assert read_csv(out)[0][10:] == [f"p_{name}" for name in FER2013.names]


@pytest.mark.parametrize(("labels", "head", "lacking"), [("ferplus8", "fer2013", "contempt"), ("fer5", "fer2013", "")])
def test_classes_that_the_head_does_not_know_are_named(
    labels: str, head: str, lacking: str, model: Linear, faces: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    asked = ["predict", str(faces / "a.png"), "--model", str(model.path), "--labels", labels, "--head", head, "--json"]
    assert mien(asked) == 0
    shown = capsys.readouterr()
    line = f"mien: the head {head} does not know {lacking}: never answered, probability 0\n"
    assert shown.err == (line if lacking else "")
    probabilities = json.loads(shown.out)["predictions"][0]["probabilities"]
    assert {name for name, value in probabilities.items() if value == 0} == ({lacking} if lacking else set())


def test_unreadable_pictures_are_named_and_the_rest_is_answered(
    model: Linear, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (faces / "b" / "2.png").write_bytes(b"no picture")
    truncated = faces / "z.bmp"
    truncated.write_bytes(truncated.read_bytes()[:-30])
    asked = ["predict", str(faces), "--model", str(model.path), "--csv", str(tmp_path / "out.csv")]
    assert mien(asked) == 1
    told = capsys.readouterr().err
    assert f"{faces / 'b' / '2.png'}: not a picture" in told
    assert f"{truncated}: damaged" in told
    assert "2 of 6 pictures not answered" in told
    assert [row[0] for row in read_csv(tmp_path / "out.csv")[1:]] == [
        str(faces / name) for name in SORTED if name not in ("b/2.png", "z.bmp")
    ]
    assert mien([*asked, "--json"]) == 1
    failed = json.loads(capsys.readouterr().out)["failed"]
    assert [f["source"] for f in failed] == [str(faces / "b" / "2.png"), str(truncated)]


def test_a_submission_holds_stems_and_class_numbers(model: Linear, faces: Path, tmp_path: Path) -> None:
    out = tmp_path / "submission.csv"
    assert mien(["predict", str(faces), "--model", str(model.path), "--submission", str(out)]) == 0
    answers = expected(model)
    rows = [[Path(name).stem, str(answers[name].argmax())] for name in SORTED]
    assert read_csv(out) == [["id", "label"], *rows]
    assert "0007" in out.read_text(encoding="utf-8")


def test_a_submission_of_a_packed_set_is_in_its_ids_whatever_head_answers_else(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    model = Linear(tmp_path / "two.onnx", [FER2013, FERPLUS8], default_head="ferplus8")
    table = dataset.make_table(
        label=np.full(6, -1), split=np.full(6, "test"), source=[f"test.csv#{i}" for i in range(6)], images=FACES
    )
    for name, labels in (("own", FER2013), ("pets", LabelSet(name="pets", names=("cat", "dog")))):
        dataset.save(tmp_path / name, FACES, table, dataset.describe(name, labels, FACES, table))
    out = tmp_path / "submission.csv"
    asked = ["predict", "--model", str(model.path), "--submission", str(out)]
    for paths, head, names in (
        (["own"], "fer2013", FER2013.names),
        (["own", "--head", "ferplus8"], "ferplus8", FERPLUS8.names),
        (["pets"], "ferplus8", FERPLUS8.names),  # of whose labels the model knows none
    ):
        assert mien([*asked, str(tmp_path / paths[0]), *paths[1:]]) == 0
        assert [int(row[1]) for row in read_csv(out)[1:]] == model.answers(FACES, head).argmax(1).tolist()
        assert f"{out}: 0 {names[0]}, 1 {names[1]}, " in capsys.readouterr().err


def test_a_submission_with_equal_ids_is_refused_before_predicting(
    model: Linear, faces: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    Image.fromarray(FACES[0]).save(faces / "a.jpg", "PNG")
    out = tmp_path / "submission.csv"
    assert mien(["predict", str(faces), "--model", str(model.path), "--submission", str(out)]) == 2
    assert "id 'a'" in capsys.readouterr().err
    assert not out.exists()


def test_a_packed_set_without_labels_becomes_a_submission_by_row_numbers(
    model: Linear, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    split = np.array(["train", "test", "test", "train", "test", "test"])
    source = [f"test.csv#{i}" for i in range(6)]
    table = dataset.make_table(label=np.full(6, -1), split=split, source=source, images=FACES)
    packed = tmp_path / "packed"
    dataset.save(packed, FACES, table, dataset.describe("contest", FER2013, FACES, table))
    out = tmp_path / "submission.csv"
    asked = ["predict", str(packed), "--model", str(model.path)]
    assert mien([*asked, "--split", "test", "--submission", str(out)]) == 0
    answers = model.answers(FACES, "fer2013").argmax(1)
    assert read_csv(out)[1:] == [[str(i), str(answers[i])] for i in (1, 2, 4, 5)]
    assert "test.csv#4" in capsys.readouterr().out
    assert mien([*asked, "--json"]) == 0
    assert len(json.loads(capsys.readouterr().out)["predictions"]) == 6
    assert mien([*asked, "--split", "val"]) == 2
    assert "no picture in split 'val'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["absent.png", "empty", "gone"], "absent.png: no such file or folder; empty: no pictures"),
        (["absent.png", "gone"], "gone: no such file or folder"),
        (["absent.png"], "absent.png: no such file or folder"),
        (["https://example.org/a.png"], "a.png: an address, not a file"),
        (["on/a.png"], "the folder on is not there"),
        (["empty"], "no pictures in this folder"),
        (["a.png", "--labels", "fer2014"], "did you mean 'fer2013'"),
        (["a.png", "--model", "absent.onnx"], "no such run or model"),
        (["a.png", "--batch-size", "0"], "batch-size"),
        (["a.png", "--split", "nonsense"], "--split nonsense: none of these is a packed data set"),
        (["a.png", "--csv", "b"], "b: is a folder"),
        (["a.png", "--submission", "b"], "b: is a folder"),
        (["a.png", "--csv", "a.png/out.csv"], "a.png is a file, not a folder"),
        (["a.png", "--draw", "notes.txt"], "notes.txt: is a file, not a folder"),
        ([], "argument PATHS is missing"),
    ],
)
def test_wrong_use_exits_with_two_and_says_what(
    arguments: list[str],
    message: str,
    model: Linear,
    faces: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(faces)
    (faces / "empty").mkdir()
    assert mien(["predict", "--model", str(model.path), "--json", *arguments]) == 2
    shown = capsys.readouterr()
    assert message in shown.err
    assert shown.out == "", "what cannot be written is said before anything is printed"


def contest(packed: Path) -> Path:
    """A packed set without labels, from a table."""
    source = [f"test.csv#{i}" for i in range(6)]
    table = dataset.make_table(label=np.full(6, -1), split=np.full(6, "test"), source=source, images=FACES)
    dataset.save(packed, FACES, table, dataset.describe("contest", FER2013, FACES, table))
    return packed


def test_drawings_of_a_packed_set_above_stay_in_the_folder_of_drawings(
    model: Linear, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = contest(tmp_path / "packed") / "inside"
    inside.mkdir()
    monkeypatch.chdir(inside)
    assert mien(["predict", "..", "--model", str(model.path), "--draw", "../../drawn"]) == 0
    assert len(list((tmp_path / "drawn" / "packed").iterdir())) == 6
    assert {path.name for path in tmp_path.iterdir()} == {"drawn", "packed", model.path.name}


@pytest.mark.skipif(sys.platform != "linux", reason="elsewhere names of files are text")
def test_names_that_are_no_text_reach_every_file_as_they_are(
    model: Linear, tmp_path: Path, capfdbinary: pytest.CaptureFixture[bytes]
) -> None:
    name = os.fsdecode(b"caf\xe9.png")
    Image.fromarray(FACES[0]).save(tmp_path / name, "PNG")
    out, ids = tmp_path / "out.csv", tmp_path / "ids.csv"
    asked = ["predict", str(tmp_path / name), "--model", str(model.path), "--csv", str(out), "--submission", str(ids)]
    assert subprocess.run([sys.executable, "-m", "mien", *asked, "--json"], check=False).returncode == 0
    assert b"caf\xe9.png," in out.read_bytes()
    assert b"\ncaf\xe9," in ids.read_bytes()
    told = json.loads(capfdbinary.readouterr().out)["predictions"][0]["source"]
    assert os.fsencode(told) == os.fsencode(tmp_path / name)


def test_a_picture_of_too_many_pixels_is_told_in_one_line(model: Linear, tmp_path: Path) -> None:
    """Pillow has limits of its own, from about 90 and 180 million pixels on, and warns of the first."""
    for side in (10_000, 20_000):
        (tmp_path / f"{side}.pgm").write_bytes(b"P5 %d %d 255\n" % (side, side))
    asked = ["predict", str(tmp_path), "--model", str(model.path)]
    done = subprocess.run([sys.executable, "-m", "mien", *asked], capture_output=True, text=True, check=False)
    first, second, *_ = done.stderr.splitlines()
    assert first.endswith("10000.pgm: 10000×10000 pixels, more than 64,000,000")
    assert second.endswith("20000.pgm: too many pixels to be read")
    assert "Warning" not in done.stderr


@pytest.mark.parametrize(("more", "unbuffered"), [([], ""), ([], "1"), (["--json"], "")])
def test_files_are_whole_where_nobody_reads_what_is_printed(
    model: Linear, faces: Path, more: list[str], unbuffered: str
) -> None:
    out = faces.parent / "out.csv"
    asked = ["predict", str(faces), "--model", str(model.path), "--batch-size", "1", *more]
    done = closed([*asked, "--csv", str(out)], unbuffered=unbuffered)
    assert (done.returncode, done.stderr) == (141, f"mien: {out}: 6 faces of 6 pictures\n")
    assert len(read_csv(out)) == 7


def test_where_nobody_reads_what_is_printed_and_no_file_is_wanted_it_ends(model: Linear, faces: Path) -> None:
    done = closed(["predict", str(faces), "--model", str(model.path), "--batch-size", "1"], unbuffered="1")
    assert (done.returncode, done.stderr) == (141, "")


def closed(arguments: list[str], *, unbuffered: str) -> subprocess.CompletedProcess[str]:
    """Run mien with a standard output that is closed at the other end."""
    reading, writing = os.pipe()
    os.close(reading)
    try:
        return subprocess.run(
            [sys.executable, "-m", "mien", *arguments],
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    finally:
        os.close(writing)


def test_a_packed_set_without_pyarrow_names_what_to_install(
    model: Linear, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed" / "dataset.json").touch()
    for name in ("mien.deploy.packed", "mien.data.dataset"):
        monkeypatch.delitem(sys.modules, name, raising=False)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert mien(["predict", str(tmp_path / "packed"), "--model", str(model.path)]) == 2
    assert "pip install 'mien[train]'" in capsys.readouterr().err


@pytest.mark.parametrize("option", ["--csv", "--submission"])
@pytest.mark.parametrize("what", ["picture", "model", "link to a picture"])
def test_what_is_read_is_never_written_to(
    model: Linear, faces: Path, tmp_path: Path, option: str, what: str, capsys: pytest.CaptureFixture[str]
) -> None:
    picture, link = faces / "a.png", tmp_path / "link.csv"
    link.symlink_to(picture)
    out = {"picture": picture, "model": model.path, "link to a picture": link}[what]
    before = out.read_bytes()
    assert mien(["predict", str(faces), "--model", str(model.path), option, str(out)]) == 2
    assert f"{out}: is what is looked at, and would be replaced" in " ".join(capsys.readouterr().err.split())
    assert out.read_bytes() == before


def test_one_file_for_two_kinds_of_answers_is_refused(model: Linear, faces: Path, tmp_path: Path) -> None:
    out = str(tmp_path / "a.csv")
    assert mien(["predict", str(faces), "--model", str(model.path), "--csv", out, "--submission", out]) == 2
    assert not Path(out).exists()
