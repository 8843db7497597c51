"""Which parameter is decayed by how much, and state that can be put back."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.core.recipe import OptimiserConfig
from mien.train.average import Ema
from mien.train.optim import build_optimiser, groups, load_state_tensors, state_tensors


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    return net.to(memory_format=torch.channels_last)


def decays(config: OptimiserConfig) -> dict[str, float]:
    model = net()
    by_id = {id(p): g["weight_decay"] for g in groups(model, config) for p in g["params"]}
    return {name: by_id[id(p)] for name, p in model.named_parameters()}


def test_norms_and_biases_are_not_decayed_unless_asked() -> None:
    assert decays(OptimiserConfig(weight_decay=0.1)) == {
        "0.weight": 0.1,
        "0.bias": 0,
        "1.weight": 0,
        "1.bias": 0,
        "2.weight": 0.1,
        "2.bias": 0,
    }
    assert set(decays(OptimiserConfig(weight_decay=0.1, decay_norms_and_biases=True)).values()) == {0.1}


def test_l2_on_chosen_layers_wins_over_the_general_decay() -> None:
    found = decays(OptimiserConfig(weight_decay=0.1, l2={"2.weight": 0.5}))
    assert found["2.weight"] == 0.5
    assert found["0.weight"] == 0.1


def test_l2_on_a_layer_that_is_not_there_names_the_layers() -> None:
    with pytest.raises(MienError, match=r"no parameter has 'dense'(.|\n)*0\.weight"):
        groups(net(), OptimiserConfig(l2={"dense": 0.5}))


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw"])
def test_an_optimiser_goes_on_from_its_saved_state_as_if_it_had_never_stopped(name: str) -> None:
    config = OptimiserConfig(name=name, learning_rate=0.1, weight_decay=0.01)
    data = torch.randn(8, 3, 6, 6, generator=torch.Generator().manual_seed(1))

    def steps(model: nn.Module, optimiser: torch.optim.Optimizer, n: int) -> None:
        for _ in range(n):
            optimiser.zero_grad()
            model(data).square().mean().backward()
            optimiser.step()

    straight = convolutions()
    steps(straight, build_optimiser(straight, config), 6)
    first = convolutions()
    optimiser = build_optimiser(first, config)
    steps(first, optimiser, 3)
    second = convolutions()
    second.load_state_dict(first.state_dict())
    resumed = build_optimiser(second, config)
    load_state_tensors(resumed, {k: v.clone().contiguous() for k, v in state_tensors(optimiser).items()})
    steps(second, resumed, 3)
    for a, b in zip(straight.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


def test_averages_follow_their_definition_for_weights_and_norm_statistics() -> None:
    model = net()
    ema = Ema(model, 0.5)
    start = {k: v.clone() for k, v in model.state_dict().items()}
    with torch.no_grad():
        for p in model.parameters():
            p += 1
        model[1].running_mean += 4
        model[1].num_batches_tracked += 3
    ema.update(model)
    keep = min(0.5, 2 / 11)
    torch.testing.assert_close(ema.state["0.weight"], start["0.weight"] + (1 - keep))
    torch.testing.assert_close(ema.state["1.running_mean"], start["1.running_mean"] + 4 * (1 - keep))
    assert ema.state["1.num_batches_tracked"] == 3
