"""One contender of benchmarks/predict.py in a process of its own, so that each has its own Python and its own threads.

    PYTHON benchmarks/predict_worker.py mien MODEL THREADS | fer-tflite - THREADS | fer-keras - THREADS

Reads a line, writes a line, both JSON: {"pictures": FILE.npy} takes uint8 (N, 48, 48); {"single": n} and {"batch": n}
answer n pictures one by one or together and say in how many seconds; {"answers": true} gives the class of every
picture by the name of its label. The nets of the package `fer` are asked through its own class, `FER`, whose detector
is left out: the picture, a cut-out face, is resized and normalised as `FER.detect_emotions` does it.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np

Classify = Callable[[Any], Any]
FER2013 = ("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")


def mien(model: str, threads: int) -> Classify:
    """Probabilities (N, 7) of an exported file."""
    from mien import Predictor

    predictor = Predictor(model, threads=threads)
    head = predictor.spec.best_head(_fer2013())[0]
    order = [head.labels.index(name) for name in FER2013]
    return lambda pictures: predictor.probabilities(pictures)[head.name][:, order]


def _fer2013() -> Any:
    from mien.core.labels import FER2013 as LABELS

    return LABELS


def fer(kind: str, threads: int) -> Classify:
    """Probabilities (N, 7) of a net of `fer`, by the class that its users call."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import cv2
    import tensorflow as tf
    from fer.fer import FER

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    cv2.setNumThreads(threads)
    if kind == "tflite":  # the class leaves the number of threads to TensorFlow Lite; here it is said
        whole = tf.lite.Interpreter
        tf.lite.Interpreter = lambda model_path: whole(model_path=model_path, num_threads=threads)
    asked = FER(use_tflite=kind == "tflite")
    size = asked._FER__emotion_target_size

    def classify(pictures: Any) -> Any:
        faces = np.stack([cv2.resize(picture, size) for picture in pictures]).astype("float32")
        prepared = FER._FER__preprocess_input(faces, True)
        # The Keras net wants its channel said; for TensorFlow Lite the class adds it itself.
        return np.asarray(asked._classify_emotions(prepared if kind == "tflite" else prepared[..., None]))

    return classify


def reply(classify: Classify, pictures: Any, asked: dict[str, Any]) -> Any:
    """The answer to one line."""
    if "answers" in asked:
        parts = [classify(pictures[i : i + 64]).argmax(1) for i in range(0, len(pictures), 64)]
        return [FER2013[i] for i in np.concatenate(parts)]
    single = "single" in asked
    wanted = pictures[: asked["single" if single else "batch"]]
    begun = time.perf_counter()
    for part in [wanted[i : i + 1] for i in range(len(wanted))] if single else [wanted]:
        classify(part)
    return time.perf_counter() - begun


def main() -> None:
    """Answer until the input ends."""
    kind, model, threads = sys.argv[1], sys.argv[2], int(sys.argv[3])
    answers = os.fdopen(os.dup(1), "w")  # what libraries print goes elsewhere
    os.dup2(2, 1)
    classify = mien(model, threads) if kind == "mien" else fer(kind.removeprefix("fer-"), threads)
    pictures: Any = None
    for line in sys.stdin:
        asked = json.loads(line)
        if "pictures" in asked:
            pictures = np.load(asked["pictures"], allow_pickle=False)
            said: Any = len(pictures)
        else:
            said = reply(classify, pictures, asked)
        answers.write(json.dumps(said) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
