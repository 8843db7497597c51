"""Any backbone of timm as `timm:NAME`: first layer fitted to grey, weights from the hub or a local file.

Weights are read from safetensors only. timm itself would fall back to pickled files where a repository has no
others, so the download is done here and timm is handed the file.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pydantic import Field
from safetensors import SafetensorError, safe_open
from torch import Tensor

from mien.core.errors import MienError, MissingExtraError, unknown_name
from mien.core.spec import Frozen, Normalise
from mien.models.blocks import Rate, flat_features
from mien.models.entry import Backbone, DepthGroups, Entry, Shape

PREFIX = "timm:"
HUB_FILE = "model.safetensors"


class TimmOptions(Frozen):
    """Where the weights come from, and the regularisation most of timm's nets share."""

    pretrained: bool = Field(False, description="start from timm's weights, downloaded once from its hub")
    weights: str = Field("", description="start from this safetensors file of the same net instead")
    dropout: Rate = Field(0.0, description="rate on the features")


class TimmBackbone(Backbone):
    """A timm net without its classifier: features (N, out_features)."""

    def __init__(self, net: Any, shape: Shape) -> None:
        super().__init__()
        self.net = net
        self.out_features = flat_features(net, shape)

    def not_weights(self) -> frozenset[str]:
        """As timm's net says itself."""
        found = self.net.no_weight_decay() if hasattr(self.net, "no_weight_decay") else ()
        return frozenset(f"net.{name}" for name in found)

    def depth_groups(self) -> DepthGroups:
        """As timm's net says itself; each kernel where it does not."""
        if not hasattr(self.net, "group_matcher"):
            return super().depth_groups()
        # Loaded only for its own nets, as everything of timm.
        from timm.models import group_parameters

        depths: dict[str, int] = group_parameters(self.net, self.net.group_matcher(coarse=False), reverse=True)
        deepest = max(depths.values())
        return [tuple(f"net.{n}" for n, at in depths.items() if at == depth) for depth in range(deepest + 1)]

    def forward(self, x: Tensor) -> Tensor:
        features: Tensor = self.net(x)
        return features


def _timm() -> Any:
    # Loaded when it is used: timm takes a second to import and only these nets need it.
    try:
        import timm
    except ModuleNotFoundError:
        raise MissingExtraError("timm", "train") from None
    return timm


def _download(repository: str) -> Path:
    # Loaded when it is used, as timm is, which brings it.
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, HUB_FILE))


def _config(name: str) -> Any:
    """timm's description of a net: input size, mean, deviation, where its weights are."""
    timm, plain = _timm(), name.removeprefix(PREFIX)
    if not timm.is_model(plain):
        raise unknown_name("timm network", plain, timm.list_models())
    try:
        return timm.get_pretrained_cfg(plain, allow_unregistered=False)
    except RuntimeError as error:
        known = f"timm.list_pretrained('{plain.split('.')[0]}*') lists them"
        raise MienError(f"{name}: timm has no such weights ({error})", hint=known) from None


def _weights_file(name: str, config: Any, options: TimmOptions) -> Path | None:
    """The safetensors file to start from, or None for a fresh start.

    Raises:
        MienError: no such file, another format, or nothing to be had from the hub.
    """
    if options.weights:
        path = Path(options.weights)
        if path.suffix != ".safetensors" or not path.is_file():
            raise MienError(f"{path}: not a safetensors file", hint="weights are read from .safetensors only")
        return path
    if not options.pretrained:
        return None
    if not config.hf_hub_id:
        raise MienError(f"{name}: timm has no weights for it on the hub", hint="leave pretrained off")
    try:
        return _download(config.hf_hub_id)
    except (OSError, ValueError) as error:
        raise MienError(
            f"{name}: weights cannot be had from {config.hf_hub_id} ({error})",
            hint=f"fetch its {HUB_FILE} where there is a network and set the option weights to the file",
        ) from None


def _classes(file: Path, config: Any) -> int:
    """How many classes the file's own classifier has; 0 without one."""
    # Distilled nets have two of them, a few nets none.
    names = [config.classifier] if isinstance(config.classifier, str) else [*(config.classifier or ())]
    with safe_open(file, framework="pt") as weights:
        keys = [f"{name}.weight" for name in names if f"{name}.weight" in weights.keys()]  # noqa: SIM118
        return int(weights.get_slice(keys[0]).get_shape()[0]) if keys else 0


def _start(file: Path, config: Any) -> dict[str, Any]:
    """Arguments that make timm load the file, classifier included: otherwise it would let any key be missing."""
    classes = _classes(file, config)
    overlay = {"file": str(file), "custom_load": False, "num_classes": classes, "label_offset": 0}
    return {"pretrained": True, "pretrained_cfg_overlay": overlay, "num_classes": classes}


def _build(name: str, shape: Shape, options: TimmOptions) -> Backbone:
    config = _config(name)
    file = _weights_file(name, config, options)
    try:
        arguments: dict[str, Any] = _start(file, config) if file else {"num_classes": 0}
        if config.fixed_input_size:
            arguments["img_size"] = (shape.height, shape.width)
        net = _timm().create_model(
            name.removeprefix(PREFIX), in_chans=shape.channels, drop_rate=options.dropout, **arguments
        )
        if net.num_classes:
            net.reset_classifier(0)
        return TimmBackbone(net, shape)
    except (AssertionError, RuntimeError, TypeError, SafetensorError) as error:
        what = f"{name}, {shape.height}×{shape.width} px" + (f", {file}" if file else "")
        raise MienError(f"{what}: timm refuses ({error})") from error


def entry(name: str) -> Entry:
    """The zoo's entry for `timm:NAME`. Raises MienError with the nearest name when timm has no such net."""
    config = _config(name)
    return Entry(
        description=f"timm's {config.architecture}, weights {config.tag or 'none'}",
        build=lambda shape, options: _build(name, shape, options),
        options=TimmOptions,
        side=config.input_size[-1],
        smallest=1,  # timm's nets judge for themselves
        start_options=frozenset({"pretrained", "weights"}),
    )


def timm_normalisation(name: str, channels: int) -> Normalise:
    """The mean and deviation the net was trained with; for grey (channels 1) those of its three averaged."""
    config = _config(name)
    mean, std = tuple(config.mean), tuple(config.std)
    if channels == 1:
        mean, std = (sum(mean) / len(mean),), (sum(std) / len(std),)
    return Normalise(kind="dataset", mean=mean, std=std)
