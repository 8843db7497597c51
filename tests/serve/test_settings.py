from __future__ import annotations

from pathlib import Path

import pytest

from mien.core.errors import MienError
from mien.serve.settings import Access, Settings, is_loopback, read_keys

KEY = "correct-horse-battery"


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.9.9.9"])
def test_the_loopback_needs_no_key(host: str) -> None:
    assert is_loopback(host)
    settings = Settings(host=host).checked()
    assert settings.host == host
    assert settings.access.hosts == {host}  # else nobody could call 127.9.9.9 by its address


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "10.0.0.7", "example.org", "localhost.example.org"])
def test_any_other_address_needs_a_key(host: str) -> None:
    with pytest.raises(MienError, match="MIEN_API_KEY or give --api-key-file"):
        Settings(host=host, access=Access(hosts=frozenset({"a.example"}))).checked()


def test_an_address_is_a_name_to_be_called_by_but_all_addresses_are_none() -> None:
    keys = read_keys(KEY, None)
    assert Settings(host="10.0.0.7", access=Access(keys=keys)).checked().access.hosts == {"10.0.0.7"}
    for every in ("0.0.0.0", "::", ""):
        with pytest.raises(MienError, match="--allow-host"):
            Settings(host=every, access=Access(keys=keys, hosts=frozenset({""}))).checked()
    named = Access(keys=keys, hosts=frozenset({"mien.example"}))
    assert Settings(host="0.0.0.0", access=named).checked().access.hosts == {"mien.example"}


@pytest.mark.parametrize(
    "name",
    ["example.org:8000", "https://example.org", "example.org/mien", "[::1]", "*.example.org", "a b", "münchen.de"],
)
def test_a_name_that_no_request_uses_is_refused(name: str) -> None:
    with pytest.raises(MienError, match="name alone") as caught:
        Settings(access=Access(hosts=frozenset({name}))).checked()
    assert f"--allow-host {name}" in str(caught.value)


INCOMPLETE = ["example.org", "example.org:8000", "https://", "*", "null", "https://*.example.org"]
TOO_MUCH = ["https://example.org/page", "https://example.org?a", "http://a@b", "https://example.org:443", "http://a:80"]


@pytest.mark.parametrize("origin", [*INCOMPLETE, *TOO_MUCH, "http://a:port"])
def test_an_origin_that_no_browser_sends_is_refused(origin: str) -> None:
    with pytest.raises(MienError, match="scheme and name") as caught:
        Settings(access=Access(origins=frozenset({origin}))).checked()
    assert f"--allow-origin {origin.rstrip('/')}" in str(caught.value)


def test_names_and_origins_as_browsers_write_them_are_taken() -> None:
    hosts = frozenset({"example.org", "10.0.0.7", "fe80::1", "mien_1"})
    origins = frozenset({"https://example.org", "http://localhost:3000", "http://[::1]:81", "capacitor://localhost"})
    taken = Settings(access=Access(hosts=hosts, origins=origins)).checked().access
    assert (taken.hosts - {"127.0.0.1"}, taken.origins) == (hosts, origins)


def test_keys_come_from_the_variable_and_from_lines_of_a_file(tmp_path: Path) -> None:
    file = tmp_path / "keys"
    file.write_text(f"\n  {KEY}2 \n\n{KEY}3\n")
    assert [key.get_secret_value() for key in read_keys(f" {KEY}1\n", file)] == [KEY + n for n in "123"]
    assert read_keys(None, None) == ()


@pytest.mark.parametrize(
    "bad", ["", "short", "with a space in between", "schlüssel-schlüssel", "tab\tin-between-words"]
)
def test_a_bad_key_is_refused_without_being_shown(tmp_path: Path, bad: str) -> None:
    file = tmp_path / "keys"
    file.write_text(f"{KEY}\n{bad}\n")
    for variable, path in ((bad, None), (None, file)):
        if path is not None and not bad:
            continue  # an empty line of a file is no key
        with pytest.raises(MienError, match="16 or more") as caught:
            read_keys(variable, path)
        assert not bad or bad not in str(caught.value)
        assert KEY not in str(caught.value)


def test_a_file_without_keys_or_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n \n")
    with pytest.raises(MienError, match="no API key in it"):
        read_keys(None, tmp_path / "empty")
    with pytest.raises(MienError, match="cannot be read"):
        read_keys(None, tmp_path / "nowhere")


def test_settings_never_show_a_key() -> None:
    settings = Settings(access=Access(keys=read_keys(KEY, None)))
    assert KEY not in repr(settings) + str(settings) + settings.model_dump_json()
