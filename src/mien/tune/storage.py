"""The Optuna study of a search: opened or made, and held to the space and data it was begun with."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from mien.core import recipe as recipes
from mien.core.errors import MienError
from mien.core.recipe import Recipe
from mien.tune.space import Space, longest

_TRIES, _BETWEEN = 8, 0.5
_T = TypeVar("_T")
_SQLITE_SECONDS = 120


class StorageLostError(MienError):
    """The storage does not answer any more, which is nobody's result."""


def retried(seconds: float, call: Callable[[], _T]) -> _T:
    """What a call to the storage gives; a server that restarts is asked again for so many seconds.

    The call may come twice where only its answer was lost, so it has to be one for which that is no harm.

    Raises:
        StorageLostError: it did not answer in that time.
    """
    end = time.monotonic() + seconds
    while True:
        try:
            return call()
        except (SQLAlchemyError, StorageInternalError) as error:
            if time.monotonic() >= end:
                raise StorageLostError(
                    f"the storage of the search has not answered for {seconds:g} s ({_told(error)})",
                    hint="the same command goes on, once it is there again",
                ) from None
            time.sleep(min(_BETWEEN, seconds))


def open_study(space: Space, fingerprint: str, *, url: str) -> optuna.Study:
    """The study called as the space, with its pruner; made when it is not there.

    It is held to the space, the recipe that the space names, and the data. A study of an earlier mien that has not
    noted its recipe takes the present one.

    Args:
        space: what is searched.
        fingerprint: of the data set.
        url: of the storage, as SQLAlchemy reads it: sqlite:///FILE, or a server for workers on many machines.

    Raises:
        MienError: the storage cannot be reached or is damaged, or the study there is of another space, recipe or data.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=_storage(url), study_name=space.name, direction="maximize", pruner=_pruner(space), load_if_exists=True
    )
    recipe = _trained(recipes.read(space.recipe, space.set))
    facts = {"space": space.model_dump(mode="json"), "recipe": recipe, "data": fingerprint}
    for name, value in facts.items():
        text = json.dumps(value, sort_keys=True)
        # Two processes that begin at once write the same text.
        if _noted(study, name, default=text) != text:
            raise MienError(
                f"{_without_password(url)}: the study {space.name!r} there has another {name}",
                hint="another --out" if url.startswith("sqlite") else "another --out, and name = … in the space",
            )
        study.set_user_attr(name, text)
    return study


def _noted(study: optuna.Study, name: str, *, default: str) -> str:
    """What the study was begun with. A key of recipes that is newer than the study has its default there."""
    text: str = study.user_attrs.get(name, default)
    if name != "recipe":
        return text
    then = recipes.build(json.loads(text), source=f"the recipe of the study {study.study_name!r}")
    return json.dumps(_trained(then), sort_keys=True)


def _trained(recipe: Recipe) -> dict[str, Any]:
    """What a recipe says of the training; its name and what is said about it may change."""
    return recipe.model_dump(mode="json", exclude={"name", "about"})


def sqlite_url(folder: Path) -> str:
    """The storage of a search that has no server."""
    folder.mkdir(parents=True, exist_ok=True)
    # Put together by SQLAlchemy, to which a question mark in a path would begin options.
    return URL.create("sqlite", database=str((folder / "tune.db").resolve())).render_as_string()


def _storage(url: str) -> optuna.storages.RDBStorage:
    arguments = {"connect_args": {"timeout": _SQLITE_SECONDS}} if url.startswith("sqlite") else {"pool_pre_ping": True}
    for number in range(_TRIES):
        try:
            return optuna.storages.RDBStorage(url, engine_kwargs=arguments)
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            hint = "such as postgresql+psycopg://user@host/base, with its driver installed"
            raise MienError(f"--storage {_without_password(url)}: {error}", hint=hint) from None
        except (SQLAlchemyError, StorageInternalError) as error:
            # Several processes that make the tables of a new storage at once: all but one are refused, for a moment.
            if number == _TRIES - 1:
                raise _unreadable(url, error) from None
            time.sleep(_BETWEEN)
    raise AssertionError("unreachable")


def _unreadable(url: str, error: Exception) -> MienError:
    told = _told(error)
    if not url.startswith("sqlite"):
        return MienError(f"--storage {_without_password(url)}: {told}", hint="is the server there?")
    return MienError(
        f"{make_url(url).database}: no storage of a search, or damaged ({told})",
        hint="choose another --out to begin anew",
    )


def _told(error: Exception) -> str:
    return str(getattr(error, "orig", None) or type(error).__name__)


def _without_password(url: str) -> str:
    head, at, host = url.rpartition("@")
    return f"{head.partition('://')[0]}://…@{host}" if at else url


def _pruner(space: Space) -> optuna.pruners.BasePruner:
    """By epoch; Hyperband as in arXiv 1603.06560 with η = 3."""
    if space.pruning == "median":
        return optuna.pruners.MedianPruner(n_startup_trials=4, n_warmup_steps=space.pruning_from_epoch)
    if space.pruning == "hyperband":
        most = max(longest(space), space.pruning_from_epoch)
        return optuna.pruners.HyperbandPruner(space.pruning_from_epoch, most, reduction_factor=3)
    return optuna.pruners.NopPruner()
