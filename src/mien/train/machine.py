"""Devices, precision and processes, and errors that say what was looked for."""

from __future__ import annotations

import os

import torch
from accelerate import Accelerator
from torch import Tensor, nn

from mien.core.errors import MienError
from mien.core.recipe import TrainConfig
from mien.models.processor import has_bf16_products


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
        if (number or "0").isdecimal() and int(number or 0) < count:
            return name
        built = f"built for CUDA {torch.version.cuda}" if torch.version.cuda else "built without CUDA"
        raise MienError(
            f"device {name!r} is not there: torch {torch.__version__} ({built}) sees {count} CUDA devices",
            hint="train.device=auto takes what is there; check the driver with nvidia-smi",
        )
    if kind == "mps" and torch.backends.mps.is_available():
        return "mps"
    built = "built with MPS" if torch.backends.mps.is_built() else "built without MPS"
    found = f"; torch {torch.__version__} is {built} and finds none" if kind == "mps" else ""
    raise MienError(f"device {name!r} is unknown or not there{found}", hint="auto, cpu, cuda, cuda:1, mps")


def choose_precision(wanted: str, device: str) -> str:
    """`bf16` or `fp32`; `auto` takes bf16 where hardware makes it faster (AMX or AVX-512 BF16; Ampere and later)."""
    if wanted != "auto":
        return wanted
    if device.startswith("cuda"):
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp32"
    if device == "cpu" and has_bf16_products():
        return "bf16"
    return "fp32"


class Machine:
    """The processes, device and arithmetic of a training; one process and many look alike.

    Processes and devices are accelerate's. Autocast is ours: accelerate fixes its precision once for the whole
    Python process, and two trainings in a row may differ.
    """

    def __init__(self, config: TrainConfig) -> None:
        device = check_device(config.device)
        if ":" in device:
            os.environ["ACCELERATE_TORCH_DEVICE"] = device
        self._accelerator = Accelerator(cpu=device == "cpu", mixed_precision="no")
        self.device: torch.device = self._accelerator.device
        self.precision = choose_precision(config.precision, self.device.type)
        self.rank: int = self._accelerator.process_index
        self.processes: int = self._accelerator.num_processes

    @property
    def is_first(self) -> bool:
        """Whether this process writes the files."""
        return self.rank == 0

    def autocast(self) -> torch.autocast:
        """A context in which convolutions and matrix products run in this machine's precision."""
        return torch.autocast(self.device.type, torch.bfloat16, enabled=self.precision == "bf16")

    def wrap(self, model: nn.Module) -> nn.Module:
        """The model with gradients averaged over processes; the model itself when there is one process."""
        wrapped: nn.Module = self._accelerator.prepare_model(model)
        return wrapped

    def wrap_anew(self, model: nn.Module) -> nn.Module:
        """The model wrapped again, after other parameters learn than before; the earlier wrapper must be let go of."""
        self._accelerator.free_memory()
        return self.wrap(model)

    def backward(self, loss: Tensor) -> None:
        """Gradients of a loss."""
        self._accelerator.backward(loss)

    def sum(self, tensor: Tensor) -> Tensor:
        """The sum of a tensor over all processes."""
        if self.processes == 1:
            return tensor
        total: Tensor = self._accelerator.reduce(tensor, "sum")
        return total

    def mean(self, tensor: Tensor) -> Tensor:
        """The mean of a tensor over all processes."""
        return self.sum(tensor) / self.processes

    def share_buffers(self, model: nn.Module) -> None:
        """Give every process the first one's norm statistics, so that averages and measurements agree."""
        if self.processes > 1:
            for buffer in model.buffers():
                torch.distributed.broadcast(buffer, src=0)

    def wait(self) -> None:
        """Until all processes are here."""
        self._accelerator.wait_for_everyone()
