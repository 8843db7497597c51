"""What the plots of an evaluation show."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.deploy import fonts
from mien.evaluate import lettering, plots
from mien.evaluate.metrics import Metrics, measure


def metrics(ids: list[int], answers: list[int], classes: int, *, sure: float = 0.8) -> Metrics:
    p = np.full((len(ids), classes), (1 - sure) / (classes - 1))
    p[np.arange(len(ids)), answers] = sure
    return measure(np.array(ids), p, [f"c{i}" for i in range(classes)])


def words(figure: plots.Figure) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def test_cells_hold_percent_of_the_row_and_number() -> None:
    figure = plots.confusion(metrics([0, 0, 0, 0, 1], [0, 0, 0, 1, 1], 2), "title")
    assert words(figure) == ["75", "3", "25", "1", "·", "100", "1"]
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_yticklabels()] == ["c0 (4)", "c1 (1)"]
    np.testing.assert_allclose(axes.images[0].get_array(), [[0.75, 0.25], [0, 1]])


def test_a_class_without_pictures_has_a_dash() -> None:
    figure = plots.confusion(metrics([0, 0], [0, 2], 3), "title")
    assert words(figure) == ["50", "1", "·", "50", "1", "·", "–", "0", "·", "·", "·", "–", "0"]


def test_many_classes_are_shown_by_colour_alone() -> None:
    ids = list(range(plots.MOST_NUMBERED + 1))
    assert words(plots.confusion(metrics(ids, ids, len(ids)), "title")) == []


def test_numbers_stand_out_from_their_cell(tmp_path: Path) -> None:
    figure = plots.confusion(metrics([0, 0, 1, 1], [0, 1, 1, 1], 2), "title")
    half, _, _, _, _, full, _ = figure.axes[0].texts
    assert (half.get_color(), full.get_color()) == (plots.INK, "white")
    plots.save(figure, tmp_path / "plots" / "confusion.png")
    with Image.open(tmp_path / "plots" / "confusion.png") as picture:
        assert picture.format == "PNG"
    assert [p.name for p in (tmp_path / "plots").iterdir()] == ["confusion.png"]


@pytest.mark.parametrize(("pictures", "solid"), [(9, False), (10, True)])
def test_a_bin_is_a_point_at_its_confidence_and_accuracy(pictures: int, *, solid: bool) -> None:
    figure = plots.reliability(metrics([0] * pictures, [0, 0, 0, 1] * 2 + [0] * (pictures - 8), 2), "title")
    upper, lower = figure.axes
    _diagonal, point = upper.lines
    assert point.get_xydata()[0] == pytest.approx([0.8, 1 - 2 / pictures])
    assert (point.get_markerfacecolor() == plots.BLUE) is solid
    assert [bar.get_height() for bar in lower.patches if bar.get_height()] == [pictures]


def named(*names: str) -> Metrics:
    ids = np.arange(len(names))
    return measure(ids, np.eye(len(names)) * 0.8 + 0.2 / len(names), names)


def test_names_with_a_dollar_are_no_formulas(tmp_path: Path) -> None:
    metrics = named("$x_{1", "a$", "b$")
    for name, figure in (("c", plots.confusion(metrics, "$a_{ $")), ("r", plots.reliability(metrics, "$a_{ $"))):
        plots.save(figure, tmp_path / f"{name}.png")
    labels = plots.confusion(metrics, "t").axes[0].get_yticklabels()
    assert [label.get_text() for label in labels] == [r"\$x_{1 (1)", r"a\$ (1)", r"b\$ (1)"]


def test_letters_come_from_a_font_that_has_them(tmp_path: Path) -> None:
    """Without one, matplotlib warns, which is an error here; so would every box in a picture be."""
    names = ("快乐", "悲伤", "happy")
    plots.save(plots.confusion(named(*names), "数据 · val"), tmp_path / "c.png")
    assert lettering.shown(("ärger", "→")) == ("ärger", "→")
    assert lettering.key(("ärger", "happy")) == ""


def test_labels_that_no_font_has_are_numbered_and_the_key_says_which(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lettering, "font_file", lambda _letters: None)
    monkeypatch.setattr(fonts, "font_file", lambda *_, **__: None)
    names = ("happy", "悲伤", "快乐")
    assert lettering.shown(names) == ("happy", "class 1", "class 2")
    assert lettering.key(names).endswith("In pictures class 1 is 悲伤, class 2 is 快乐.")
    assert lettering.plain("数据 · val $") == r"?? ? val \$"
    plots.save(plots.confusion(named(*names), "数据"), tmp_path / "c.png")
