"""`mien data fetch`: with a stand-in for kagglehub, as no test reaches into the network."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from mien.cli.app import run
from mien.core.errors import MienError, MissingExtraError
from mien.data import fetch as fetching
from mien.data.dataset import load
from mien.data.fetch import SETS, fetch, remote

Write = Callable[..., Path]


class StandIn:
    """Gives a folder, or raises an error, and remembers what it was asked for."""

    def __init__(self, answer: Path | Exception) -> None:
        self.answer, self.asked = answer, list[str]()

    def __call__(self) -> StandIn:
        return self

    def dataset_download(self, handle: str, /) -> str:
        self.asked.append(handle)
        if isinstance(self.answer, Exception):
            raise self.answer
        return str(self.answer)


class HttpError(OSError):
    """As requests.HTTPError: an OSError with the response that was no good."""

    def __init__(self, status: int) -> None:
        super().__init__(f"{status} Client Error.\n\nYou don't have permission")
        self.response = type("Response", (), {"status_code": status})()


class CredentialError(Exception):
    """Of the same name as kagglehub's."""


@pytest.fixture
def stand_in(monkeypatch: pytest.MonkeyPatch) -> Callable[[Path | Exception], StandIn]:
    """`stand_in(answer)`: from now on kagglehub is a stand-in with this answer."""

    def put(answer: Path | Exception) -> StandIn:
        client = StandIn(answer)
        monkeypatch.setitem(sys.modules, "kagglehub", client)
        return client

    return put


ROWS = [(i % 7, i, ("Training", "PublicTest", "PrivateTest")[i // 7]) for i in range(21)]


def test_fer2013_is_downloaded_and_its_csv_imported(
    write_csv: Write, stand_in: Callable[..., StandIn], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    source = write_csv(ROWS)
    (tmp_path / "cache/versions/1").mkdir(parents=True)
    source.rename(tmp_path / "cache/versions/1/fer2013.csv")
    client = stand_in(tmp_path / "cache")
    assert run(["data", "fetch", "fer2013", "--out", str(tmp_path / "packed")]) == 0
    out = capsys.readouterr().out
    assert client.asked == ["deadskull7/fer2013"]
    assert "fetching fer2013 from https://www.kaggle.com/datasets/deadskull7/fer2013" in out
    assert "terms: " in out
    assert load(tmp_path / "packed").info.counts["test"]["happy"] == 1


def test_another_copy_can_be_named_and_all_of_it_is_imported(
    write_pictures: Write, stand_in: Callable[..., StandIn], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_pictures({f"{split}/{word}/{split}{word}.png": 1 for split in ("train", "test") for word in "ab"})
    client = stand_in(folder)
    arguments = ["data", "fetch", "fer2013", "--out", str(tmp_path / "packed"), "--handle", "msambare/fer2013"]
    assert run([*arguments, "--json"]) == 0
    assert client.asked == ["msambare/fer2013"]
    assert json.loads(capsys.readouterr().out)["page"] == "https://www.kaggle.com/datasets/msambare/fer2013"


def test_what_was_rejected_is_told_as_by_an_import(
    write_csv: Write, stand_in: Callable[..., StandIn], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_csv([*ROWS, (0, "1 2", "Training"), (9, 1, "Training")])
    stand_in(tmp_path)
    arguments = ["data", "fetch", "fer2013", "--out", str(tmp_path / "packed")]
    assert run(arguments) == 0
    assert f"· 2 damaged: see {tmp_path / 'packed' / 'rejects.csv'}" in capsys.readouterr().out
    assert run([*arguments, "--force", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rejects"] == {"damaged": 2}


def test_nothing_is_downloaded_for_an_out_that_is_taken(
    write_csv: Write, stand_in: Callable[..., StandIn], tmp_path: Path
) -> None:
    client = stand_in(write_csv(ROWS).parent)
    (tmp_path / "packed").mkdir()
    (tmp_path / "packed/mine.txt").write_text("x")
    assert run(["data", "fetch", "fer2013", "--out", str(tmp_path / "packed")]) == 2
    assert client.asked == []


BY_HAND = (
    "download https://www.kaggle.com/datasets/deadskull7/fer2013 with a browser, unpack it, and: "
    "mien data import fer2013.csv --out PACKED"
)


@pytest.mark.parametrize(
    ("error", "said", "todo"),
    [
        (ConnectionError("Name or service not known"), "no way to it from here (Name or service not known)", BY_HAND),
        (HttpError(403), "Kaggle wants to know who asks (403 Client Error.)", "set KAGGLE_API_TOKEN"),
        (CredentialError("no token"), "Kaggle wants to know who asks (no token)", BY_HAND),
        (HttpError(404), "not there", "--handle OWNER/NAME"),
        (HttpError(500), "cannot be fetched (500 Client Error.)", BY_HAND),
        (RuntimeError(), "cannot be fetched (RuntimeError)", BY_HAND),
    ],
)
def test_what_went_wrong_is_said_with_what_to_do(error: Exception, said: str, todo: str) -> None:
    with pytest.raises(MienError) as raised:
        fetch(remote("fer2013"), client=StandIn(error))
    assert said in raised.value.message
    assert todo in (raised.value.hint or "")
    assert (raised.value.hint or "").count("download ") <= 1


def test_a_set_that_lost_its_csv_is_refused(tmp_path: Path) -> None:
    with pytest.raises(MienError, match=r"has no fer2013\.csv any more"):
        fetch(remote("fer2013"), client=StandIn(tmp_path))


def test_without_kagglehub_it_says_what_to_install_and_how_to_do_without(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "kagglehub", None)
    with pytest.raises(MissingExtraError):
        fetching.load_kagglehub()
    assert run(["data", "fetch", "fer2013", "--out", str(tmp_path / "packed")]) == 2
    err = capsys.readouterr().err
    assert "this needs the package kagglehub" in err
    assert "pip install 'mien[fetch]', or download https://www.kaggle.com" in err


def test_a_wrong_name_or_handle_is_told_before_anything_is_loaded() -> None:
    with pytest.raises(MienError, match="did you mean 'fer2013'"):
        remote("fer2103")
    with pytest.raises(MienError, match="not of the form owner/name"):
        remote("fer2013", "fer2013")
    assert remote("fer2013") is SETS["fer2013"]
