"""The command line: one module a verb, imported only when it is used, and one place where errors become exit codes."""

from __future__ import annotations

import importlib
import os
import signal
import sys
import time
import warnings
from typing import Any

import typer

from mien import __version__
from mien.cli.output import UNREAD, drop_unread, flush, harmless, tolerate_any_text
from mien.cli.usage import Verbs, memory_error, system_error, usage_error
from mien.core.errors import MienError, MissingExtraError

_SECONDS_OF_THE_FIRST = 10  # launchers look for processes that have ended ten times a second

# verb: (module with an `app`, one line of help, extra that the verb needs)
VERBS: dict[str, tuple[str, str, str | None]] = {
    "data": ("mien.cli.data", "Import, show and export data sets.", "train"),
    "models": ("mien.cli.models", "List the networks, or print one layer by layer.", "train"),
    "recipes": ("mien.cli.recipes", "List the recipes, or print one.", "train"),
    "train": ("mien.cli.train", "Train a network by a recipe.", "train"),
    "repeat": ("mien.cli.repeat", "Train with several seeds or folds; mean and spread.", "train"),
    "study": ("mien.cli.study", "What each step of a ladder of recipes is worth.", "train"),
    "tune": ("mien.cli.tune", "Search a space of recipe keys, by several processes.", "train"),
    "lr": ("mien.cli.lr", "Find a learning rate by a range test.", "train"),
    "average": ("mien.cli.average", "Average the weights of a run's snapshots.", "train"),
    "resume": ("mien.cli.resume", "Go on with a run that was interrupted or should be longer.", "train"),
    "eval": ("mien.cli.evaluate", "Measure a run or model on a data set.", "train"),
    "report": ("mien.cli.report", "Everything a run knows, in one page.", "train"),
    "compare": ("mien.cli.compare", "Runs against each other on the same pictures: a paired test.", "train"),
    "calibrate": ("mien.cli.calibrate", "Make a model's probabilities mean what they say.", "train"),
    "explain": ("mien.cli.explain", "What a model gets wrong, looks at and bears: pictures and sentences.", "train"),
    "diagnose": ("mien.cli.diagnose", "Say why a run is stuck and what to try first.", "train"),
    "doctor": ("mien.cli.doctor", "Check a recipe on a data set before a training.", "train"),
    "export": ("mien.cli.export", "Write a run as one ONNX file that knows how to use itself.", "train"),
    "verify": ("mien.cli.verify", "Compare an exported file with the weights on real pictures.", "train"),
    "quantize": ("mien.cli.quantize", "A smaller file of an exported model, and whether it pays.", "train"),
    "ensemble": ("mien.cli.ensemble", "Several models, or views of each picture, as one file.", "train"),
    "shipped": ("mien.cli.shipped", "List the trained models that come with mien, or print a card.", None),
    "predict": ("mien.cli.predict", "Expression labels for the faces in pictures.", None),
    "video": ("mien.cli.video", "Expression labels for the faces in a video, followed over time.", "video"),
    "webcam": ("mien.cli.webcam", "Expression labels live from a camera.", "video"),
    "serve": ("mien.cli.serve", "Answer over HTTP, with a page to try it.", "serve"),
    "demo": ("mien.cli.demo", "The whole way in about a minute, on faces that mien draws itself.", "train"),
}


class LazyVerbs(Verbs):
    """Loads a verb's module when the verb is used, so that `mien predict` never imports torch."""

    def list_commands(self, ctx: Any) -> list[str]:  # noqa: ARG002
        return list(VERBS)

    def format_commands(self, ctx: Any, formatter: Any) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text, _) in VERBS.items()])

    def invoke(self, ctx: Any) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt as error:  # Typer makes an exit code of it, without a word
            if os.environ.get("RANK", "0") == "0":
                typer.echo("; ".join(["mien: interrupted", *filter(None, [str(error)])]), err=True)
            raise

    def get_command(self, ctx: Any, cmd_name: str) -> Any:  # noqa: ARG002
        if cmd_name not in VERBS:
            return None
        module, text, _ = VERBS[cmd_name]
        loaded = importlib.import_module(module)
        command = typer.main.get_command(loaded.app)
        command.name, command.short_help = cmd_name, text
        return command


