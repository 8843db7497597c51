from __future__ import annotations

import base64
from collections.abc import Callable
from types import SimpleNamespace

import pytest
from starlette.testclient import TestClient, WebSocketDenialResponse

from mien.serve.guard import host_name
from mien.serve.settings import read_keys

Make = Callable[..., SimpleNamespace]
KEY, OTHER = "correct-horse-battery", "staple-and-more-of-it"


def status(client: TestClient, path: str = "/healthz", **headers: str) -> int:
    return client.get(path, headers={name.replace("_", "-"): value for name, value in headers.items()}).status_code


@pytest.mark.parametrize("host", ["localhost", "localhost:8000", "127.0.0.1:1", "[::1]:8000", "LocalHost"])
def test_the_loopbacks_own_names_are_taken_with_any_port(client: TestClient, host: str) -> None:
    assert status(client, host=host) == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "evil.example:8000",
        "",
        "localhost:x",
        "a@localhost",
        "localhost/",
        "10.0.0.7",
    ],
)
def test_other_names_are_refused_on_every_path(client: TestClient, host: str) -> None:
    for path in ("/", "/healthz", "/v1/model", "/page/main.js", "/metrics"):
        assert status(client, path, host=host) == 403


def test_a_further_name_is_taken_when_it_is_allowed(make: Make) -> None:
    with TestClient(make(hosts={"Mien.example"}).app, base_url="http://localhost") as client:
        assert status(client, host="mien.example:443") == 200
        assert status(client, host="other.example") == 403


def test_host_names_are_read_strictly() -> None:
    assert host_name("[::1]") == "::1"
    assert [host_name(bad) for bad in ("[::1", "a b", "a?b", "a#b", "user:pw@localhost", "localhost:99999")] == [
        *("", "a b", "", "", "", "")
    ]


@pytest.mark.parametrize("origin", ["http://localhost:8000", "https://localhost:8000", "HTTP://LOCALHOST:8000"])
def test_the_servers_own_page_may_ask(client: TestClient, origin: str) -> None:
    assert status(client, host="localhost:8000", origin=origin) == 200


@pytest.mark.parametrize(
    "origin",
    [
        "http://evil.example",
        "null",
        "",
        "http://localhost",
        "http://localhost:3000",
        "file://",
        "http://localhost:8000.evil",
    ],
)
def test_pages_of_others_may_not(client: TestClient, origin: str) -> None:
    assert status(client, host="localhost:8000", origin=origin) == 403
    with (
        pytest.raises(WebSocketDenialResponse),
        client.websocket_connect("ws://localhost:8000/v1/stream", headers={"origin": origin}),
    ):
        pass


def test_a_page_elsewhere_may_link_here_but_not_load_from_here(client: TestClient) -> None:
    assert status(client, "/", sec_fetch_site="cross-site", sec_fetch_mode="navigate") == 200
    assert status(client, "/v1/model", sec_fetch_site="cross-site", sec_fetch_mode="no-cors") == 403
    assert status(client, "/v1/model", sec_fetch_site="same-site", sec_fetch_mode="no-cors") == 403
    assert status(client, "/v1/model", sec_fetch_site="same-origin") == 200


def test_a_page_of_an_allowed_origin_can_read_why_it_was_refused(make: Make) -> None:
    app = make(origins={"https://app.example"}, keys=["correct-horse-battery"]).app
    with TestClient(app, base_url="http://localhost") as client:
        answer = client.get("/v1/model", headers={"origin": "https://app.example"})
    assert answer.status_code == 401
    assert answer.headers["access-control-allow-origin"] == "https://app.example"


def test_an_allowed_origin_is_answered_as_its_browser_wants(make: Make) -> None:
    with TestClient(make(origins={"https://App.example/"}).app, base_url="http://localhost") as client:
        asked = {"origin": "https://app.example", "access-control-request-method": "POST"}
        assert client.options("/v1/predict", headers=asked).headers["access-control-allow-origin"] == asked["origin"]
        answer = client.get("/v1/model", headers={"origin": "https://app.example"})
        assert answer.headers["access-control-allow-origin"] == "https://app.example"
        assert status(client, origin="https://evil.example") == 403


