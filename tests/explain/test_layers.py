"""What is shown of the inside of a net."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from mien.explain.show_layers import activations
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
