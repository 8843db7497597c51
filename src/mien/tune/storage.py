"""The Optuna study of a search: opened or made, and held to the space and data it was begun with."""

from __future__ import annotations

import json
import time
from pathlib import Path

import optuna
from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import ArgumentError, NoSuchModuleError, SQLAlchemyError

from mien.core.errors import MienError
from mien.tune.space import Space, longest

_TRIES, _BETWEEN = 8, 0.5
_SQLITE_SECONDS = 120


def open_study(space: Space, fingerprint: str, *, url: str) -> optuna.Study:
    """The study called as the space, with its pruner; made when it is not there.

    Args:
        space: what is searched.
        fingerprint: of the data set.
        url: of the storage, as SQLAlchemy reads it: sqlite:///FILE, or a server for workers on many machines.

    Raises:
        MienError: the storage cannot be reached, or the study there is of another space or other data.
    """
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    study = optuna.create_study(
        storage=_storage(url), study_name=space.name, direction="maximize", pruner=_pruner(space), load_if_exists=True
    )
    facts = {"space": space.model_dump(mode="json"), "data": fingerprint}
    for name, value in facts.items():
        text = json.dumps(value, sort_keys=True)
        # Two processes that begin at once write the same text.
        if study.user_attrs.get(name, text) != text:
            raise MienError(
                f"{url}: the study {space.name!r} there has another {name}",
                hint="name = … in the space, or another --out",
            )
        study.set_user_attr(name, text)
    return study


def sqlite_url(folder: Path) -> str:
    """The storage of a search that has no server."""
    folder.mkdir(parents=True, exist_ok=True)
    return f"sqlite:///{(folder / 'tune.db').resolve()}"


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
                raise MienError(
                    f"--storage {_without_password(url)}: {type(error).__name__}", hint="is the server there?"
                ) from None
            time.sleep(_BETWEEN)
    raise AssertionError("unreachable")


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
