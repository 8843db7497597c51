"""The page of a run: what its folder holds, in one file, with a word on what is not there."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

import numpy as np
import pytest
import tomli_w
from PIL import Image

from mien.cli.app import run as mien
from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.files import write_json, write_text
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.report.found import read_diagnosis, read_drawings
from mien.report.over_training import Spread, read_spreads
from mien.report.run_page import run_context, write_run_report
from mien.train.events import EventFile
from mien.train.histograms import histogram

VERDICT = {
    "name": "overfitting",
    "title": "It learns by <heart>",
    "what": "Validation turned.",
    "evidence": "loss 0.9 to 1.4",
    "confidence": "high",
    "severity": "severe",
    "try_first": "mien resume",
    "expected_gain": None,
    "epoch": 2,
}


def text_of(run: RunDir) -> str:
    write_run_report(run)
    return run.report.read_text(encoding="utf-8")


def test_the_page_shows_the_figures_of_the_evaluation(folder: RunDir) -> None:
    text = text_of(folder)
    told = json.loads((folder.evaluation / "metrics.json").read_text())["scores"]["labels"]
    _, metrics = run_context(folder)
    assert metrics is not None
    assert metrics.accuracy == told["accuracy"] == 16 / 21
    assert [list(row) for row in metrics.confusion] == told["confusion"]
    assert metrics.log_loss == pytest.approx(told["log_loss"])
    assert "16 of 21 pictures of tiny (val) were given the label they carry" in text
    assert text.count('src="data:image/png;base64,') == 14 + 5


def test_the_page_holds_recipe_environment_data_and_curves(folder: RunDir) -> None:
    text = text_of(folder)
    fingerprint = json.loads(folder.data.read_text())["fingerprint"]
    for part in (
        "<dt>train.epochs</dt><dd>77</dd>",
        "<dt>packages.torch</dt><dd>9.9.9</dd>",
        "<dt>amx_bf16</dt><dd>no</dd>",
        f"<dt>Fingerprint</dt><dd>{fingerprint}</dd>",
        "The weights of epoch 2 of 3 were kept",
    ):
        assert part in text
    assert text.count("<svg") == 2


def test_the_page_loads_nothing_and_needs_no_script(folder: RunDir) -> None:
    write_json(folder.diagnosis, {"format": 1, "verdicts": [VERDICT], "healthy": False, "facts": {}})
    text = text_of(folder)
    assert not re.findall(r'(?:src|href)="(?!data:|#)[^"]*"', text)
    assert not re.findall(r"@import|<link|<script|url\((?!#)|\son\w+=", text)


def test_the_same_run_gives_the_same_bytes(folder: RunDir) -> None:
    assert text_of(folder) == text_of(folder)


def test_what_is_missing_is_named_with_its_command(folder: RunDir) -> None:
    text = text_of(folder)
    assert f"<pre>mien diagnose {folder.path}</pre>" in text
    assert f"<pre>mien explain {folder.path}</pre>" in text
    assert "mien eval" not in text


def test_a_run_without_an_evaluation_has_a_page_with_its_curves(folder: RunDir) -> None:
    (folder.evaluation / "metrics.json").unlink()
    written = write_run_report(folder)
    text = folder.report.read_text(encoding="utf-8")
    assert written.metrics is None
    assert f"<pre>mien eval {folder.path} DATA</pre>" in text
    assert "How training went" in text
    assert "Label by label" not in text


def test_verdicts_are_told_in_order_and_their_epochs_marked(folder: RunDir) -> None:
    second = VERDICT | {"title": "Second", "severity": "note", "epoch": None, "expected_gain": "+0.5 points"}
    third = VERDICT | {"title": "Third", "epoch": 3}
    write_json(folder.diagnosis, {"format": 1, "verdicts": [VERDICT, third, second], "healthy": False, "facts": {}})
    text = text_of(folder)
    assert "2 verdicts, the most important first; 1 note." in text
    assert text.index("Third") < text.index("Notes, no faults") < text.index("Second")
    assert "1 · It learns by &lt;heart&gt;" in text
    assert text.index("1 · It") < text.index("2 · Third") < text.index("3 · Second")
    assert "Gain to expect: +0.5 points" in text
    assert "Epoch 2, marked 1 in the curves" in text
    curves = text[text.index("<svg") : text.index("</svg>")]
    assert ">kept, 1</text>" in curves
    assert ">2</text>" in curves
    assert "mien diagnose" not in text


def test_a_run_with_notes_alone_is_healthy(folder: RunDir) -> None:
    note = VERDICT | {"severity": "note"}
    write_json(folder.diagnosis, {"format": 1, "verdicts": [note], "healthy": True, "facts": {}})
    text = text_of(folder)
    assert "Nothing found but 1 note: by all that was looked at, this run is healthy." in text
    assert text.count("Notes, no faults") == 1


def test_a_healthy_run_is_told_so(folder: RunDir) -> None:
    write_json(folder.diagnosis, {"format": 1, "verdicts": [], "healthy": True, "facts": {}})
    assert "Nothing found: by all that was looked at, this run is healthy." in text_of(folder)


@pytest.mark.parametrize(
    ("facts", "told"),
    [
        ({"format": 2, "verdicts": [], "healthy": True}, "format: Input should be 1"),
        ({"format": 1, "verdicts": [{"title": "x"}], "healthy": True}, r"verdicts\.0\.what: Field required"),
    ],
)
def test_a_damaged_diagnosis_names_the_key(folder: RunDir, facts: dict[str, object], told: str) -> None:
    write_json(folder.diagnosis, facts)
    with pytest.raises(MienError, match=rf"diagnosis\.json: {told}"):
        read_diagnosis(folder)


def test_pictures_that_explain_are_inside_the_page_by_group(folder: RunDir) -> None:
    Image.new("L", (300, 3)).save(_made(folder.path / "explain" / "attention" / "a.png"))
    entry = {"title": "Mouth", "text": "decides.", "file": "attention/a.png", "group": "attention"}
    write_json(folder.path / "explain" / "index.json", [entry])
    text = text_of(folder)
    assert "<h3>Attention</h3>" in text
    assert "<b>Mouth</b> decides." in text
    assert '<figure style="width:200px">' in text  # drawn with 144 px an inch, of which CSS has 96
    assert text.count('src="data:image/png;base64,') == 14 + 5 + 1


@pytest.mark.parametrize("file", ["../recipe.toml", "../../secret.png", "a.html", "/etc/hostname", "none.png"])
def test_an_index_cannot_bring_in_other_files(folder: RunDir, file: str) -> None:
    (folder.path.parent / "secret.png").write_bytes(b"secret")
    index = _made(folder.path / "explain" / "index.json")
    write_json(index, [{"title": "t", "text": "", "file": file, "group": "layers"}])
    with pytest.raises(MienError, match=r"no picture in this folder|cannot be read"):
        read_drawings(folder)


def test_pictures_come_only_from_the_set_that_was_measured(folder: RunDir, tmp_path: Path) -> None:
    facts = json.loads((folder.evaluation / "metrics.json").read_text())
    facts["dataset"]["fingerprint"] = "f" * 64
    write_json(folder.evaluation / "metrics.json", facts)
    assert 'src="data:image' not in text_of(folder)
    with pytest.raises(MienError, match="not the set that was measured"):
        write_run_report(folder, data=tmp_path / "packed")


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match="not a run folder"):
        write_run_report(RunDir(tmp_path))


def test_the_verb(folder: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mien(["report", str(folder.path)]) == 0
    told = capsys.readouterr().out
    assert "76.2" in told
    assert len(told.splitlines()) < 10
    write_json(folder.diagnosis, {"format": 1, "verdicts": [VERDICT, VERDICT], "healthy": False, "facts": {}})
    assert mien(["report", str(folder.path)]) == 0
    told = capsys.readouterr().out
    assert told.count("It learns by <heart>. Validation turned.\n  → mien resume\n") == 1
    assert len(told.splitlines()) < 10
    folder.diagnosis.unlink()
    assert mien(["report", str(folder.path), "--json", "--out", str(tmp_path / "other.html")]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["accuracy"] == 16 / 21
    assert facts["bytes"] == (tmp_path / "other.html").stat().st_size
    assert len(facts["missing"]) == 2


def _made(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    return path


def with_histograms(run: RunDir, *deviations: float) -> None:
    """An event file with a layer's weights and activations, of so many epochs, and a tensor that is no kernel."""
    write_text(run.history, "epoch,step,val_loss,val_accuracy\n1,10,1.5,0.3\n2,20,1.2,0.5\n3,30,1.4,0.4\n")
    rng = np.random.default_rng(0)
    file = EventFile(run.path, last=0)
    for epoch, deviation in enumerate(deviations, 1):
        values = rng.normal(0, deviation, 500)
        tags = ("weights/backbone.conv.weight", "weights/backbone.norm.weight", "activations/backbone.conv")
        file.add(10 * epoch, [{"tag": tag, "histo": histogram(values)} for tag in tags])


