"""What is shown of the inside of a net."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from mien.data.dataset import Dataset
from mien.evaluate.answerer import TorchAnswerer
from mien.explain import show_layers
from mien.explain.show_layers import activations
from mien.explain.subject import subject
from mien.models.store import load_classifier


def test_each_layer_keeps_what_it_gave_though_the_next_works_in_place(weights: Path) -> None:
    classifier, _ = load_classifier(weights)
    image = np.random.default_rng(0).integers(0, 256, (24, 24)).astype(np.uint8)
    found = activations(classifier, image)
    norms = [name for name in found if name.endswith("norm")]
    acts = [name for name in found if name.endswith("act")]
    assert norms
    assert acts
    assert all((found[name] < 0).any() for name in norms)
    assert all((found[name] >= 0).all() for name in acts)
    assert next(iter(found.values())).shape == (8, 24, 24)
    assert not any(module._forward_hooks for module in classifier.modules())


def test_a_deep_net_has_all_of_its_layers_on_pages(
    weights: Path, packed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, _ = load_classifier(weights)
    drawn: dict[str, list[str]] = {}
    monkeypatch.setattr(show_layers, "MOST", 5)
    monkeypatch.setattr(show_layers, "activation_grid", lambda _image, maps, _text: list(maps))
    monkeypatch.setattr(show_layers, "weight_histograms", lambda _classifier, _text: [])
    monkeypatch.setattr(show_layers, "save", lambda names, path: drawn.update({path.name: names}))
    stale = tmp_path / "layers" / "activations-99.png"
    stale.parent.mkdir()
    stale.touch()
    of = subject(TorchAnswerer(classifier), classifier, packed)
    [first, _] = show_layers.write(of, tmp_path, lambda *_: None)
    pages = [names for file, names in sorted(drawn.items()) if file.startswith("activations-")]
    assert [name for names in pages for name in names] == list(activations(classifier, of.images(np.array([0]))[0]))
    assert all(len(names) <= 5 for names in pages)
    assert len(drawn["activations.png"]) == 5
    assert f"5 of {sum(map(len, pages))} layers; all of them on {len(pages)} pages" in first.text
    assert not stale.exists()


def test_that_no_layer_has_places_is_said(
    weights: Path, packed: Dataset, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    classifier, _ = load_classifier(weights)
    monkeypatch.setattr(show_layers, "activations", lambda *_: {})
    monkeypatch.setattr(show_layers, "save", lambda *_: None)
    stale = tmp_path / "layers" / "activations-01.png"
    stale.parent.mkdir()
    stale.touch()
    [shown] = show_layers.write(subject(TorchAnswerer(classifier), classifier, packed), tmp_path, lambda *_: None)
    assert "No activations are drawn: no layer of this net has places" in shown.text
    assert not stale.exists()  # of an earlier net