app = typer.Typer(cls=LazyVerbs, invoke_without_command=True, rich_markup_mode=None, add_completion=False)


@app.callback()
def _root(
    context: typer.Context,
    version: bool = typer.Option(False, "--version", help="Print the version and stop."),
) -> None:
    """Train, understand and deploy facial-expression classifiers."""
    if context.invoked_subcommand is None:
        typer.echo(__version__ if version else context.get_help())


def run(arguments: list[str]) -> int:
    """Run the command line and return its exit code.

    0 done, 1 a failed check, 2 wrong use, 130 interrupted, 141 nobody reads the output to its end.
    """
    try:
        code = _run(arguments)
        flush()
    except BrokenPipeError:
        drop_unread()
        return UNREAD
    except SystemExit as ended:
        # Typer ends the process with 1 where a pipe is closed.
        if not isinstance(ended.__context__, BrokenPipeError):
            raise
        drop_unread()
        return UNREAD
    return code


def _run(arguments: list[str]) -> int:
    if arguments[:1] == ["help"]:
        arguments = [*arguments[1:], "--help"]
    try:
        result: Any = typer.main.get_command(app).main(arguments, prog_name="mien", standalone_mode=False)
    except MienError as error:
        _tell(error)
        return 2
    except ModuleNotFoundError as error:
        missing = _missing_extra(arguments, error)
        if missing is None:
            raise
        _tell(missing)
        return 2
    except BrokenPipeError:
        raise
    except OSError as error:
        _tell(system_error(error))
        return 2
    except (typer.Abort, KeyboardInterrupt):
        return 130
    except MemoryError as error:
        _tell(memory_error(error))
        return 2
    except Exception as error:
        if type(error).__name__ == "OutOfMemoryError":  # torch's own, of a GPU
            _tell(memory_error(error))
            return 2
        # Typer's own usage errors know how to show themselves; anything else is a defect and keeps its trace.
        if not hasattr(error, "show"):
            raise
        verb = arguments[0] if arguments and arguments[0] in VERBS else None
        if type(error).__name__ == "NoArgsIsHelpError":
            error.show()
        else:
            _tell(usage_error(error, verb))
        return 2
    return int(result) if isinstance(result, int) else 0


def _tell(error: MienError) -> None:
    """Print an error. Of the processes of a training the first speaks at once, the others a moment later.

    One that all have reads once then, since the launcher ends the others meanwhile; one that the first has not still
    comes to the user.
    """
    rank = os.environ.get("RANK", "0")
    if rank != "0":
        time.sleep(_SECONDS_OF_THE_FIRST)
    # The names in it may be a stranger's.
    text = "\n".join(map(harmless, str(error).split("\n")))
    typer.echo(f"mien: {text}" if rank == "0" else f"mien: process {rank}: {text}", err=True)


def _missing_extra(arguments: list[str], error: ModuleNotFoundError) -> MissingExtraError | None:
    """What to install for the verb; None when the module that is missing is a defect of mien itself."""
    _, _, extra = VERBS.get(arguments[0] if arguments else "", ("", "", None))
    name = error.name or "?"
    return None if extra is None or name.startswith("mien") else MissingExtraError(name, extra)


def main() -> None:
    """Entry point of the `mien` command. Asked to end, it clears away what is half-written, as for Ctrl-C."""
    for name in ("SIGTERM", "SIGHUP"):
        number = getattr(signal, name, None)
        if number is not None and signal.getsignal(number) is signal.SIG_DFL:
            signal.signal(number, lambda given, _: sys.exit(128 + given))
    # Pillow's, of pictures that are refused anyway, and told to be.
    warnings.filterwarnings("ignore", r"Image size \(\d+ pixels\) exceeds limit")
    tolerate_any_text()
    sys.exit(run(sys.argv[1:]))