@pytest.fixture
def locked(make: Make) -> TestClient:
    keys = read_keys(KEY, None) + read_keys(OTHER, None)
    with TestClient(make(keys=keys).app, base_url="http://localhost") as client:
        yield client


@pytest.mark.parametrize("key", [KEY, OTHER])
def test_any_of_the_keys_opens(locked: TestClient, key: str) -> None:
    assert status(locked, "/v1/model", authorization=f"Bearer {key}") == 200
    assert status(locked, "/metrics", authorization=f"bearer {key}") == 200


@pytest.mark.parametrize(
    "given", ["", "Bearer", "Bearer ", f"Bearer {KEY}x", f"Bearer {KEY[:-1]}", f"Basic {KEY}", KEY]
)
def test_without_a_right_key_nothing_is_answered(locked: TestClient, given: str) -> None:
    for path in ("/v1/model", "/metrics"):
        assert status(locked, path, authorization=given) == 401
    answer = locked.post("/v1/predict", content=b"x", headers={"authorization": given})
    assert (answer.status_code, answer.json()["code"]) == (401, "unauthorised")
    assert answer.headers["www-authenticate"] == "Bearer"
    assert KEY not in answer.text


def test_page_and_signs_of_life_need_no_key(locked: TestClient) -> None:
    for path in ("/", "/page/main.js", "/healthz", "/readyz", "/openapi.json"):
        assert status(locked, path) == 200


def offered(key: str) -> list[str]:
    return ["mien.v1", "mien.key." + base64.urlsafe_b64encode(key.encode()).decode().rstrip("=")]


def test_a_stream_takes_its_key_as_a_header_or_a_subprotocol(locked: TestClient) -> None:
    with locked.websocket_connect("ws://localhost/v1/stream", subprotocols=offered(OTHER)) as stream:
        assert stream.accepted_subprotocol == "mien.v1"
    with locked.websocket_connect("ws://localhost/v1/stream", headers={"authorization": f"Bearer {KEY}"}) as stream:
        assert stream.accepted_subprotocol is None


def test_blanks_around_a_key_do_not_count_in_requests_and_streams_alike(locked: TestClient) -> None:
    assert status(locked, "/v1/model", authorization=f"Bearer  {KEY} ") == 200
    with locked.websocket_connect("ws://localhost/v1/stream", subprotocols=offered(f" {KEY} ")) as stream:
        assert stream.accepted_subprotocol == "mien.v1"


@pytest.mark.parametrize("protocols", [None, ["mien.v1"], offered(KEY + "x"), ["mien.key.***"], ["mien.key."]])
def test_a_stream_without_a_right_key_is_refused(locked: TestClient, protocols: list[str] | None) -> None:
    with (
        pytest.raises(WebSocketDenialResponse) as caught,
        locked.websocket_connect("ws://localhost/v1/stream", subprotocols=protocols),
    ):
        pass
    assert caught.value.status_code == 401


def test_every_answer_forbids_guessing_types_and_framing(client: TestClient) -> None:
    for path in ("/", "/healthz", "/nowhere", "/page/page.css"):
        headers = client.get(path).headers
        assert headers["x-content-type-options"] == "nosniff"
        assert headers["x-frame-options"] == "DENY"
        assert "server" not in headers
    assert client.get("/", headers={"host": "evil.example"}).headers["x-content-type-options"] == "nosniff"


def test_the_page_allows_itself_nothing_inline_and_no_other_server(client: TestClient) -> None:
    policy = client.get("/", headers={"host": "localhost:81"}).headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "connect-src 'self' ws://localhost:81 wss://localhost:81" in policy
    assert "unsafe" not in policy
    assert "*" not in policy
    page = client.get("/").text
    assert "style=" not in page
    assert "<style" not in page
    assert "onclick" not in page
    assert "http://" not in page
    assert "https://" not in page


def test_page_files_are_not_sent_again_when_they_are_known(client: TestClient) -> None:
    first = client.get("/page/main.js")
    assert first.headers["content-type"] == "text/javascript; charset=utf-8"
    again = client.get("/page/main.js", headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert client.head("/").headers["content-type"] == "text/html; charset=utf-8"
