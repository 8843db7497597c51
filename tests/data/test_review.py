"""The review: decisions on disk at once, undo, and a server that answers nobody else."""

from __future__ import annotations

import http.client
import io
import json
import shutil
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.cli.app import run
from mien.core.errors import MienError
from mien.data import corrections
from mien.data.corrections import Correction
from mien.data.dataset import Dataset
from mien.data.review.server import ReviewServer
from mien.data.review.session import Session

ROWS = (12, 3, 77)


@pytest.fixture
def file(bar_set: Dataset, tmp_path: Path) -> Path:
    """Three doubtful labels of the set of bars, none decided."""
    names, sources, digests = bar_set.info.labels, bar_set.column("source"), bar_set.column("sha256")
    lines = [
        Correction(
            row=row,
            source=sources[row],
            sha256=digests[row],
            label=names[bar_set.label[row]],
            suggested=names[(bar_set.label[row] + 1) % 7],
            score=0.1 * i,
        )
        for i, row in enumerate(ROWS)
    ]
    corrections.write(tmp_path / "corrections.csv", lines)
    return tmp_path / "corrections.csv"


@pytest.fixture
def session(bar_set: Dataset, file: Path) -> Session:
    return Session(bar_set, file)


def on_disk(file: Path) -> list[tuple[str, str]]:
    return [(line.action, line.new_label) for line in corrections.read(file)]


def test_every_decision_is_on_disk_before_it_is_answered(session: Session, file: Path) -> None:
    said = session.decide(12, "relabel")
    assert on_disk(file) == [("relabel", said["suggested"]), ("", ""), ("", "")]
    session.decide(77, "relabel", "disgust")
    session.decide(3, "drop")
    assert on_disk(file)[1:] == [("drop", ""), ("relabel", "disgust")]
    assert session.counts() == {"keep": 0, "relabel": 2, "drop": 1, "undecided": 0}


def test_a_review_goes_on_where_it_was_left(bar_set: Dataset, session: Session, file: Path) -> None:
    session.decide(12, "keep")
    again = Session(bar_set, file)
    assert again.undecided(0) == 1
    assert again.item(0)["action"] == "keep"
    assert again.item(2)["next"] == 1  # after the last comes what was left out


def test_undo_takes_decisions_back_in_turn(session: Session, file: Path) -> None:
    session.decide(12, "drop")
    session.decide(12, "keep")
    assert session.undo()["action"] == "drop"
    assert session.undo()["action"] == ""
    assert session.undo() is None
    assert on_disk(file) == [("", "")] * 3


def test_what_somebody_else_saved_in_the_meantime_stays(session: Session, file: Path) -> None:
    lines = corrections.read(file)
    corrections.write(file, [lines[0], replace(lines[1], action="drop", others={"comment": "mine"}), lines[2]])
    session.decide(77, "keep")
    assert [line.action for line in corrections.read(file)] == ["", "drop", "keep"]
    assert corrections.read(file)[1].others == {"comment": "mine"}


def test_the_votes_are_shown_the_most_first(bar_set: Dataset, session: Session) -> None:
    shown = session.item(0)["votes"]
    assert list(shown.values()) == [8, 2]
    assert sum(shown.values()) == bar_set.votes[12].sum()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        ((5, "keep"), "no line is about row 5"),
        ((12, "kepp"), "unknown action 'kepp'"),
        ((12, "relabel", "hapy"), "unknown label 'hapy'"),
    ],
)
def test_a_decision_that_makes_no_sense_changes_nothing(
    session: Session, file: Path, arguments: tuple[Any, ...], said: str
) -> None:
    before = file.read_bytes()
    with pytest.raises(MienError, match=said):
        session.decide(*arguments)
    assert file.read_bytes() == before


def test_corrections_of_another_set_are_refused(bar_set: Dataset, file: Path) -> None:
    file.write_text(file.read_text().replace(str(bar_set.column("sha256")[3]), "0" * 64))
    with pytest.raises(MienError, match="other pixels"):
        Session(bar_set, file)


def broken(monkeypatch: pytest.MonkeyPatch) -> None:
    """From now on nothing can be written."""

    def write(path: Path, _: object) -> None:
        raise OSError(28, "No space left on device", str(path))

    monkeypatch.setattr(corrections, "write", write)


