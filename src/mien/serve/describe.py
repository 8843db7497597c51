"""Words and examples of the OpenAPI description. The example is a true answer, to a face that mien drew."""

from __future__ import annotations

from typing import Any

from mien.serve.wire import WHAT_A_LABEL_IS

DESCRIPTION = f"""Pictures in, faces and their expression labels out.

{WHAT_A_LABEL_IS}

Pictures are JPEG, PNG or WebP, recognised by their content. Nothing of a picture is stored or logged. Every error has
the shape of `ErrorBody`; after 503, ask again when `Retry-After` says.

**Streams.** `/v1/stream` is a WebSocket with the query parameters of `/v1/predict` and `smooth_s`, the time constant of
the average of probabilities (0.5 s; 0: each frame for itself). Send each frame as a binary message; each answer is a
JSON text `{{"frame": n, "picture": …}}` or `{{"frame": n, "error": …}}`, n being the number of the frame, from 1. Only
the newest frame that waits is answered, older ones are dropped. Where a key is needed, a browser offers the
subprotocols `mien.v1` and `mien.key.` followed by the key in base64url.
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
    "description": "One picture as it is, or several as the files of a form.",
    "content": {
        "multipart/form-data": {"schema": _FILES, "encoding": {"picture": {"contentType": "image/*"}}},
        "image/jpeg": _ONE,
        "image/png": _ONE,
        "image/webp": _ONE,
    },
}

_EXAMPLE = {
    "model": "mien-m",
    "pictures": [
        {
            "width": 320,
            "height": 240,
            "is_crop": False,
            "faces": [
                {
                    "number": None,
                    "box": {"left": 102.79, "top": 62.45, "right": 220.62, "bottom": 198.0},
                    "landmarks": [
                        [132.67, 101.16],
                        [188.96, 100.79],
                        [161.26, 123.95],
                        [136.63, 152.3],
                        [184.97, 151.71],
                    ],
                    "score": 0.8085,
                    "label": "happy",
                    "probability": 0.890242,
                    "unsure": False,
                    "probabilities": {
                        "angry": 0.016971,
                        "disgust": 0.010784,
                        "fear": 0.025393,
                        "happy": 0.890242,
                        "sad": 0.017263,
                        "surprise": 0.020152,
                        "neutral": 0.019195,
                    },
                }
            ],
        }
    ],
}
PREDICT_ANSWER: dict[int | str, dict[str, Any]] = {200: {"content": {"application/json": {"example": _EXAMPLE}}}}
