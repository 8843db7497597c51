"""The package `fer` on the frames of benchmarks/pipeline.py, in an environment of its own, since it brings TensorFlow.

    python -m venv VENV; VENV/bin/pip install fer
    VENV/bin/python benchmarks/pipeline_fer.py FRAMES.npy haar|mtcnn THREADS

FRAMES.npy is uint8 (N, H, W, 3) in RGB. The last line of what is printed is JSON: seconds of each call of
`FER.detect_emotions`, which finds the faces of a picture and answers them, and their boxes (left, top, right, bottom).
"""

from __future__ import annotations

import json
import os
import sys
import time
from importlib.metadata import version

import numpy as np


def main(file: str, kind: str, threads: int) -> None:
    """Ask about every frame, once for warm-up about the first."""
    os.environ["TF_CPP_MIN_LOG_LEVEL"] = "3"
    import cv2
    import tensorflow as tf
    from fer.fer import FER

    tf.config.threading.set_intra_op_parallelism_threads(threads)
    tf.config.threading.set_inter_op_parallelism_threads(1)
    cv2.setNumThreads(threads)
    asked = FER(mtcnn=kind == "mtcnn")
    frames = np.load(file, mmap_mode="r", allow_pickle=False)
    asked.detect_emotions(np.ascontiguousarray(frames[0, ..., ::-1]))
    frames_s, boxes = [], []
    for frame in frames:
        bgr = np.ascontiguousarray(frame[..., ::-1])
        before = time.perf_counter()
        found = [[int(value) for value in face["box"]] for face in asked.detect_emotions(bgr)]
        frames_s.append(time.perf_counter() - before)
        boxes.append([[x, y, x + width, y + height] for x, y, width, height in found])
    print(json.dumps({"version": version("fer"), "frames_s": frames_s, "boxes": boxes}))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
