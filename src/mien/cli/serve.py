"""`mien serve`: pictures in and expression labels out over HTTP, with a page to try it. Loads no torch."""

from __future__ import annotations

import logging
import os
from pathlib import Path

import typer

from mien.cli.options import Model, Threads, UnsureBelow
from mien.deploy.runtime import Predictor
from mien.faces.centerface import LONGEST_SIDE, PHOTO_SIDE, CenterFace
from mien.serve.app import create_app
from mien.serve.engine import Engine
from mien.serve.server import log_to_terminal, require_free, run
from mien.serve.settings import KEY_VARIABLE, Access, Batching, Limits, Settings, read_keys
from mien.video.follow import Follower, Following

app = typer.Typer(add_completion=False, rich_markup_mode=None)
_LIMITS, _BATCHING = Limits(), Batching()


@app.command()
def command(
    model: Model = None,
    host: str = typer.Option("127.0.0.1", help="Address to listen on; any but the loopback needs an API key."),
    port: int = typer.Option(8000, min=0, max=65535, help="Port to listen on."),
    api_key_file: Path | None = typer.Option(None, help=f"API keys, one a line; besides the variable {KEY_VARIABLE}."),
    allow_host: list[str] = typer.Option([], help="Another name the server is called by. May be repeated."),
    allow_origin: list[str] = typer.Option([], help="Another page that may ask: https://NAME. May be repeated."),
    unsure_below: UnsureBelow = None,
    batch_size: int = typer.Option(_BATCHING.size, min=1, help="Pictures at a time; 1 gathers nothing."),
    wait_ms: float = typer.Option(_BATCHING.wait_ms, min=0, help="How long a picture waits for others."),
    queue: int = typer.Option(_BATCHING.queue, min=1, help="Pictures that may wait; more get 503."),
    timeout: float = typer.Option(_LIMITS.answer_seconds, min=0.1, help="Seconds for an answer, then 504."),
    threads: Threads = None,
    detect_size: int = typer.Option(PHOTO_SIDE, min=32, help="Longer side in px that faces are looked for at."),
) -> None:
    """Serve a model over HTTP, and a page to try it, until Ctrl-C or SIGTERM.

    An expression label says how a face looks in a picture, not what a person feels. Nothing of a picture is stored
    or logged.
    """
    keys = read_keys(os.environ.get(KEY_VARIABLE), api_key_file)
    settings = Settings(
        host=host,
        port=port,
        access=Access(keys=keys, hosts=frozenset(allow_host), origins=frozenset(allow_origin)),
        limits=_LIMITS.model_copy(update={"answer_seconds": timeout}),
        batching=Batching(size=batch_size, wait_ms=wait_ms, queue=queue),
    ).checked()
    require_free(settings)
    detector = CenterFace(longest_side=detect_size, threads=threads)
    frames = detector.at(min(detect_size, LONGEST_SIDE))
    engine = Engine(
        Predictor(model, threads=threads, unsure_below=unsure_below),
        detector,
        max_pixels=settings.limits.pixels,
        follow=lambda: Following(Follower(frames, quick=frames.quicker())),
    )
    engine.check()  # else a model that fails would be told by the running server, as a defect
    served = create_app(engine, settings)
    log_to_terminal()
    logging.getLogger(__name__).info("%s answers; the address below has a page to try it", engine.name)
    run(served, settings)
