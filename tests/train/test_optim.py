"""Which parameter is decayed by how much and learns at which rate, and state that can be put back."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from mien.core.errors import MienError
from mien.core.recipe_keys import OptimiserConfig
from mien.core.spec import Head, ModelSpec, Normalise
from mien.models.classifier import Classifier, build_classifier
from mien.train.optim import build_optimiser
from mien.train.rates import rates


def net() -> nn.Sequential:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 3), nn.BatchNorm1d(3), nn.Linear(3, 2))


def convolutions() -> nn.Sequential:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU(), nn.Conv2d(4, 2, 3))
    return net.to(memory_format=torch.channels_last)


def classifier(name: str = "mien-s", side: int = 32, **options: object) -> Classifier:
    torch.manual_seed(0)
    spec = ModelSpec(
        architecture=name,
        options=options,
        height=side,
        width=side,
        normalise=Normalise(kind="unit"),
        heads=(Head(name="toy", labels=("a", "b")),),
    )
    return build_classifier(spec).to(memory_format=torch.channels_last)


def of_groups(model: nn.Module, config: OptimiserConfig, key: str) -> dict[str, float]:
    optimiser = build_optimiser(model, config)
    by_id = {id(p): g[key] for part in optimiser.parts for g in part.param_groups for p in g["params"]}
    return {name: by_id[id(p)] for name, p in model.named_parameters()}


def test_norms_and_biases_are_not_decayed_unless_asked() -> None:
    assert of_groups(net(), OptimiserConfig(weight_decay=0.1), "weight_decay") == {
        "0.weight": 0.1,
        "0.bias": 0,
        "1.weight": 0,
        "1.bias": 0,
        "2.weight": 0.1,
        "2.bias": 0,
    }
    everywhere = OptimiserConfig(weight_decay=0.1, decay_norms_and_biases=True)
    assert set(of_groups(net(), everywhere, "weight_decay").values()) == {0.1}


def test_l2_on_chosen_layers_wins_over_the_general_decay() -> None:
    found = of_groups(net(), OptimiserConfig(weight_decay=0.1, l2={"2.weight": 0.5}), "weight_decay")
    assert found["2.weight"] == 0.5
    assert found["0.weight"] == 0.1


@pytest.mark.parametrize("key", ["l1", "l2", "rates"])
def test_a_part_of_a_name_that_is_not_there_names_the_parameters(key: str) -> None:
    with pytest.raises(MienError, match=rf"optimiser\.{key}: no parameter has 'dense'(.|\n)*0\.weight"):
        build_optimiser(net(), OptimiserConfig.model_validate({key: {"dense": 0.5}}))


def test_l1_adds_the_gradient_of_its_penalty_to_chosen_layers_only() -> None:
    model, plain = net(), net()
    for each, l1 in ((model, {"2.weight": 0.3}), (plain, {})):
        optimiser = build_optimiser(each, OptimiserConfig(learning_rate=0.1, momentum=0, nesterov=False, l1=l1))
        each(torch.ones(2, 4)).sum().backward()
        optimiser.step()
    start = net().get_parameter("2.weight")
    expected = plain.get_parameter("2.weight") - 0.1 * 0.3 * start.sign()
    torch.testing.assert_close(model.get_parameter("2.weight"), expected)
    assert torch.equal(model.get_parameter("0.weight"), plain.get_parameter("0.weight"))


@pytest.mark.parametrize(
    ("name", "more", "decoupled"),
    [
        ("adamw", {}, ("0.weight", "2.weight")),
        ("muon", {}, ("0.weight", "2.weight", "1.weight")),
        ("muon", {"rest": "sgd", "rest_learning_rate": 0.3}, ("0.weight", "2.weight")),
    ],
)
def test_l1_has_its_strength_under_optimisers_that_take_the_size_out_of_gradients(
    name: str, more: dict[str, object], decoupled: tuple[str, ...]
) -> None:
    def moved(strength: float, part: str) -> tuple[torch.Tensor, torch.Tensor]:
        """A parameter before and after one step without a gradient of its own."""
        model = net()
        before = model.get_parameter(part).detach().clone()
        l1 = {part: strength} if strength else {}
        config = OptimiserConfig.model_validate({"name": name, "l1": l1, "rates": {"2.": 0.5}, **more})
        optimiser = build_optimiser(model, config)
        optimiser.set_rate(0.1)
        (0 * model(torch.randn(8, 4, generator=seeded())).sum()).backward()
        optimiser.step()
        return before, model.get_parameter(part).detach()

    for part in decoupled:
        rate = 0.05 if part.startswith("2.") else 0.1
        for strength in (0.01, 0.1):
            before, after = moved(strength, part)
            still = moved(0, part)[1]
            torch.testing.assert_close(after, still - rate * strength * still.sign(), msg=part)
            assert (after.abs() < before.abs())[before.abs() > 0.02].all()


def test_l1_of_muons_rest_follows_its_own_rate_and_kind() -> None:
    model = net()
    rest = {"rest": "sgd", "rest_learning_rate": 0.3, "momentum": 0, "nesterov": False}
    config = OptimiserConfig.model_validate({"name": "muon", "learning_rate": 0.1, "l1": {"1.weight": 0.2}, **rest})
    optimiser = build_optimiser(model, config)
    optimiser.set_rate(0.05)
    (0 * model(torch.randn(8, 4, generator=seeded())).sum()).backward()
    optimiser.step()
    torch.testing.assert_close(model[1].weight.detach(), torch.full((3,), 1 - 0.05 * 3 * 0.2))


def test_l1_leaves_frozen_parameters_alone() -> None:
    model = net()
    optimiser = build_optimiser(model, OptimiserConfig(name="adamw", learning_rate=0.1, l1={"0.weight": 1.0}))
    model[0].weight.requires_grad_(False)
    before = model[0].weight.detach().clone()
    steps(model, optimiser, 1)
    assert torch.equal(model[0].weight, before)


def test_rates_by_part_of_name_multiply_the_recipes_and_follow_every_change_of_it() -> None:
    model = net()
    config = OptimiserConfig(learning_rate=0.2, rates={"2.": 0.5, "2.bias": 2})
    assert of_groups(model, config, "factor")["2.weight"] == 0.5
    assert of_groups(model, config, "factor")["2.bias"] == 2
    optimiser = build_optimiser(model, config)
    optimiser.set_rate(0.1)
    assert sorted({group["lr"] for part in optimiser.parts for group in part.param_groups}) == [0.05, 0.1, 0.2]


def test_the_biases_of_norms_can_learn_faster() -> None:
    found = rates(classifier(), OptimiserConfig(norm_bias_rate=64))
    assert {n for n, rate in found.items() if rate == 64} == {n for n in found if n.endswith("norm.bias")}
    assert {rate for n, rate in found.items() if not n.endswith("norm.bias")} == {1.0}


def test_layer_decay_lowers_the_rate_from_layer_to_layer_below_the_heads() -> None:
    found = rates(classifier(widths="8,8", blocks="0,0"), OptimiserConfig(layer_decay=0.5))
    assert found["heads.0.weight"] == found["heads.0.bias"] == 1
    assert found["backbone.stages.1.0.conv.weight"] == found["backbone.stages.1.0.norm.bias"] == 0.5
    assert found["backbone.stages.0.0.conv.weight"] == 0.25


def test_layer_decay_follows_timms_own_layers() -> None:
    found = rates(classifier("timm:resnet18"), OptimiserConfig(layer_decay=0.5))
    assert found["heads.0.weight"] == 1
    assert found["backbone.net.layer4.1.conv1.weight"] == found["backbone.net.layer4.1.conv2.weight"] == 0.5
    assert found["backbone.net.conv1.weight"] == 0.5**9


def depths(name: str, **options: object) -> dict[str, int]:
    """How many layers lie between a parameter of the backbone and the heads, from 1, by the rate it gets."""
    found = rates(classifier(name, **options), OptimiserConfig(layer_decay=0.5))
    assert {rate for part, rate in found.items() if part.startswith("heads.")} == {1.0}
    return {part.removeprefix("backbone."): round(-math.log2(rate)) for part, rate in found.items()}


def test_layer_decay_counts_a_shortcut_with_the_convolution_it_is_added_to() -> None:
    found = depths("resnet-fer", width=8, blocks="1,1,1,1")
    assert found["stages.3.0.branch.1.conv.weight"] == found["stages.3.0.shortcut.conv.weight"] == 1
    assert found["stages.3.0.shortcut.norm.bias"] == found["stages.3.0.branch.1.norm.bias"] == 1
    assert found["stages.3.0.branch.0.conv.weight"] == 2
    assert found["stages.2.0.shortcut.conv.weight"] == 3
    assert found["stem.conv.weight"] == 9


def test_layer_decay_counts_paths_side_by_side_once() -> None:
    found = depths("dexpression")
    long, short = found["layers.featex3.path_a.conv_b.weight"], found["layers.featex3.path_b.conv_c.weight"]
    assert long == short == found["layers.featex3.path_b.conv_c.bias"] == 1
    assert found["layers.featex3.path_a.conv_a.weight"] == 2
    assert found["layers.featex2.path_b.conv_c.weight"] == 3
    assert found["layers.conv1.weight"] == 5


def test_layer_decay_counts_a_norm_with_the_kernel_behind_it() -> None:
    found = depths("densenet-fer", growth=4, layers="1,1")
    layers = ["blocks.block2_1.grow", "blocks.block2_1.reduce", "blocks.transition1", "blocks.block1_1.grow"]
    for depth, layer in enumerate(layers, 1):
        assert found[f"{layer}.norm.weight"] == found[f"{layer}.norm.bias"] == found[f"{layer}.conv.weight"] == depth
    assert found["last.norm.weight"] == 1
    assert found["stem.weight"] == len(layers) + 2


def test_layer_decay_takes_a_clique_as_one_layer_and_transitions_as_those_between() -> None:
    found = depths("cliquenet", filters=4, layers=2, stem=4, blocks=3)
    of = {part: {depth for name, depth in found.items() if name.startswith(part)} for part in PARTS_OF_A_CLIQUENET}
    assert list(of.values()) == [{1}, {1}, {2}, {3}, {3}, {4}, {5}, {5}, {6}]


PARTS_OF_A_CLIQUENET = (
    *("blocks.2", "pools.2", "transitions.1", "blocks.1", "pools.1", "transitions.0", "blocks.0", "pools.0", "stem"),
)


def steps(model: nn.Module, optimiser, n: int) -> None:
    data = torch.randn(8, *((3, 6, 6) if isinstance(model[0], nn.Conv2d) else (4,)), generator=seeded())
    for _ in range(n):
        optimiser.zero_grad()
        model(data).square().mean().backward()
        optimiser.step()


def seeded() -> torch.Generator:
    return torch.Generator().manual_seed(1)


@pytest.mark.parametrize("name", ["sgd", "adam", "adamw", "muon"])
def test_an_optimiser_goes_on_from_its_saved_state_as_if_it_had_never_stopped(name: str) -> None:
    config = OptimiserConfig(name=name, learning_rate=0.1, weight_decay=0.01)
    straight = convolutions()
    steps(straight, build_optimiser(straight, config), 6)
    first = convolutions()
    optimiser = build_optimiser(first, config)
    steps(first, optimiser, 3)
    second = convolutions()
    second.load_state_dict(first.state_dict())
    resumed = build_optimiser(second, config)
    resumed.load_state_tensors({k: v.clone().contiguous() for k, v in optimiser.state_tensors().items()})
    steps(second, resumed, 3)
    for a, b in zip(straight.state_dict().values(), second.state_dict().values(), strict=True):
        assert torch.equal(a, b)


@pytest.mark.parametrize("layout", [torch.channels_last, torch.contiguous_format])
def test_muon_moves_kernels_by_the_orthogonal_factor_of_their_gradient(layout: torch.memory_format) -> None:
    torch.manual_seed(0)
    model = nn.Sequential(nn.Conv2d(3, 4, 3, bias=False), nn.BatchNorm2d(4)).to(memory_format=layout)
    config = OptimiserConfig(name="muon", learning_rate=0.1, momentum=0, nesterov=False)
    optimiser = build_optimiser(model, config)
    kernel, before = model[0].weight, model[0].weight.detach().clone()
    model(torch.randn(8, 3, 6, 6, generator=seeded())).square().mean().backward()
    u, s, v = torch.linalg.svd(kernel.grad.flatten(1), full_matrices=False)
    optimiser.step()
    moved = (before - kernel.detach()).flatten(1) / (0.1 * 0.2 * 27**0.5)
    # Five Newton–Schulz steps leave singular values between about .7 and 1.2 (Jordan et al. 2024).
    assert torch.linalg.svdvals(moved).min() > 0.5
    assert torch.linalg.svdvals(moved).max() < 1.35
    strong = s > 0.05 * s.max()
    cosine = (moved * (u[:, strong] @ v[strong])).sum() / moved.norm() / strong.sum().sqrt()
    assert cosine > 0.85


def test_muon_leaves_heads_norms_and_biases_to_the_rest_at_its_own_rate() -> None:
    model = classifier(widths="8,8", blocks="0,0")
    config = OptimiserConfig(name="muon", learning_rate=0.01, rest="sgd", rest_learning_rate=0.1)
    muon, rest = build_optimiser(model, config).parts
    assert isinstance(rest, torch.optim.SGD)
    held = {id(p) for group in rest.param_groups for p in group["params"]}
    named = dict(model.named_parameters())
    assert {n for n, p in named.items() if id(p) in held} == {n for n in named if "conv" not in n}
    assert {group["factor"] for group in rest.param_groups} == {10}
    assert sum(len(group["params"]) for group in muon.param_groups) == 2


def test_muon_trains_a_net_in_its_own_memory() -> None:
    model = convolutions()
    config = OptimiserConfig(name="muon", learning_rate=0.02)
    before = model[0].weight.detach().clone()
    steps(model, build_optimiser(model, config), 2)
    assert not torch.equal(before, model[0].weight)
    assert model[0].weight.is_contiguous(memory_format=torch.channels_last)


def test_a_torch_without_muon_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(torch.optim, "Muon")
    with pytest.raises(MienError, match=r"muon needs torch 2\.9"):
        build_optimiser(convolutions(), OptimiserConfig(name="muon"))


def test_tables_of_a_transformer_are_neither_decayed_nor_orthogonalised() -> None:
    model = classifier("timm:levit_128s", side=224)
    tables = {name for name, _ in model.named_parameters() if name.endswith("attention_biases")}
    assert tables
    decay = of_groups(model, OptimiserConfig(weight_decay=0.1), "weight_decay")
    assert {decay[name] for name in tables} == {0}
    assert decay["backbone.net.stages.0.blocks.0.attn.qkv.linear.weight"] == 0.1
    muon, rest = build_optimiser(model, OptimiserConfig(name="muon", learning_rate=0.02)).parts
    held = {id(p) for group in rest.param_groups for p in group["params"]}
    assert all(id(p) in held for name, p in model.named_parameters() if name in tables)
    assert muon.param_groups