def test_what_could_not_be_written_was_not_decided(
    session: Session, file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    session.decide(12, "drop")
    with monkeypatch.context() as patch:
        broken(patch)
        with pytest.raises(MienError, match=r"corrections.csv: cannot be written \(No space left on device\)"):
            session.decide(3, "keep")
        with pytest.raises(MienError, match="cannot be written"):
            session.undo()
    assert session.counts()["undecided"] == 2
    assert session.undo()["row"] == 12, "the one decision that was made"
    assert session.undo() is None
    assert on_disk(file) == [("", "")] * 3


def test_the_set_that_is_named_is_the_one_that_is_reviewed(
    bar_set: Dataset, file: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ReviewServer, "serve_forever", lambda _: pytest.fail("started"))
    own = shutil.copytree(bar_set.path, tmp_path / "own")
    (own / "audit").mkdir()
    shutil.copy(file, own / "audit")
    for data, said in ((tmp_path / "gone", "no such folder"), (file.parent, "not a packed data set")):
        assert run(["data", "review", str(own), "--data", str(data), "--no-browser"]) == 2
        assert said in capsys.readouterr().err


@pytest.fixture
def server(session: Session) -> Iterator[ReviewServer]:
    with ReviewServer(session) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def ask(server: ReviewServer, place: str, body: Any = None, **headers: str) -> tuple[http.client.HTTPResponse, bytes]:
    """One request to a place of the page; a body that is not bytes is sent as JSON."""
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    content = body if body is None or isinstance(body, bytes) else json.dumps(body).encode()
    sent = {"Content-Type": "application/json"} if body is not None else {}
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    method = "GET" if body is None else "POST"
    connection.request(method, f"/{server.secret}/{place}", content, sent | named)
    answer = connection.getresponse()
    data = answer.read()
    connection.close()
    return answer, data


def test_the_page_and_its_parts_are_served_with_a_strict_policy(server: ReviewServer) -> None:
    for place, kind in (("", "text/html"), ("page.js", "text/javascript"), ("page.css", "text/css")):
        answer, body = ask(server, place)
        assert answer.status == 200
        assert answer.headers["Content-Type"].startswith(kind)
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert "unsafe" not in answer.headers["Content-Security-Policy"]
        assert b"://" not in body, "nothing comes from elsewhere"


def test_a_review_over_http(server: ReviewServer, bar_set: Dataset, file: Path) -> None:
    about = json.loads(ask(server, "set")[1])
    assert about["labels"] == list(bar_set.info.labels)
    assert (about["total"], about["start"]) == (3, 0)
    item = json.loads(ask(server, "item/0")[1])
    assert (item["row"], item["split"], item["ahead"]) == (12, "train", [3, 77])
    picture = Image.open(io.BytesIO(ask(server, "picture/12.png")[1]))
    np.testing.assert_array_equal(np.asarray(picture), bar_set.images[12])
    decided = json.loads(ask(server, "decide", {"row": 12, "action": "relabel", "new_label": "sad"})[1])
    assert (decided["next"], decided["counts"]["relabel"]) == (1, 1)
    assert on_disk(file)[0] == ("relabel", "sad")
    assert json.loads(ask(server, "undo", {})[1])["action"] == ""
    assert on_disk(file)[0] == ("", "")


def test_a_write_that_fails_is_answered_in_words(
    server: ReviewServer, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    broken(monkeypatch)
    answer, body = ask(server, "decide", {"row": 12, "action": "drop"})
    assert answer.status == 409
    assert "cannot be written (No space left on device)" in json.loads(body)["error"]
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("place", "headers"),
    [
        ("item/0", {"Host": "evil.example"}),
        ("item/0", {"Host": "127.0.0.1:1"}),
        ("decide", {"Origin": "http://evil.example"}),
        ("decide", {"Origin": "null"}),
        ("decide", {"Content_Type": "text/plain"}),
    ],
)
def test_other_sites_are_refused(server: ReviewServer, file: Path, place: str, headers: dict[str, str]) -> None:
    before = file.read_bytes()
    body = {"row": 12, "action": "drop"} if place == "decide" else None
    assert ask(server, place, body, **headers)[0].status in (403, 415)
    assert file.read_bytes() == before


def test_without_the_secret_there_is_nothing(server: ReviewServer) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    for path in ("/", "/item/0", "/picture/12.png", f"/{server.secret[:-1]}/item/0"):
        connection.request("GET", path)
        answer = connection.getresponse()
        assert answer.status == 404
        assert b"sad" not in answer.read()
    connection.close()


@pytest.mark.parametrize(
    ("place", "body", "status"),
    [
        ("item/3", None, 409),
        ("item/-1", None, 404),
        ("item/" + "9" * 400, None, 404),
        ("picture/5.png", None, 409),
        ("../session.py", None, 404),
        ("decide", b"[" * 4000, 400),
        ("decide", b"\xff", 400),
        ("decide", [1], 400),
        ("decide", {"row": True, "action": "drop"}, 400),
        ("decide", {"row": 12, "action": None}, 400),
        ("decide", {"row": 5, "action": "drop"}, 409),
        ("decide", b" " * 5000, 413),
        ("undo", {}, 409),
        ("elsewhere", {}, 404),
    ],
)
def test_nonsense_gets_an_answer_and_changes_nothing(
    server: ReviewServer, file: Path, place: str, body: Any, status: int
) -> None:
    before = file.read_bytes()
    answer, said = ask(server, place, body)
    assert answer.status == status
    assert json.loads(said)["error"]
    assert file.read_bytes() == before
    assert ask(server, "set")[0].status == 200


def test_it_listens_on_the_loopback_address_only(server: ReviewServer) -> None:
    assert server.server_address[0] == "127.0.0.1"


def test_a_port_that_is_taken_is_an_error_with_a_way_out(server: ReviewServer, session: Session) -> None:
    with pytest.raises(MienError, match="--port 0"):
        ReviewServer(session, port=server.server_port)
