"""Several models answering as one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.core.spec import Head
from mien.evaluate.answerer import TorchAnswerer
from mien.evaluate.ensemble import Ensemble
from mien.models.classifier import Classifier

Net = Callable[..., Classifier]
TWO = Head(name="pets", labels=("cat", "dog"))


def test_answers_are_the_mean_of_the_members(net: Net, pictures: np.ndarray) -> None:
    members = [TorchAnswerer(net(seed=seed)) for seed in (0, 1, 2)]
    each = [m.probabilities(pictures)["ferplus8"] for m in members]
    mean = Ensemble(members).probabilities(pictures)["ferplus8"]
    assert mean.dtype == np.float32
    np.testing.assert_allclose(mean, np.mean(each, axis=0), atol=1e-6)


def test_weights_are_shares(net: Net, pictures: np.ndarray) -> None:
    members = [TorchAnswerer(net(seed=seed)) for seed in (0, 1)]
    one, other = (m.probabilities(pictures)["fer2013"] for m in members)
    mixed = Ensemble(members, weights=(6, 2)).probabilities(pictures)["fer2013"]
    np.testing.assert_allclose(mixed, 0.75 * one + 0.25 * other, atol=1e-6)


def test_a_model_with_itself_is_itself(net: Net, pictures: np.ndarray) -> None:
    member = TorchAnswerer(net())
    pair = Ensemble([member, member])
    np.testing.assert_allclose(
        pair.probabilities(pictures)["fer2013"], member.probabilities(pictures)["fer2013"], atol=1e-7
    )
    assert pair.name == "classifier + classifier"


def test_only_heads_that_all_have_answer_and_temperatures_stay_with_the_members(net: Net, pictures: np.ndarray) -> None:
    warm = Head(name="fer2013", labels=FER2013.names, temperature=3)
    members = [TorchAnswerer(net(TWO, warm)), TorchAnswerer(net(warm, seed=1))]
    pair = Ensemble(members)
    assert [(h.name, h.temperature) for h in pair.spec.heads] == [("fer2013", 1.0)]
    assert pair.probabilities(pictures).keys() == {"fer2013"}
    each = [m.probabilities(pictures)["fer2013"] for m in members]
    np.testing.assert_allclose(pair.probabilities(pictures)["fer2013"], np.mean(each, axis=0), atol=1e-6)


def test_grey_and_colour_nets_go_together(net: Net, pictures: np.ndarray) -> None:
    pair = Ensemble([TorchAnswerer(net()), TorchAnswerer(net(channels=3))])
    np.testing.assert_allclose(pair.probabilities(pictures)["fer2013"].sum(1), 1, atol=1e-6)


def test_models_of_different_sizes_are_refused(table_of: Callable[..., Any], net: Net) -> None:
    with pytest.raises(MienError, match="different sizes: 4×4, 20×20"):
        Ensemble([TorchAnswerer(net()), table_of(fer2013=np.eye(7))])


def test_models_without_a_common_head_are_refused(net: Net) -> None:
    with pytest.raises(MienError, match=r"no head with the same labels.*pets \(2 labels\)"):
        Ensemble([TorchAnswerer(net()), TorchAnswerer(net(TWO))])


@pytest.mark.parametrize(("count", "weights"), [(0, None), (2, [1.0]), (2, [1.0, -1.0]), (1, [float("nan")])])
def test_weights_that_do_not_fit_are_refused(net: Net, count: int, weights: list[float] | None) -> None:
    member = TorchAnswerer(net())
    with pytest.raises(MienError, match="one positive weight each"):
        Ensemble([member] * count, weights=weights)
