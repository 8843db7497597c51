"""The changes of a recipe applied to packed pictures once and for all, as `mien data expand` writes them."""

from __future__ import annotations

import numpy as np
import torch
from numpy.typing import NDArray

from mien.augment import batched
from mien.core.errors import MienError
from mien.core.recipe import AugmentConfig

# A packed set has one size, a packed picture one label, and copies are no epochs in which a probability could grow.
LEFT_TO_TRAINING = ("random_crop", "mixup_alpha", "cutmix_alpha", "grid_mask_ramp_epochs")
# A stream of random numbers of its own, away from those of training.
_STREAM = 0xE79A


class Offline:
    """Called with pictures, their rows and the number of the copy (from 1), gives changed pictures of the same size.

    The result depends on the seed, the rows and the number alone. `LEFT_TO_TRAINING` is left out.
    With `flip = "alternate"` every other copy is mirrored, as every other epoch would be.

    Raises:
        MienError: the recipe changes nothing.
    """

    def __init__(self, config: AugmentConfig, seed: int) -> None:
        self.config, self.seed = config.model_copy(update=dict.fromkeys(LEFT_TO_TRAINING, 0)), seed
        if not self.config.on:
            raise MienError("the recipe's [augment] changes nothing", hint='--set augment.flip="random"')

    def __call__(self, images: NDArray[np.uint8], rows: NDArray[np.int64], copy: int) -> NDArray[np.uint8]:
        """Pictures (n, H, W) or (n, H, W, 3) at `rows` (n,), changed."""
        rng = np.random.default_rng([self.seed, _STREAM, copy, int(rows[0])])
        size = (images.shape[1], images.shape[2])
        params = batched.draw(self.config, rng, rows, epoch=copy, size=size)
        pictures = torch.from_numpy(np.ascontiguousarray(images))
        grey = pictures.ndim == 3
        pictures = pictures.unsqueeze(1) if grey else pictures.permute(0, 3, 1, 2)
        changed = batched.apply(pictures, params, self.config).round_().clamp_(0, 255).to(torch.uint8)
        return np.ascontiguousarray((changed.squeeze(1) if grey else changed.permute(0, 2, 3, 1)).numpy())