def test_histograms_over_training_are_in_the_page(folder: RunDir) -> None:
    with_histograms(folder, 1.0, 0.5, 0.25)
    found = read_spreads(folder)
    assert {kind: list(layers) for kind, layers in found.items()} == {
        "weights": ["backbone.conv"],
        "activations": ["backbone.conv"],
    }
    told = found["weights"]["backbone.conv"]
    assert [one.epoch for one in told] == [1, 2, 3]
    assert [one.deviation for one in told] == pytest.approx([1, 0.5, 0.25], rel=0.1)
    low, high = told[0].ends()
    assert -4 < low < -2
    assert 2 < high < 4
    text = text_of(folder)
    assert "<h3>Over training</h3>" in text
    assert "Changed most: conv, deviation 0.9" in text or "Changed most: conv, deviation 1" in text
    assert text.count('src="data:image/png;base64,') == 14 + 5 + 2


def test_a_drawing_that_may_be_tall_scrolls_in_a_box_of_its_own(folder: RunDir) -> None:
    write_text(folder.path / "explain" / "a.svg", "<svg/>")
    entry = {"title": "Net", "text": "", "file": "a.svg", "group": "architecture"}
    write_json(folder.path / "explain" / "index.json", [entry])
    assert '<figure><div class="tall"><img src="data:image/svg+xml;base64,PHN2Zy8+"' in text_of(folder)


