"""The app: routes, their description, and one shape for every error."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager
from typing import Annotated, Any, TypeVar

from fastapi import APIRouter, Depends, FastAPI, Query, Request, WebSocket
from starlette.middleware.cors import CORSMiddleware
from starlette.responses import Response
from starlette.types import ASGIApp

from mien import __version__
from mien.deploy.photos import Find
from mien.serve import page
from mien.serve.calm import Calm
from mien.serve.describe import DESCRIPTION, METRICS_ANSWER, PREDICT_ANSWER, PREDICT_BODY, describe_heads, describe_keys
from mien.serve.engine import Engine, Way
from mien.serve.guard import Guard
from mien.serve.handlers import handle_errors
from mien.serve.log import Outermost
from mien.serve.metrics import CONTENT_TYPE
from mien.serve.problems import documented
from mien.serve.service import Service
from mien.serve.settings import Settings
from mien.serve.stream import Stream
from mien.serve.uploads import ClientGoneError, read_pictures
from mien.serve.wire import Answer, LabelSetName, ModelAnswer, PictureAnswer, State

T = TypeVar("T")

FindQuery = Annotated[
    Find,
    Query(
        alias="faces",  # as the option of `mien predict`
        description="detect: look for faces; crop: the picture is one cut-out face; auto: tell the two apart",
    ),
]
LabelsQuery = Annotated[LabelSetName | None, Query(description="label set to answer in; else the model's own")]
HeadQuery = Annotated[
    str | None,
    Query(max_length=64, description="head to ask (`/v1/model` names them); else the one that fits `labels`"),
]
SmoothQuery = Annotated[
    float, Query(ge=0, le=10, description="after so many seconds, what was seen before counts 1/e; 0 smooths nothing")
]
routes = APIRouter()


def create_app(engine: Engine, settings: Settings) -> ASGIApp:
    """The server of one model, ready for any ASGI server.

    Raises:
        MienError: settings that would open it to others without a key.
    """
    settings = settings.checked()
    service = Service(engine, settings)

    @asynccontextmanager
    async def lifespan(_: FastAPI) -> AsyncIterator[None]:
        await service.start()
        yield
        await service.close()

    app = FastAPI(
        title="mien",
        version=__version__,
        description=DESCRIPTION,
        docs_url=None,  # its page loads scripts from elsewhere
        redoc_url=None,
        redirect_slashes=False,  # behind a proxy they lead to http, and a body is sent twice
        lifespan=lifespan,
    )
    app.state.service = service
    app.include_router(routes)
    page.mount(app)
    handle_errors(app)
    describe_heads(app, [head.name for head in engine.predictor.spec.heads])
    if settings.access.keys:
        describe_keys(app)
    return _wrapped(app, service, settings)


def _wrapped(app: FastAPI, service: Service, settings: Settings) -> ASGIApp:
    """Outermost first: headers and log, for pages of named origins the answer to their browser, and who may ask.

    A browser shows a page a refusal only where it carries the headers for that page, so these come before the guard.
    """
    inner: ASGIApp = Guard(app, settings.access)
    if settings.access.origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=sorted(settings.access.origins),
            allow_methods=["GET", "POST"],
            allow_headers=["*"],
            expose_headers=["Retry-After"],
        )
    return Outermost(inner, service.metrics)


def _service(request: Request) -> Service:
    service: Service = request.app.state.service
    return service


ServiceOf = Annotated[Service, Depends(_service)]


@routes.post(
    "/v1/predict",
    tags=["pictures"],
    summary="Faces and their expression labels",
    responses=PREDICT_ANSWER
    | documented(
        *("invalid_request", "unauthorised", "forbidden", "too_slow", "too_large", "unsupported_type"),
        *("unreadable_picture", "invalid_parameter", "internal", "busy", "timeout"),
    ),
    openapi_extra={"requestBody": PREDICT_BODY},
)
async def predict(
    request: Request,
    service: ServiceOf,
    find: FindQuery = "auto",
    labels: LabelsQuery = None,
    head: HeadQuery = None,
) -> Answer:
    """One picture as the body, or several as the files of a form. Nothing of them is stored or logged."""
    with service.budget.share() as share:
        pictures = await read_pictures(request, share, service.limits)
        numbers = range(1, len(pictures) + 1) if len(pictures) > 1 else [None]
        way = Way(find, labels, head)
        asked = [service.asked(data, way, number=n) for n, data in zip(numbers, pictures, strict=True)]
        photos = await _unless_gone(request, service.answer(asked))
    return Answer(model=service.engine.name, pictures=[PictureAnswer.of(photo) for photo in photos])


@routes.get(
    "/v1/model",
    tags=["pictures"],
    summary="What answers, and what may be asked of it",
    responses=documented("unauthorised", "forbidden"),
)
async def model(service: ServiceOf) -> ModelAnswer:
    """The model's labels and the server's limits."""
    spec, limits = service.engine.predictor.spec, service.limits
    return ModelAnswer(
        model=service.engine.name,
        architecture=spec.architecture,
        labels=list(spec.head().labels),
        head=spec.head().name,
        heads={head.name: list(head.labels) for head in spec.heads},
        unsure_below=spec.abstain_below,
        max_body_bytes=limits.body_bytes,
        max_pixels=limits.pixels,
        max_pictures=limits.pictures,
    )


@routes.head("/healthz", include_in_schema=False)
@routes.get("/healthz", tags=["operation"], summary="Is the server alive?", responses=documented("forbidden"))
async def healthz() -> State:
    """Answers without asking the model."""
    return State(status="alive")


@routes.head("/readyz", include_in_schema=False)
@routes.get(
    "/readyz", tags=["operation"], summary="Does the model answer?", responses=documented("forbidden", "not_ready")
)
async def readyz(service: ServiceOf) -> State:
    """Detector and model answer a picture, or have answered one within the last second."""
    await service.check_ready()
    return State(status="ready")


@routes.get(
    "/metrics",
    tags=["operation"],
    summary="Figures for Prometheus",
    response_class=Response,  # of no kind of its own: the errors are JSON
    responses=METRICS_ANSWER | documented("unauthorised", "forbidden"),
)
async def metrics(service: ServiceOf) -> Response:
    """Requests, times, batches, queue, streams, memory."""
    return Response(service.metrics.text(), media_type=CONTENT_TYPE)


@routes.websocket("/v1/stream")
async def stream(
    socket: WebSocket,
    find: FindQuery = "detect",
    labels: LabelsQuery = None,
    head: HeadQuery = None,
    smooth_s: SmoothQuery = 0.5,
) -> None:
    """Frames in, answers out."""
    service: Service = socket.app.state.service
    calm = Calm(service.engine.predictor.spec, smooth_s=smooth_s)
    await Stream(socket, service, Way(find, labels, head), calm).run()


async def _unless_gone(request: Request, answer: Coroutine[Any, Any, T]) -> T:
    """An answer, unless the client leaves first: then its pictures leave the queue.

    Raises:
        ClientGoneError: it left.
    """
    working, leaving = asyncio.create_task(answer), asyncio.create_task(_left(request))
    try:
        await asyncio.wait((working, leaving), return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            raise ClientGoneError
        return working.result()
    finally:
        working.cancel()
        leaving.cancel()
        await asyncio.gather(working, leaving, return_exceptions=True)


async def _left(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass
