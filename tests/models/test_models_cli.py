"""`mien models` as a user meets it."""

from __future__ import annotations

import json

import pytest

from mien.cli.app import run
from mien.models.zoo import ZOO


def read(capsys: pytest.CaptureFixture[str], *arguments: str) -> dict:
    assert run(["models", *arguments, "--json"]) == 0
    return json.loads(capsys.readouterr().out)


def test_the_list_names_every_network_with_its_figures(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models"]) == 0
    text = capsys.readouterr().out
    assert all(name in text for name in ZOO)
    assert "2,345,607" in text
    assert "77,326,464" in text


def test_the_list_for_machines(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.cli.models.ZOO", {"mien-s": None, "cnn7": None})
    nets = read(capsys, "--size", "48")["networks"]
    assert [net["name"] for net in nets] == ["mien-s", "cnn7"]
    assert {tuple(net["input"]) for net in nets} == {(1, 48, 48)}
    assert "layers" not in nets[0]


def test_one_network_shows_options_layers_and_totals(capsys: pytest.CaptureFixture[str]) -> None:
    assert run(["models", "lenet5-fer"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["convs.2.pool.pool", "MaxPool2d", "128×6×6", "0", "0", "43", "8"] in lines
    assert ["heads.0", "Linear", "7", "3,591", "3,584", "all"] in lines
    assert ["all", "2,935,367", "94,785,024"] in lines
    assert any(line[:2] == ["norm", "batch"] for line in lines)


def test_size_channels_and_options_change_the_network(capsys: pytest.CaptureFixture[str]) -> None:
    settings = ("--size", "40", "--channels", "3", "--set", "widths=8,16", "--set", "blocks=0,1", "-s", "dropout=0")
    net = read(capsys, "mien-s", *settings)
    assert net["input"] == [3, 40, 40]
    assert net["options"] == {"widths": [8, 16], "blocks": "0,1", "dropout": 0}
    assert net["layers"][1] == {
        "name": "backbone.stages.0.0.conv",
        "kind": "Conv2d",
        "shape": [8, 40, 40],
        "parameters": 216,
        "multiply_adds": 216 * 1600,
        "receptive_field": 3,
        "stride": 1,
    }
    assert net["parameters"] == sum(layer["parameters"] for layer in net["layers"])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("mien-xl",), "did you mean"),
        (("mien-s", "--set", "droput=0.1"), "did you mean 'dropout'"),
        (("mien-s", "--set", "dropout"), "not of the form"),
        (("emotion-net", "--size", "20"), "at least 24×24"),
        (("mien-s", "--channels", "2"), "1 or 3 channels"),
        (("cliquenet", "--set", "blocks=7"), "fewer stages, or larger pictures"),
    ],
)
def test_wrong_use_ends_with_2_and_a_way_out(
    capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], message: str
) -> None:
    assert run(["models", *arguments]) == 2
    assert message in capsys.readouterr().err