def test_one_epoch_of_histograms_makes_no_picture(folder: RunDir) -> None:
    with_histograms(folder, 1.0)
    assert "Over training" not in text_of(folder)


def test_a_hill_stands_where_its_values_are() -> None:
    spread = Spread(1, -1.0, 0.5, np.array([0.0, 100, 0, 0]), 0.1)
    assert spread.ends() == (-0.5, 0.0)


def test_few_values_stand_in_few_bins_that_cover_the_same() -> None:
    counts = np.ones(64)
    smooth = Spread(1, -1.0, 0.5, counts, 0.1).smoother()
    assert (len(smooth.counts), smooth.width, smooth.low) == (8, 4.0, -1.0)
    assert smooth.counts.sum() == 64
    assert len(Spread(1, 0.0, 0.5, 30 * counts, 0.1).smoother().counts) == 64


def test_a_folder_that_is_no_packed_set_any_more_costs_the_pictures_alone(folder: RunDir, tmp_path: Path) -> None:
    for file in (tmp_path / "packed").iterdir():
        file.unlink()
    assert 'src="data:image' not in text_of(folder)
    with pytest.raises(MienError, match=r"packed: not a packed data set\n.*mien data import"):
        write_run_report(folder, data=tmp_path / "packed")


def tell(run: RunDir, name: str = "", **facts: object) -> None:
    """What else the run's evaluation says of itself; with a name, that of a second one in that folder of eval/."""
    own = json.loads((run.evaluation / "metrics.json").read_text())
    write_json(run.evaluation / name / "metrics.json", own | facts)


def test_augmented_figures_stand_beside_the_plain_ones_of_the_same(folder: RunDir) -> None:
    tell(folder, "flip", tta="flip")
    tell(folder, "flip-shift", tta="flip-shift", split="test")
    tell(folder, "mine", tta="flip", weights={"which": "best", "answers": "x"})
    tell(folder, "plain")
    text = text_of(folder)
    assert "With test-time augmentation flip: 76.2\u00a0% (54.9 to 89.4\u00a0%)." in text
    assert text.count("With test-time augmentation") == 1


def test_augmented_figures_in_place_of_the_plain_ones_are_left_out(
    folder: RunDir, capsys: pytest.CaptureFixture[str]
) -> None:
    tell(folder, tta="flip")
    assert mien(["report", str(folder.path), "--json"]) == 0
    facts = json.loads(capsys.readouterr().out)
    assert facts["accuracy"] is None
    assert facts["missing"][0] == f"mien eval {folder.path} DATA --split val"
    assert "is with test-time augmentation flip, in place of the plain one; it is left out" in folder.report.read_text()


