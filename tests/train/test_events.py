"""Event files: the history's figures, weights, pictures; a kill and a resume neither lose nor repeat a step."""

from __future__ import annotations

import csv
import importlib.util
import io
import json
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from mien.core.recipe import Recipe
from mien.core.rundir import RunDir
from mien.data.dataset import Dataset
from mien.data.formats.event_proto import message_class, read_events
from mien.models.graph import trace
from mien.models.store import load_classifier
from mien.train.event_graph import graph_def
from mien.train.events import EventFile, sheet
from mien.train.histograms import BINS, VALUES, activations, histogram, is_due
from mien.train.machine import Machine
from mien.train.run import resume, train

Small = Callable[..., Recipe]


def events(folder: Path) -> list[Any]:
    [file] = folder.glob("events.*")
    return list(read_events(file))


def scalars_of(folder: Path) -> dict[int, dict[str, float]]:
    told = {
        e.step: {v.tag: v.simple_value for v in e.summary.value if v.WhichOneof("what") == "simple_value"}
        for e in events(folder)
    }
    return {step: values for step, values in told.items() if values}


def test_a_training_writes_its_history_weights_and_pictures(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path
) -> None:
    train(bar_set, small(), tmp_path / "run", watched())
    with RunDir(tmp_path / "run").history.open() as file:
        rows = list(csv.DictReader(file))
    told = scalars_of(tmp_path / "run")
    assert list(told) == [int(row["step"]) for row in rows]
    for row in rows:
        values = told[int(row["step"])]
        assert len(values) == len(row) - 1
        assert values["val/accuracy"] == np.float32(row["val_accuracy"])
        assert values["train/loss"] == np.float32(row["train_loss"])
        assert values["training/learning_rate"] == np.float32(row["learning_rate"])
    first, graph, pictures, *epochs = events(tmp_path / "run")
    assert first.file_version == "brain.Event:2"
    with Image.open(io.BytesIO(pictures.summary.value[0].image.encoded_image_string)) as picture:
        assert picture.size == (8 * 24, 4 * 24)
    assert graph.WhichOneof("what") == "graph_def"
    for event in epochs:  # of four epochs all have histograms
        histos = {v.tag: v.histo for v in event.summary.value if v.WhichOneof("what") == "histo"}
        assert histos["weights/backbone.stages.1.0.conv.weight"].num == 8 * 8 * 9
        assert histos["activations/backbone.stages.1.0.conv"].num > 0
        assert "activations/heads.0" in histos


def test_histograms_are_kept_of_about_twenty_epochs_the_first_and_the_last_among_them() -> None:
    assert [epoch for epoch in range(1, 4) if is_due(epoch, 3)] == [1, 2, 3]
    kept = [epoch for epoch in range(1, 101) if is_due(epoch, 100)]
    assert kept == [1, *range(5, 101, 5)]
    assert is_due(37, 37)


def test_the_graph_is_that_of_the_net_with_scopes_and_shapes(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path
) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "run", watched())
    [told] = [e.graph_def for e in events(tmp_path / "run") if e.WhichOneof("what") == "graph_def"]
    graph = message_class("GraphDef").FromString(told)
    classifier, _ = load_classifier(RunDir(tmp_path / "run").best)
    assert told == graph_def(trace(classifier, (1, 24, 24)))
    by_name = {node.name: node for node in graph.node}
    assert len(by_name) == len(graph.node)
    assert all(source in by_name for node in graph.node for source in node.input)
    total = by_name["backbone/stages/1/1/add"]
    assert list(total.input) == ["backbone/stages/1/0/act", "backbone/stages/1/1/branch/0/act"]
    [shapes] = [attr.value.list.shape for attr in total.attr if attr.key == "_output_shapes"]
    assert [dim.size for dim in shapes[0].dim] == [-1, 8, 10, 10]
    counted = sum(attr.value.i for node in graph.node for attr in node.attr if attr.key == "parameters")
    assert counted == sum(p.numel() for p in classifier.parameters())


_WITH_TENSORFLOW = """
import json, sys
import tensorflow as tf
from tensorflow.core.framework import graph_pb2
told = {"tags": set(), "ops": [], "shapes": [], "histograms": []}
for event in tf.compat.v1.train.summary_iterator(sys.argv[1]):
    if event.WhichOneof("what") == "graph_def":
        graph = graph_pb2.GraphDef.FromString(event.graph_def)
        told["ops"] = [node.op for node in graph.node]
        told["shapes"] = [[d.size for d in node.attr["_output_shapes"].list.shape[0].dim] for node in graph.node]
    for value in event.summary.value:
        told["tags"].add(value.tag)
        if value.HasField("histo"):
            told["histograms"].append([value.histo.num, sum(value.histo.bucket)])
print(json.dumps(told | {"tags": sorted(told["tags"])}))
"""


