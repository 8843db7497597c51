"""Weights files: what they hold, and how a wrong one is refused."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from mien.core.errors import MienError
from mien.core.spec import Head, ModelSpec, Normalise
from mien.models.classifier import Classifier, build_classifier
from mien.models.store import load_classifier, read_weights, save_weights

SPEC = ModelSpec(
    architecture="mien-s",
    options={"widths": "8,16", "blocks": "0,1"},
    height=16,
    width=16,
    crop=12,
    normalise=Normalise(kind="dataset", mean=(0.5,), std=(0.25,)),
    heads=(Head(name="fer2013", labels=tuple("abcdefg"), temperature=1.5),),
    provenance={"recipe": "test"},
)


@pytest.fixture
def net() -> Classifier:
    return build_classifier(SPEC)


@pytest.fixture
def path(tmp_path: Path, net: Classifier) -> Path:
    save_weights(tmp_path / "net.safetensors", net.state_dict(), SPEC)
    return tmp_path / "net.safetensors"


def test_the_whole_spec_travels_with_the_weights(path: Path) -> None:
    assert read_weights(path)[1] == SPEC


def test_tensors_come_back_bit_for_bit(path: Path, net: Classifier) -> None:
    tensors, _ = read_weights(path)
    assert tensors.keys() == net.state_dict().keys()
    assert all(torch.equal(tensors[name], tensor) for name, tensor in net.state_dict().items())


def test_weights_in_channels_last_are_stored_alike(path: Path, net: Classifier, tmp_path: Path) -> None:
    other = tmp_path / "other.safetensors"
    save_weights(other, net.to(memory_format=torch.channels_last).state_dict(), SPEC)
    assert other.read_bytes() == path.read_bytes()


def test_a_loaded_classifier_is_in_eval_mode(path: Path) -> None:
    assert not load_classifier(path)[0].training


def test_loading_leaves_the_random_state_alone(path: Path) -> None:
    torch.manual_seed(3)
    before = torch.get_rng_state()
    load_classifier(path)
    assert torch.equal(torch.get_rng_state(), before)


def test_a_failed_write_leaves_the_old_file_and_no_rest(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    old = path.read_bytes()

    def half(_tensors: object, file: Path, **_: object) -> None:
        file.write_bytes(b"half")
        raise OSError("disk full")

    monkeypatch.setattr("mien.models.store.save_file", half)
    with pytest.raises(OSError, match="disk full"):
        save_weights(path, {}, SPEC)
    assert path.read_bytes() == old
    assert list(path.parent.iterdir()) == [path]


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"gone\.safetensors: no such weights file"):
        load_classifier(tmp_path / "gone.safetensors")


@pytest.mark.parametrize("content", [b"", b"not safetensors", b"\x80\x04\x95pickled"], ids=["empty", "text", "pickle"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "bad.safetensors"
    path.write_bytes(content)
    with pytest.raises(MienError, match=r"bad\.safetensors: not a readable safetensors file"):
        load_classifier(path)


def test_a_truncated_file_is_named(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(MienError, match=r"net\.safetensors: not a readable safetensors file"):
        load_classifier(path)


def test_a_file_without_spec_is_refused(tmp_path: Path) -> None:
    save_file({"a": torch.zeros(1)}, tmp_path / "plain.safetensors")
    with pytest.raises(MienError, match=r"plain\.safetensors: carries no mien spec"):
        load_classifier(tmp_path / "plain.safetensors")


def test_tensors_that_do_not_fit_the_spec_are_named(path: Path, net: Classifier) -> None:
    state = dict(net.state_dict())
    del state["heads.0.bias"]
    state["heads.0.weight"] = torch.zeros(3, 16)
    state["extra"] = torch.zeros(1)
    save_weights(path, state, SPEC)
    with pytest.raises(MienError, match="do not fit its spec") as error:
        load_classifier(path)
    for part in ("extra is (1,), the network has none", "heads.0.bias is missing", "heads.0.weight is (3, 16)"):
        assert part in str(error.value)


def test_only_the_first_few_differences_are_listed(path: Path) -> None:
    save_weights(path, {}, SPEC)
    with pytest.raises(MienError, match=r"and \d+ more$"):
        load_classifier(path)


def test_a_tensor_under_two_names_is_stored_under_both(path: Path, net: Classifier) -> None:
    state = net.state_dict()
    first, *_ = state
    save_weights(path, state | {"again": state[first]}, SPEC)
    tensors, _ = read_weights(path)
    assert torch.equal(tensors["again"], tensors[first])