def test_what_training_did_with_the_pictures_is_said_as_in_a_comparison(folder: RunDir) -> None:
    chose = "The run chose the epoch on these pictures, which makes the accuracy a little high."
    last = "Measured with the last weights."
    text = text_of(folder)
    assert chose in text
    assert last not in text
    tell(folder, weights={"which": "last", "answers": "x"})
    text = text_of(folder)
    assert chose not in text
    assert last in text
    tell(folder, weights=None)
    told = json.loads(folder.data.read_text())
    write_json(folder.data, told | {"fingerprint": "f" * 64})
    text = text_of(folder)
    assert chose not in text
    assert "It is not known whether these pictures chose the epoch." in text
    write_json(folder.data, told)
    write_text(folder.recipe, tomli_w.dumps(recipes.to_tree(recipes.read("mien-s", ["data.train_on_val=true"]))))
    text = text_of(folder)
    assert chose not in text
    assert "The run trained on these pictures or some of them, so that its figure is no measure." in text


def test_the_figure_without_copies_is_told(folder: RunDir) -> None:
    scores = json.loads((folder.evaluation / "metrics.json").read_text())["scores"]
    free = {"copies": 3, "copies_accuracy": 1.0, "accuracy": 0.7, "accuracy_interval": {"low": 0.5, "high": 0.9}}
    tell(folder, scores={"labels": scores["labels"] | {"leak_free": free}})
    told = "3 pictures have a copy in training (100.0\u00a0% of them right). Without them the figure is 70.0\u00a0% ("
    assert told in text_of(folder)


def test_a_run_on_votes_alone_has_a_page(folder: RunDir) -> None:
    rows = "1,nan,nan,nan,nan,0.3\n2,nan,nan,nan,nan,0.4\n3,nan,nan,nan,nan,0.5\n"
    columns = "epoch,train_eval_loss,train_eval_accuracy,val_loss,val_accuracy,val_ferplus_accuracy"
    write_text(folder.history, f"{columns}\n{rows}")
    write_json(folder.data, json.loads(folder.data.read_text()) | {"counts": {"val": {"happy": 20}}})
    assert "The weights of epoch 3 of 3 were kept." in text_of(folder)


def test_pictures_without_a_label_are_none_behind_an_accuracy(folder: RunDir) -> None:
    write_json(folder.data, json.loads(folder.data.read_text()) | {"counts": {"val": {"happy": 20, "(no label)": 30}}})
    curves = run_context(folder)[0].curves
    assert curves is not None
    assert curves.val_count == 20


def test_where_nothing_can_be_written_is_said_before_the_run_is_read(
    folder: RunDir, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.cli.report.write_run_report", lambda *_, **__: pytest.fail("read already"))
    assert mien(["report", str(folder.path), "--out", str(tmp_path)]) == 2
    assert "is a folder" in capsys.readouterr().err
    assert mien(["report", str(folder.path), "--out", str(folder.recipe)]) == 2
    assert "recipe.toml: does not end in .html" in capsys.readouterr().err


def test_pictures_of_a_set_that_nothing_was_measured_on_are_refused(folder: RunDir, bar_set: Dataset) -> None:
    shutil.rmtree(folder.evaluation)
    with pytest.raises(MienError, match=r"no evaluation of its weights(.|\n)*mien eval"):
        write_run_report(folder, data=bar_set.path)
    assert not folder.report.exists()


def test_training_is_told_as_the_diagnosis_sees_it(folder: RunDir) -> None:
    write_text(
        folder.history,
        "epoch,val_loss,val_accuracy,train_eval_accuracy\n1,1.5,0.3,0.3\n2,1.2,0.5,0.95\n3,1.4,0.4,0.96\n",
    )
    write_json(folder.data, json.loads(folder.data.read_text()) | {"counts": {"val": {"happy": 2000}}})
    by_heart = "it partly knows them by heart"
    for name, told in (
        ("overfitting", by_heart),
        ("too-short", "45.0 points better. The diagnosis says first: It lea"),
    ):
        verdict = VERDICT | {"name": name}
        write_json(folder.diagnosis, {"format": 1, "verdicts": [verdict], "healthy": False, "facts": {}})
        text = text_of(folder)
        assert told in text
        assert (by_heart in text) == (name == "overfitting")


def test_an_interrupted_training_is_said_to_be_one(folder: RunDir) -> None:
    assert "Epoch 3 of 77: the training was interrupted, or still goes on." in text_of(folder)
    early = ["train.epochs=77", "stopping.patience_epochs=1"]
    write_text(folder.recipe, tomli_w.dumps(recipes.to_tree(recipes.read("mien-s", early))))
    assert "was interrupted" not in text_of(folder)
    write_text(folder.recipe, tomli_w.dumps(recipes.to_tree(recipes.read("mien-s", ["train.epochs=3"]))))
    assert "was interrupted" not in text_of(folder)
