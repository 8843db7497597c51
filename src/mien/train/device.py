"""Which device, which precision, and errors that say what was looked for."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from accelerate.utils import DataLoaderConfiguration

from mien.core.errors import MienError
from mien.core.recipe import TrainConfig


def check_device(name: str) -> str:
    """`cpu`, `cuda`, `cuda:N` or `mps`; `auto` takes the best there is.

    Raises:
        MienError: the device is not there; the message says what was found instead.
    """
    if name == "auto":
        return "cuda" if torch.cuda.is_available() else "mps" if torch.backends.mps.is_available() else "cpu"
    kind, _, number = name.partition(":")
    if kind == "cpu":
        return "cpu"
    if kind == "cuda":
        count = torch.cuda.device_count() if torch.cuda.is_available() else 0
        if int(number or 0) < count:
            return name
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise MienError(
            f"device {name!r} is not there: torch {torch.__version__} ({built}) sees {count} CUDA devices",
            hint="train.device=auto takes what is there; check the driver with nvidia-smi",
        )
    if kind == "mps" and torch.backends.mps.is_available():
        return "mps"
    raise MienError(f"device {name!r} is unknown or not there", hint="auto, cpu, cuda, cuda:1, mps")


def choose_precision(wanted: str, device: str) -> str:
    """`bf16` or `fp32`; `auto` takes bf16 where matrix units make it faster (AMX on CPUs, Ampere and later)."""
    if wanted != "auto":
        return wanted
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported() else "fp32"
    if device == "cpu" and torch.cpu.get_capabilities().get("amx_bf16", False):
        return "bf16"
    return "fp32"


def make_accelerator(config: TrainConfig) -> Accelerator:
    """The process group, device and precision of this training, one or many processes alike."""
    device = check_device(config.device)
    if ":" in device:
        os.environ["ACCELERATE_TORCH_DEVICE"] = device
    precision = choose_precision(config.precision, device)
    return Accelerator(
        cpu=device == "cpu",
        mixed_precision="bf16" if precision == "bf16" else "no",
        dataloader_config=DataLoaderConfiguration(),
    )
