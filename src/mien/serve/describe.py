"""Words and examples of the OpenAPI description. The example is a true answer of expression-m, to a drawn face."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import FastAPI

from mien.serve.guard import GUARDED
from mien.serve.wire import WHAT_A_LABEL_IS

DESCRIPTION = f"""Pictures in, faces and their expression labels out.

{WHAT_A_LABEL_IS}

Pictures are JPEG, PNG or WebP, recognised by their content. Nothing of a picture is stored or logged. Every error has
the shape of `ErrorBody`; after 503, ask again when `Retry-After` says.

**Streams.** `/v1/stream` is a WebSocket with the query parameters of `/v1/predict`, `faces` being `detect` unless it is
given, and `smooth_s`, the time constant of the average of probabilities (0.5 s; 0: each frame for itself). Send each
frame as a binary message; each answer is a JSON text `{{"frame": n, "picture": …}}` or `{{"frame": n, "error": …}}`, n
being the number of the frame, from 1. Only the newest frame that waits is answered, older ones are dropped. Where a key
is needed, a browser offers the subprotocols `mien.v1` and `mien.key.` followed by the key in base64url.
"""

_FILES = {
    "type": "object",
    "properties": {"picture": {"type": "array", "items": {"type": "string", "format": "binary"}, "minItems": 1}},
    "required": ["picture"],
    "additionalProperties": False,
}
_ONE = {"schema": {"type": "string", "format": "binary"}}

PREDICT_BODY: dict[str, Any] = {
    "required": True,
    "description": "One picture as it is, of any image type or none, or several as the files of a form. "
    "Only the content counts.",
    "content": {
        "multipart/form-data": {"schema": _FILES, "encoding": {"picture": {"contentType": "image/*"}}},
        "image/jpeg": _ONE,
        "image/png": _ONE,
        "image/webp": _ONE,
        "application/octet-stream": _ONE,
    },
}

_EXAMPLE = {
    "model": "expression-m",
    "pictures": [
        {
            "width": 320,
            "height": 240,
            "is_crop": False,
            "faces": [
                {
                    "number": None,
                    "box": {"left": 100.42, "top": 50.98, "right": 223.83, "bottom": 200.93},
                    "landmarks": [
                        [132.61, 100.69],
                        [190.34, 99.03],
                        [160.62, 129.58],
                        [139.69, 159.73],
                        [186.07, 158.29],
                    ],
                    "score": 0.6956,
                    "label": "happiness",
                    "probability": 0.987385,
                    "unsure": False,
                    "probabilities": {
                        "neutral": 0.000705,
                        "happiness": 0.987385,
                        "surprise": 0.010877,
                        "sadness": 0.000744,
                        "anger": 0.000064,
                        "disgust": 0.00002,
                        "fear": 0.0002,
                        "contempt": 0.000005,
                    },
                }
            ],
        }
    ],
}
PREDICT_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _EXAMPLE}}}}
METRICS_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"text/plain": {"schema": {"type": "string"}}}}}


def describe_heads(app: FastAPI, heads: Sequence[str]) -> None:
    """Name the heads that may be asked for: they are the model's, which no annotation knows."""
    for parameter in app.openapi()["paths"]["/v1/predict"]["post"]["parameters"]:
        if parameter["name"] == "head":
            parameter["schema"]["anyOf"][0] = {"type": "string", "enum": [*heads]}


def describe_keys(app: FastAPI) -> None:
    """Say in the description of an app, whose routes are complete, which of them want a key."""
    described = app.openapi()
    described["components"]["securitySchemes"] = {"key": {"type": "http", "scheme": "bearer"}}
    for path, operations in described["paths"].items():
        if path.startswith(GUARDED):
            for operation in operations.values():
                operation["security"] = [{"key": []}]
