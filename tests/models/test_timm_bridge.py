"""timm's nets through the zoo, without the network."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import timm
import torch
from safetensors.torch import load_file, save_file

from mien.core.errors import MienError
from mien.core.spec import Head, ModelSpec, Normalise
from mien.models import timm_bridge, zoo
from mien.models.classifier import build_classifier
from mien.models.store import load_classifier, save_weights

NAME = "resnet10t"


@pytest.fixture(scope="module")
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file as the hub has it: colour, with timm's own classifier."""
    torch.manual_seed(5)
    path = tmp_path_factory.mktemp("hub") / "model.safetensors"
    save_file(timm.create_model(NAME, pretrained=False).state_dict(), path)
    return path


def test_weights_of_a_local_file_are_used_and_its_colour_filters_summed_for_grey(published: Path) -> None:
    torch.manual_seed(6)
    net = zoo.build(f"timm:{NAME}", channels=1, side=64, options={"weights": str(published)}).eval()
    colour = timm.create_model(NAME, pretrained=False, num_classes=0)
    colour.load_state_dict(timm.models.load_state_dict(str(published)), strict=False)
    grey = torch.rand(2, 1, 64, 64)
    with torch.no_grad():
        torch.testing.assert_close(net(grey), colour.eval()(grey.expand(2, 3, 64, 64)), atol=1e-4, rtol=1e-4)


def test_pretrained_takes_the_hubs_safetensors_file(published: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked = []
    monkeypatch.setattr(timm_bridge, "_download", lambda repository: asked.append(repository) or published)
    net = zoo.build(f"timm:{NAME}", channels=3, side=64, options={"pretrained": True})
    local = zoo.build(f"timm:{NAME}", channels=3, side=64, options={"weights": str(published)})
    assert asked == ["timm/resnet10t.c3_in1k"]
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), local.parameters(), strict=True))


def test_without_a_network_the_error_tells_how_to_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    def offline(_repository: str) -> Path:
        raise ConnectionError("no route to host")

    monkeypatch.setattr(timm_bridge, "_download", offline)
    with pytest.raises(MienError, match="weights cannot be had") as error:
        zoo.build(f"timm:{NAME}", channels=1, side=64, options={"pretrained": True})
    assert "set the option weights to the file" in str(error.value)


def test_weights_saved_without_classifier_will_do(published: Path, tmp_path: Path) -> None:
    net = zoo.build(f"timm:{NAME}", channels=3, side=64, options={"weights": str(published)})
    path = tmp_path / "headless.safetensors"
    save_file(net.net.state_dict(), path)
    again = zoo.build(f"timm:{NAME}", channels=3, side=64, options={"weights": str(path)})
    assert all(torch.equal(a, b) for a, b in zip(net.parameters(), again.parameters(), strict=True))


@pytest.mark.parametrize("file", ["gone.safetensors", "weights.pth"])
def test_only_a_safetensors_file_that_is_there_is_read(tmp_path: Path, file: str) -> None:
    (tmp_path / "weights.pth").write_bytes(b"pickle")
    with pytest.raises(MienError, match=f"{file}: not a safetensors file"):
        zoo.build(f"timm:{NAME}", channels=1, side=64, options={"weights": str(tmp_path / file)})


@pytest.mark.parametrize("missing", ["layer4.0.conv2.weight", "bn1.running_mean"])
def test_a_file_that_lacks_a_tensor_is_refused_by_name(published: Path, tmp_path: Path, missing: str) -> None:
    """timm itself would leave the layer as it was drawn at random."""
    path = tmp_path / "other.safetensors"
    tensors = load_file(published)
    del tensors[missing]
    save_file(tensors, path)
    with pytest.raises(MienError, match=rf"other\.safetensors(?s:.*){missing}"):
        zoo.build(f"timm:{NAME}", channels=1, side=64, options={"weights": str(path)})


def test_a_trained_model_loads_without_the_weights_it_started_from(published: Path, tmp_path: Path) -> None:
    spec = ModelSpec(
        architecture=f"timm:{NAME}",
        options={"weights": str(published)},
        height=64,
        width=64,
        normalise=Normalise(kind="unit"),
        heads=(Head(name="fer2013", labels=tuple("abcdefg")),),
    )
    trained = build_classifier(spec).eval()
    published_copy = spec.model_copy(update={"options": {"weights": "gone.safetensors", "pretrained": True}})
    save_weights(tmp_path / "net.safetensors", trained.state_dict(), published_copy)
    loaded, _ = load_classifier(tmp_path / "net.safetensors")
    x = torch.randint(0, 256, (1, 64, 64), dtype=torch.uint8)
    with torch.no_grad():
        assert torch.equal(loaded(x)[0], trained(x)[0])


def test_normalisation_is_the_nets_own() -> None:
    colour = zoo.normalisation(f"timm:{NAME}", channels=3)
    assert (colour.kind, colour.mean, colour.std) == ("dataset", (0.485, 0.456, 0.406), (0.229, 0.224, 0.225))


def test_normalisation_for_grey_is_the_mean_of_the_channels() -> None:
    grey = zoo.normalisation(f"timm:{NAME}", channels=1)
    assert grey.mean == pytest.approx((0.449,))
    assert grey.std == pytest.approx((0.226,))


def test_a_net_of_the_zoo_has_no_normalisation_of_its_own() -> None:
    with pytest.raises(MienError, match="mien-m has no normalisation of its own"):
        zoo.normalisation("mien-m", channels=1)


def test_an_unknown_timm_name_is_answered_with_the_nearest() -> None:
    with pytest.raises(MienError, match=r"unknown timm network 'resnet10x'\n  → did you mean 'resnet10"):
        zoo.entry("timm:resnet10x")


def test_an_unknown_weights_tag_is_refused() -> None:
    with pytest.raises(MienError, match=r"resnet10t\.nonsense"):
        zoo.entry("timm:resnet10t.nonsense")


def test_the_default_input_is_timms() -> None:
    assert zoo.entry(f"timm:{NAME}").side == 176


def test_transformers_are_built_for_the_size_asked() -> None:
    net = zoo.build("timm:vit_tiny_patch16_224", channels=1, side=48).eval()
    with torch.no_grad():
        assert net(torch.zeros(1, 1, 48, 48)).shape == (1, 192)


def test_a_size_that_a_net_cannot_take_is_refused_with_the_size() -> None:
    with pytest.raises(MienError, match="timm:convnext_atto, 2×2 px"):
        zoo.build("timm:convnext_atto", channels=1, side=2)


def test_timm_is_loaded_only_when_asked_for() -> None:
    code = "import sys, mien.models.zoo, mien.models.store; sys.exit('timm' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
