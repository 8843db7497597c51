"""What the server is told at its start: where it listens, who may ask, and how much."""

from __future__ import annotations

import ipaddress
import re
from pathlib import Path
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator

from mien.core.errors import MienError
from mien.core.spec import Frozen

KEY_VARIABLE = "MIEN_API_KEY"
SHORTEST_KEY = 16
_KEY_FILE = f"a text file with one key a line, each of {SHORTEST_KEY} or more letters, digits or signs of ASCII"
_NUMBERS = re.compile(r"\d+(\.\d+){3}")
LOOPBACK_NAMES = frozenset({"localhost", "127.0.0.1", "::1"})


class Limits(Frozen):
    """How much one client, and all of them together, may take."""

    body_bytes: int = Field(default=8 * 2**20, gt=0, description="of one request or one frame of a stream")
    all_bodies_bytes: int = Field(default=256 * 2**20, gt=0, description="of all requests that are in memory")
    pixels: int = Field(default=25_000_000, gt=0, description="of one picture, by its header, before decoding")
    pictures: int = Field(default=16, gt=0, description="in one request")
    streams: int = Field(default=32, ge=0, description="open at a time")
    connections: int = Field(default=1000, gt=0, description="open at a time, streams included")
    head_seconds: float = Field(default=10, gt=0, description="for the head of a request to arrive")
    chunk_seconds: float = Field(default=10, gt=0, description="between two pieces of a body")
    body_seconds: float = Field(default=60, gt=0, description="for a whole body to arrive")
    answer_seconds: float = Field(default=10, gt=0, description="in the queue and at the model, then 504")
    unread_seconds: float = Field(default=10, gt=0, description="for a client to read some of what it was sent")
    stream_idle_seconds: float = Field(default=60, gt=0, description="without a frame before a stream is closed")
    shutdown_seconds: int = Field(default=30, gt=0, description="for requests in flight after SIGTERM")


class Batching(Frozen):
    """How requests are gathered before the model sees them."""

    size: int = Field(default=8, gt=0, description="pictures at a time")
    wait_ms: float = Field(default=2, ge=0, description="that the first picture of a batch waits for others")
    queue: int = Field(default=64, gt=0, description="pictures that may wait; more are answered with 503")


class Access(Frozen):
    """Who may ask.

    Attributes:
        keys: any of them opens /v1 and /metrics; none: no key is asked for.
        hosts: names that a request may call the server by, besides the loopback's own; without port.
        origins: pages of other servers that may ask, such as `https://example.org`.
    """

    keys: tuple[SecretStr, ...] = ()
    hosts: frozenset[str] = frozenset()
    origins: frozenset[str] = frozenset()

    @field_validator("hosts", "origins")
    @classmethod
    def _as_browsers_write_them(cls, names: frozenset[str]) -> frozenset[str]:
        # Without empty ones: a Host header that is not well formed counts as the empty name.
        return frozenset(name.lower().rstrip("/") for name in names if name)


class Settings(Frozen):
    """Everything the server is told, besides the model."""

    host: str = "127.0.0.1"
    port: int = Field(default=8000, ge=0, le=65535)
    access: Access = Access()
    limits: Limits = Limits()
    batching: Batching = Batching()

    def checked(self) -> Settings:
        """The same settings, with the address that is listened on among the host names.

        Raises:
            MienError: four numbers that are no address, an address beyond the loopback without a key or without a
                name to be called by, or a name or an origin that no browser ever sends.
        """
        _check_address(self.host)
        _check_names(self.access)
        own = frozenset() if _is_any(self.host) else frozenset({self.host.lower()})
        hosts = self.access.hosts | own
        if not is_loopback(self.host) and not self.access.keys:
            raise MienError(
                f"{self.host} can be reached from other machines, so an API key is needed",
                hint=f"set {KEY_VARIABLE} or give --api-key-file, or listen on 127.0.0.1",
            )
        if not hosts:
            raise MienError(
                f"{self.host} stands for every address of this machine, so say by which names it may be called",
                hint="--allow-host example.org",
            )
        return self.model_copy(update={"access": self.access.model_copy(update={"hosts": hosts})})


def is_loopback(host: str) -> bool:
    """Whether an address or name can be reached from this machine only."""
    if host.lower() in LOOPBACK_NAMES:
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _check_address(host: str) -> None:
    if _NUMBERS.fullmatch(host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            raise MienError(
                f"--host {host}: no address, its numbers go from 0 to 255", hint="--host 127.0.0.1"
            ) from None


def _is_any(host: str) -> bool:
    try:
        return not host or ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _check_names(access: Access) -> None:
    for name in sorted(access.hosts):
        if not _is_name(name):
            raise MienError(
                f"--allow-host {name}: no request will call the server so",
                hint="give the name alone, without scheme, port and path: example.org",
            )
    for origin in sorted(access.origins):
        if not _is_origin(origin):
            raise MienError(
                f"--allow-origin {origin}: no browser names a page so",
                hint="give scheme and name, and the port where it is not the scheme's own: https://example.org",
            )


def _is_name(text: str) -> bool:
    """Whether a host can be called that; an IPv6 address has no brackets here."""
    try:
        return bool(re.fullmatch(r"[a-z0-9._-]+", text) or ipaddress.ip_address(text))
    except ValueError:
        return False


def _is_origin(text: str) -> bool:
    try:
        scheme, address, *_ = parts = urlsplit(text)
        its_own = parts.port is not None and parts.port == {"http": 80, "https": 443}.get(scheme)
    except ValueError:
        return False
    plain = text == f"{scheme}://{address}" and "@" not in address
    return bool(scheme) and plain and not its_own and _is_name(parts.hostname or "")


def read_keys(variable: str | None, file: Path | None) -> tuple[SecretStr, ...]:
    """API keys from the text of an environment variable and from a file with one a line, so that they can overlap.

    Raises:
        MienError: a file that cannot be read or is empty, a key that is too short or not plain ASCII. None is shown.
    """
    places = [] if variable is None else [(KEY_VARIABLE, [variable.strip()])]
    if file is not None:
        places.append((str(file), _lines(file)))
    for place, keys in places:
        for number, key in enumerate(keys, 1):
            if len(key) < SHORTEST_KEY or not key.isascii() or not key.isprintable() or " " in key:
                raise MienError(
                    f"{place}: key {number} is not {SHORTEST_KEY} or more letters, digits or signs of ASCII",
                    hint="python -c 'import secrets; print(secrets.token_urlsafe())'",
                )
    return tuple(SecretStr(key) for _, keys in places for key in keys)


def _lines(file: Path) -> list[str]:
    try:
        lines = [line.strip() for line in file.read_text(encoding="utf-8").splitlines()]
    except (OSError, UnicodeDecodeError) as error:
        raise MienError(f"{file}: the API keys cannot be read ({type(error).__name__})", hint=_KEY_FILE) from None
    keys = [line for line in lines if line]
    if not keys:
        raise MienError(f"{file}: no API key in it", hint=_KEY_FILE)
    return keys