@pytest.mark.skipif(importlib.util.find_spec("tensorflow") is None, reason="tensorflow is not installed")
def test_tensorflows_own_messages_read_graph_histograms_and_scalars(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path
) -> None:
    train(bar_set, small(train={"epochs": 1}), tmp_path / "run", watched())
    [file] = (tmp_path / "run").glob("events.*")
    done = subprocess.run(
        [sys.executable, "-c", _WITH_TENSORFLOW, str(file)], capture_output=True, text=True, check=True
    )
    told = json.loads(done.stdout.splitlines()[-1])
    assert {"val/accuracy", "pictures/val", "activations/heads.0"} <= set(told["tags"])
    assert told["ops"][0] == "pictures"
    assert told["ops"].count("add") == 3
    assert told["shapes"][:2] == [[-1, 1, 24, 24], [-1, 1, 20, 20]]
    assert told["histograms"]
    assert all(num == bucket > 0 for num, bucket in told["histograms"])


def test_activations_are_those_of_the_layers_for_few_pictures_and_leave_the_net_alone(small: Small) -> None:
    net = torch.nn.Sequential(torch.nn.Conv2d(1, 4, 3), torch.nn.ReLU(inplace=True), torch.nn.Dropout(0.5))
    images = torch.randint(0, 256, (70, 1, 40, 40)).float()
    machine = Machine(small().train)
    [one] = activations(net, images, machine)
    assert one["tag"] == "activations/0"
    with torch.no_grad():
        whole = net[0](images[:64])
    assert one["histo"]["num"] <= VALUES
    assert one["histo"]["min"] >= float(whole.min())
    assert one["histo"]["sum"] / one["histo"]["num"] == pytest.approx(
        float(whole.mean()), abs=0.05 * float(whole.std())
    )
    assert one["histo"]["min"] < 0  # not what the activation function made of it in place
    assert net.training
    assert not net[0]._forward_hooks


@pytest.mark.parametrize("steps", [5, 16])
def test_a_killed_and_resumed_run_has_the_events_of_one_never_killed(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path, steps: int
) -> None:
    recipe = small(train={"checkpoint_minutes": 1e-9, "epochs": 3})
    train(bar_set, recipe, tmp_path / "straight", watched())
    run = tmp_path / "killed"
    with pytest.raises(KeyboardInterrupt):
        train(bar_set, recipe, run, watched(steps))
    [file] = run.glob("events.*")
    with file.open("ab") as open_file:
        open_file.write(b"a record that a kill has cut off")
    resume(RunDir(run), bar_set, watched())
    assert [e.step for e in events(run)] == [e.step for e in events(tmp_path / "straight")]
    assert scalars_of(run) == scalars_of(tmp_path / "straight")


def test_lost_events_come_back_from_the_history(
    bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path
) -> None:
    train(bar_set, small(train={"epochs": 2}), tmp_path / "run", watched())
    before = scalars_of(tmp_path / "run")
    [file] = (tmp_path / "run").glob("events.*")
    file.unlink()
    resume(RunDir(tmp_path / "run"), bar_set, watched())
    assert scalars_of(tmp_path / "run") == before


def test_they_can_be_switched_off(bar_set: Dataset, small: Small, watched: type[Any], tmp_path: Path) -> None:
    train(bar_set, small(train={"epochs": 1, "events": False}), tmp_path / "run", watched())
    assert not list((tmp_path / "run").glob("events.*"))


def test_a_resume_from_an_earlier_state_drops_later_steps_into_a_later_file(tmp_path: Path) -> None:
    old = EventFile(tmp_path, last=0)
    for step in (8, 16, 24):
        old.add(step, [{"tag": "a", "simple_value": 0.0}])
    untouched = EventFile(tmp_path, last=24)
    assert untouched.path == old.path
    assert untouched.steps == {8, 16, 24}
    new = EventFile(tmp_path, last=16)
    assert new.path.name > old.path.name
    assert not old.path.exists()
    assert [e.step for e in events(tmp_path)] == [0, 8, 16]
    assert events(tmp_path)[1].summary.value[0].WhichOneof("what") == "simple_value"


def test_a_histogram_holds_every_finite_value() -> None:
    made = histogram(np.array([[0.0, 1.0], [3.0, np.nan]]))
    assert (made["num"], made["sum"], made["sum_squares"], made["min"], made["max"]) == (3, 4, 10, 0, 3)
    assert sum(made["bucket"]) == 3
    assert len(made["bucket"]) == len(made["bucket_limit"]) == BINS
    assert made["bucket_limit"][-1] == 3
    assert histogram(np.array([np.inf])) == {}


def test_a_sheet_of_few_colour_pictures_is_black_where_there_are_none() -> None:
    made = sheet(torch.full((1, 3, 5, 6), 200, dtype=torch.uint8))
    with Image.open(io.BytesIO(made["encoded_image_string"])) as picture:
        assert picture.size == (48, 20)
        assert picture.getpixel((5, 4)) == (200, 200, 200)
        assert picture.getpixel((6, 4)) == (0, 0, 0)
