"""The keys of `[augment]`: ranges, and errors that name them."""

from __future__ import annotations

import pytest

from mien.core import recipe as recipes
from mien.core.augmentation import SWITCHES, AugmentConfig
from mien.core.errors import MienError


def read(*settings: str) -> AugmentConfig:
    return recipes.read("emotion-net", settings).augment


def test_nothing_is_on_by_default() -> None:
    assert read().on == ()
    assert read("augment.flip=alternate", "augment.noise=0.1", "augment.mixup_alpha=0.2").on == (
        *("flip", "noise", "mixup_alpha"),
    )


@pytest.mark.parametrize("switch", SWITCHES)
def test_every_switch_refuses_what_is_out_of_its_range(switch: str) -> None:
    wrong = "sometimes" if switch in ("flip", "random_crop") else "-0.1"
    with pytest.raises(MienError, match=f"augment.{switch} = "):
        read(f"augment.{switch}={wrong}")


@pytest.mark.parametrize("range_", ["[0.4, 0.02]", "[0, 0.5]", "[0.5, 1.5]", "0.3"])
@pytest.mark.parametrize("key", ["random_erasing_area", "grid_mask_unit"])
def test_a_range_goes_from_the_smaller_to_the_larger(key: str, range_: str) -> None:
    with pytest.raises(MienError, match=f"augment.{key}"):
        read(f"augment.{key}={range_}")


def test_a_wrong_key_is_answered_with_its_neighbour() -> None:
    with pytest.raises(MienError) as error:
        read("augment.mixup_alfa=1")
    assert "augment.mixup_alpha" in f"{error.value} {error.value.hint}"


def test_every_key_says_what_it_is_for() -> None:
    silent = [key for key, field in AugmentConfig.model_fields.items() if not field.description]
    assert not silent


def test_keys_survive_being_written_and_read() -> None:
    keys = ("augment.grid_mask_unit=[0.2, 0.5]", "augment.random_erasing_fill=mean", "augment.posterise_bits=3")
    before = recipes.read("mien-m", keys)
    assert recipes.build(recipes.to_tree(before), source="again") == before


@pytest.mark.parametrize("key", ["mixup_alpha", "cutmix_alpha"])
def test_an_alpha_of_which_no_share_can_be_drawn_is_refused(key: str) -> None:
    """numpy's Beta(1e308, 1e308) is 0: every picture would be its partner."""
    for wrong in ("inf", "1e308"):
        with pytest.raises(MienError, match=f"augment.{key} = "):
            read(f"augment.{key}={wrong}")
