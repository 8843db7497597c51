"""The recipe's table `augment`: what training pictures may go through. Each key's strength 0 switches it off."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from mien.core.errors import MienError
from mien.core.recipe_keys import Fraction
from mien.core.spec import Frozen

Range = tuple[Fraction, Fraction]
# The keys that switch a change on, in the order of the changes; the others say how.
SWITCHES = (
    *("flip", "rotation_degrees", "zoom_fraction", "shift_fraction", "shear_degrees", "resized_crop_fraction"),
    *("perspective", "random_crop", "watermark_probability", "auto_augment_probability", "rand_augment_operations"),
    *("equalise_probability", "gamma", "brightness", "contrast", "posterise_probability", "solarise_probability"),
    *("blur_pixels", "sharpness", "noise", "erase_probability", "random_erasing_probability", "hide_probability"),
    *("grid_mask_probability", "mixup_alpha", "cutmix_alpha"),
)


class AugmentConfig(Frozen):
    """Random changes to training pictures, drawn for each picture; zero switches one off.

    They are applied in the order of the keys, except that all geometry, a policy's too, is one resampling pass.
    """

    # Geometry.
    flip: Literal["off", "random", "alternate"] = Field(
        default="off", description="left to right; alternate: in every other epoch"
    )
    rotation_degrees: float = Field(default=0, ge=0, le=180, description="at most, either way")
    zoom_fraction: float = Field(default=0, ge=0, lt=1, description="at most, smaller or larger")
    shift_fraction: float = Field(default=0, ge=0, lt=1, description="of the picture's side, in x and y")
    shear_degrees: float = Field(default=0, ge=0, le=60, description="at most, in x or in y")
    resized_crop_fraction: float = Field(
        default=0, ge=0, lt=1, description="of the area, at most cut away, then resized"
    )
    resized_crop_stretch: float = Field(
        default=0, ge=0, le=3, description="ratio of its sides: up to 1 + this, or below"
    )
    perspective: float = Field(default=0, ge=0, lt=1, description="how much one side may be nearer than the other")
    random_crop: bool = Field(default=False, description="take data.crop px anywhere instead of at the centre")
    padding: Literal["reflection", "border", "zeros"] = Field(
        default="reflection", description="what lies beyond the border; border: its last pixels"
    )

    # Letters over the face.
    watermark_probability: Fraction = Field(default=0, description="a word in white or black, once or all over")
    watermark_opacity: Fraction = Field(default=0.6, description="of the strongest watermark")

    # Policies: chosen operations in a row, geometry included.
    auto_augment_probability: Fraction = Field(default=0, description="AutoAugment's policy of CIFAR-10; paper: 1")
    rand_augment_operations: int = Field(default=0, ge=0, le=8, description="RandAugment's N; paper: 2 to 3")
    rand_augment_magnitude: float = Field(default=5, ge=0, le=10, description="RandAugment's M")

    # Colour.
    equalise_probability: Fraction = Field(default=0, description="histogram equalisation")
    gamma: float = Field(default=0, ge=0, le=4, description="exponent up to 1 + this, or as far below")
    brightness: Fraction = Field(default=0, description="at most added or taken away, of the full range")
    contrast: Fraction = Field(default=0, description="factor 1 ± this around the picture's mean")
    posterise_probability: Fraction = Field(default=0, description="to fewer levels")
    posterise_bits: int = Field(default=4, ge=1, le=7, description="kept by posterising")
    solarise_probability: Fraction = Field(default=0, description="light parts as a negative")
    solarise_threshold: Fraction = Field(default=0.5, description="of the full range: negative from there on")

    # Filters.
    blur_pixels: float = Field(default=0, ge=0, le=20, description="greatest deviation of the Gaussian")
    sharpness: float = Field(default=0, ge=0, le=10, description="factor 1 ± this, from 0 on: 0 is smooth, 2 is sharp")
    noise: Fraction = Field(default=0, description="greatest deviation, of the full range")

    # Hidden parts.
    erase_pixels: int = Field(default=0, ge=0, description="side of one erased square (Cutout)")
    erase_probability: Fraction = Field(default=0, description="of that square; paper: 1")
    random_erasing_probability: Fraction = Field(default=0, description="paper: 0.5")
    random_erasing_area: Range = Field(default=(0.02, 0.4), description="of the picture")
    random_erasing_aspect: float = Field(default=0.3, gt=0, le=1, description="least ratio of the sides")
    random_erasing_fill: Literal["noise", "mean"] = Field(default="noise", description="mean: of the picture")
    hide_probability: Fraction = Field(default=0, description="of each patch, Hide-and-Seek; paper: 0.5")
    grid_mask_probability: Fraction = Field(default=0, description="paper: 0.8")
    grid_mask_ramp_epochs: int = Field(default=0, ge=0, description="epochs in which that probability is reached")
    grid_mask_unit: Range = Field(default=(0.43, 1), description="side of a unit, of the picture's side")
    grid_mask_keep: Fraction = Field(default=0.6, description="part of a unit's side that stays visible")
    grid_mask_rotation: bool = Field(default=True, description="turn the grid by any angle")

    # Two pictures in one; the labels follow.
    mixup_alpha: float = Field(default=0, ge=0, le=1000, description="λ ~ Beta(α, α); paper: 0.2 to 1")
    cutmix_alpha: float = Field(default=0, ge=0, le=1000, description="λ ~ Beta(α, α); paper: 1")
    mix_probability: Fraction = Field(default=1, description="of a picture to be mixed at all")

    @model_validator(mode="after")
    def _agree(self) -> AugmentConfig:
        for key in ("random_erasing_area", "grid_mask_unit"):
            low, high = getattr(self, key)
            if not 0 < low <= high:
                raise MienError(f"augment.{key} = [{low}, {high}] is no range", hint="from the smaller to the larger")
        return self

    @property
    def on(self) -> tuple[str, ...]:
        """The keys that switch a change on."""
        return tuple(key for key in SWITCHES if getattr(self, key) not in (0, "off"))
