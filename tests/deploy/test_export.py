"""The exported graph answers as the net does, and the file holds all that is needed to use it."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import NamedTuple, get_args

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from deploy_toys import SIDE, awake, make_spec, reference, structured
from torch import Tensor

from mien.core.errors import MienError
from mien.core.labels import FER2013
from mien.core.spec import Head, ModelSpec, Normalise, NormaliseKind
from mien.deploy import export
from mien.deploy.export import OPSET, export_onnx
from mien.deploy.runtime import Predictor
from mien.models import zoo
from mien.models.blocks import GlobalMean
from mien.models.classifier import Classifier
from mien.models.entry import Backbone

PARITY = 1e-5
ONE_HEAD = (Head(name="fer2013", labels=FER2013.names, temperature=1.4),)
TWINS = tuple(Head(name=name, labels=FER2013.names) for name in ("first", "second"))
COLOUR = Normalise(kind="dataset", mean=(0.5, 0.4, 0.3), std=(0.3, 0.2, 0.25))
GREY = Normalise(kind="dataset", mean=(0.44,), std=(0.21,))


class Case(NamedTuple):
    """A network and a preprocessing; where the published depth only takes longer to write, fewer layers."""

    architecture: str
    kind: str = "symmetric"
    channels: int = 1
    cropped: bool = True
    options: dict[str, str | int] = {}  # noqa: RUF012 - of a tuple

    @property
    def spec(self) -> ModelSpec:
        side = min(zoo.entry(self.architecture).side, 48)
        normalise = Normalise(kind=self.kind) if self.kind != "dataset" else GREY if self.channels == 1 else COLOUR
        return make_spec(
            architecture=self.architecture,
            options=self.options,
            height=side + 4,
            width=side + 4,
            crop=side - 1 if self.cropped else None,
            channels=self.channels,
            normalise=normalise,
            heads=ONE_HEAD,
        )


CASES = [
    Case("mien-s", "dataset", channels=3),
    Case("mien-m", "dataset"),
    Case("emotion-net", "unit", cropped=False),
    Case("lenet5-fer", "picture", options={"norm": "local_response"}),
    Case("cnn7", "equalise", channels=3),
    Case("dexpression"),
    Case("vgg-fer", options={"widths": "16,32,32,64", "dense": 64}),
    Case("resnet-fer", "equalise", options={"blocks": "1,1,1,1", "width": 32}),
    Case("densenet-fer", "picture", channels=3, options={"layers": "2,1"}),
    Case("cliquenet", options={"layers": 2, "blocks": 2}),
    Case("timm:resnet10t", channels=3, cropped=False),
]


def test_every_network_and_preprocessing_has_a_case() -> None:
    assert {case.architecture for case in CASES} >= set(zoo.ZOO)
    assert {case.kind for case in CASES} == set(get_args(NormaliseKind))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.architecture)
def test_the_exported_graph_answers_as_the_net(case: Case, tmp_path: Path) -> None:
    spec = case.spec
    classifier = awake(spec)
    export_onnx(classifier, spec, tmp_path / "model.onnx")
    faces = structured(5, spec.height, spec.width, channels=spec.channels, seed=7)
    flat = np.stack([np.full_like(faces[0], grey) for grey in (0, 1, 128, 255)])
    pictures = np.concatenate([faces, flat])
    expected = reference(classifier, spec, pictures)["fer2013"]
    assert expected[:5].std(0).max() > 0.02, "the net answers the same to everything: nothing is proved"
    found = Predictor(tmp_path / "model.onnx").probabilities(pictures)["fer2013"]
    np.testing.assert_allclose(found, expected, atol=PARITY)


def test_real_faces_are_answered_as_by_the_net(real_data: dict[str, np.ndarray], exported_run: Path) -> None:
    faces = real_data["pixels"][::300].reshape(-1, 48, 48)[:, 10 : 10 + SIDE, 10 : 10 + SIDE]
    expected = reference(awake(make_spec()), make_spec(), faces)
    for head, found in Predictor(exported_run).probabilities(faces).items():
        assert expected[head].std(0).max() > 0.02
        np.testing.assert_allclose(found, expected[head], atol=PARITY)


@pytest.mark.parametrize("count", [1, 3, 64])
def test_any_batch_size_is_answered(exported_run: Path, count: int) -> None:
    session = onnxruntime.InferenceSession(exported_run / "export" / "model.onnx")
    pictures = structured(count, SIDE, SIDE, seed=3)
    together = session.run(None, {"pixels": pictures})
    one_by_one = [session.run(None, {"pixels": picture[None]}) for picture in pictures]
    for i, output in enumerate(together):
        assert len(output) == count
        np.testing.assert_allclose(output, np.concatenate([single[i] for single in one_by_one]), atol=1e-6)


def test_the_graph_takes_nothing_but_uint8_pixels(exported_run: Path) -> None:
    session = onnxruntime.InferenceSession(exported_run / "export" / "model.onnx")
    (pixels,) = session.get_inputs()
    assert (pixels.name, pixels.type, pixels.shape[1:]) == ("pixels", "tensor(uint8)", [SIDE, SIDE])
    assert [output.name for output in session.get_outputs()] == ["probabilities_fer2013", "probabilities_ferplus8"]
    with pytest.raises(Exception, match="Unexpected input data type"):
        session.run(None, {"pixels": structured(1, SIDE, SIDE).astype(np.float32)})


def test_the_file_stands_alone_and_says_nothing_of_the_machine(exported_run: Path) -> None:
    path = exported_run / "export" / "model.onnx"
    assert sorted(p.name for p in path.parent.iterdir()) == ["card.md", "model.onnx"]
    content = path.read_bytes()
    for trace in (b".py", b"aten", str(Path(export.__file__).parents[3]).encode(), str(exported_run).encode()):
        assert trace not in content
    parameters = sum(4 * p.numel() for p in awake(make_spec()).parameters())
    assert len(content) < parameters + 20_000


def test_the_file_is_valid_and_carries_the_whole_spec(exported_run: Path) -> None:
    model = onnx.load(exported_run / "export" / "model.onnx", load_external_data=False)
    onnx.checker.check_model(model, full_check=True)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    assert ModelSpec.from_metadata(metadata, source="file") == make_spec()
    assert [(o.domain, o.version) for o in model.opset_import] == [("", OPSET)]
    assert model.producer_name == "mien"


def test_norms_are_folded_and_weights_stay_fp32(exported_run: Path) -> None:
    graph = onnx.load(exported_run / "export" / "model.onnx").graph
    assert "BatchNormalization" not in {node.op_type for node in graph.node}
    weights = [t for t in graph.initializer if len(t.dims) > 1]
    assert {t.data_type for t in weights} == {onnx.TensorProto.FLOAT}
    assert sum(node.op_type == "Conv" for node in graph.node) == sum(len(t.dims) == 4 for t in weights) - 2


@pytest.fixture(scope="module")
def calibrated(tmp_path_factory: pytest.TempPathFactory) -> tuple[Classifier, Classifier, Predictor]:
    """A bf16 classifier in training mode, a copy of it made before, and its export under calibrated temperatures."""
    own = make_spec(heads=TWINS)
    first, second = TWINS
    heads = (first.model_copy(update={"temperature": 3.0}), second.model_copy(update={"temperature": 0.5}))
    classifier = awake(own).to(torch.bfloat16).train()
    before = copy.deepcopy(classifier)
    path = tmp_path_factory.mktemp("calibrated") / "model.onnx"
    export_onnx(classifier, own.model_copy(update={"heads": heads, "abstain_below": 0.4}), path)
    return classifier, before, Predictor(path)


def test_temperatures_of_the_given_spec_are_honoured_head_by_head(
    calibrated: tuple[Classifier, Classifier, Predictor],
) -> None:
    """Both heads have seven classes: swapped ones would not show in the shapes."""
    _, before, predictor = calibrated
    pictures, net = structured(4, SIDE, SIDE), copy.deepcopy(before).float()
    found = predictor.probabilities(pictures)
    assert [head.temperature for head in predictor.spec.heads] == [3.0, 0.5]
    assert predictor.spec.abstain_below == 0.4
    expected, uncalibrated = reference(net, predictor.spec, pictures), reference(net, before.spec, pictures)
    for head in ("first", "second"):
        np.testing.assert_allclose(found[head], expected[head], atol=PARITY)
        assert abs(found[head] - uncalibrated[head]).max() > 0.05


def test_the_classifier_is_left_as_it_was(calibrated: tuple[Classifier, Classifier, Predictor]) -> None:
    classifier, before, _ = calibrated
    assert all(module.training for module in classifier.modules())
    old = before.state_dict()
    for name, tensor in classifier.state_dict().items():
        assert tensor.dtype == old[name].dtype
        assert torch.equal(tensor, old[name])


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"crop": 20}, "crop"),
        ({"normalise": Normalise(kind="unit")}, "normalise"),
        ({"heads": ONE_HEAD}, "heads"),
        ({"height": 30, "width": 30}, "height, width"),
    ],
)
def test_a_spec_of_another_net_is_refused_by_field(changes: dict[str, object], named: str, tmp_path: Path) -> None:
    with pytest.raises(MienError, match=f"not that of the net: {named} differ"):
        export_onnx(awake(make_spec()), make_spec(**changes), tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


class _OfTwo(Backbone):
    """Holds for the batch it is traced with only."""

    out_features = 1

    def forward(self, x: Tensor) -> Tensor:
        return GlobalMean()(x).reshape(2, 1)


class _Unwritable(Backbone):
    """A Bessel function, which ONNX has no operator for."""

    out_features = 1

    def forward(self, x: Tensor) -> Tensor:
        return torch.special.i1(GlobalMean()(x))


@pytest.mark.parametrize(("backbone", "reason"), [(_OfTwo, "static shape of 2"), (_Unwritable, "bessel_i1")])
def test_a_net_that_cannot_be_written_is_an_error_that_says_why(
    backbone: type[Backbone], reason: str, tmp_path: Path
) -> None:
    spec = make_spec()
    with pytest.raises(MienError, match=f"mien-s: cannot be written as ONNX .*{reason}"):
        export_onnx(Classifier(spec, backbone()), spec, tmp_path / "model.onnx")
    assert not list(tmp_path.iterdir())


def test_a_net_too_large_for_one_file_is_refused_before_anything_is_built(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(export, "LARGEST", 1000)
    with pytest.raises(MienError, match="do not fit one ONNX file"):
        export_onnx(awake(make_spec()), make_spec(), tmp_path / "model.onnx")
