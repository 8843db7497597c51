"""ONNX Runtime's sessions as mien opens them: on the CPU, their threads at rest when idle, nothing told to anybody."""

from __future__ import annotations

import onnxruntime as ort

WARNINGS, ERRORS = 2, 3


def open_session(model: bytes, threads: int | None, *, log_from: int = WARNINGS) -> ort.InferenceSession:
    """A session of an ONNX model.

    Official builds of ONNX Runtime report their use to Microsoft by default (its Privacy.md; on Linux since 1.29).
    `mien/__init__.py` switches that off by environment variable before ONNX Runtime starts. Where a program had loaded
    it before mien, what can still be switched off is switched off here.

    Args:
        model: the file's bytes.
        threads: how many a run takes; None: one a core.
        log_from: least severity that is logged, WARNINGS or ERRORS.

    Raises:
        Exception: ONNX Runtime's own, which have no common class below this one, when the model does not load.
    """
    ort.disable_telemetry_events()
    options = ort.SessionOptions()
    options.intra_op_num_threads = threads or 0
    options.log_severity_level = log_from
    # Threads that wait for work by spinning would take the cores from another net, the decoder and the encoder.
    options.add_session_config_entry("session.force_spinning_stop", "1")
    # Only as ONNX, which was looked through before: other formats that ONNX Runtime would recognise were not.
    options.add_session_config_entry("session.load_model_format", "ONNX")
    return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
