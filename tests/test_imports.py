"""What may import what, what prediction loads, and that nothing is ever unpickled."""

from __future__ import annotations

import ast
import json
import subprocess
import sys
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import NamedTuple

import pytest
from deploy_toys import Linear, structured
from PIL import Image

from mien.core.labels import FER2013, FERPLUS8

SOURCES = Path(__file__).parents[1] / "src"

# The parts of mien, and which others each may use. `runtime` is what predicts; `export` is the rest of deploy.
RUNTIME = {
    *("deploy", "deploy.runtime", "deploy.pictures", "deploy.locate", "deploy.onnx_file", "deploy.answers"),
    *("deploy.photos", "deploy.annotate", "deploy.fonts", "deploy.shipped", "deploy.card_data"),
}
MAY_USE: dict[str, set[str]] = {
    "core": set(),
    "page": {"core"},
    "data": {"core", "page"},
    "augment": {"core"},
    "models": {"core"},
    "faces": {"core"},
    "runtime": {"core", "faces"},
    "video": {"core", "faces", "runtime"},
    "evaluate": {"core", "page", "data", "models", "runtime"},
    "diagnose": {"core", "page", "data", "models", "runtime", "evaluate"},
    "explain": {"core", "page", "data", "augment", "models", "faces", "runtime", "evaluate"},
    "report": {"core", "page", "data", "evaluate", "explain"},
    "serve": {"core", "faces", "runtime", "video"},
    "train": {"core", "page", "data", "augment", "models", "runtime", "evaluate", "diagnose"},
    "study": {"core", "page", "data", "models", "evaluate", "train"},
    "tune": {"core", "data", "evaluate", "train"},
    "export": {"core", "data", "faces", "models", "runtime", "evaluate", "explain"},
}
MAY_USE["demo"] = set(MAY_USE)
MAY_USE["cli"] = set(MAY_USE)
MAY_USE["__main__"] = {"cli"}

# Packages from outside that these parts are held to; elsewhere they are free.
PLAIN = {"numpy", "pydantic", "PIL"}
PACKAGES: dict[str, set[str]] = {
    "core": PLAIN | {"onnxruntime"},
    "faces": PLAIN | {"onnxruntime"},
    "runtime": PLAIN | {"onnxruntime"},
    "video": PLAIN | {"av", "matplotlib", "pyarrow"},
}
WITHOUT_TORCH = ("core", "data", "faces", "runtime", "video", "serve")
# What a plain `pip install mien` brings, and so all that `mien predict` may load before it is asked for more.
INSTALLED = PLAIN | {"onnxruntime", "rich", "typer"}
HEAVY = {
    *("torch", "torchvision", "timm", "safetensors", "accelerate", "onnx", "onnxscript", "tensorflow", "tensorboard"),
    *("pandas", "pyarrow", "sklearn", "scipy", "matplotlib", "jinja2", "google"),
}


class Import(NamedTuple):
    """A module that is imported, and whether that happens when its importer is loaded."""

    name: str
    at_load: bool


def modules() -> dict[str, ast.Module]:
    """Every module of mien by its dotted name."""
    files = {".".join(f.relative_to(SOURCES).with_suffix("").parts): f for f in sorted(SOURCES.rglob("*.py"))}
    return {name.removesuffix(".__init__"): ast.parse(file.read_text("utf-8")) for name, file in files.items()}


TREES = modules()


def imports(tree: ast.AST, *, at_load: bool = True) -> Iterator[Import]:
    """All imports below `tree` but those for type checkers only."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.Import):
            yield from (Import(alias.name, at_load) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "relative imports hide the direction"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
            yield from (Import(n if n in TREES else str(node.module), at_load) for n in names)
        elif isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test):
            continue
        else:
            inside = isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda)
            yield from imports(node, at_load=at_load and not inside)


IMPORTS = {name: list(imports(tree)) for name, tree in TREES.items()}


def part(module: str) -> str:
    """The part of mien that a module belongs to; the package itself holds the version and belongs to nobody."""
    inner = module.removeprefix("mien").removeprefix(".")
    if inner.partition(".")[0] == "deploy":
        return "runtime" if inner in RUNTIME else "export"
    return inner.partition(".")[0]


def is_ours(module: str) -> bool:
    return module.partition(".")[0] == "mien"


def package(module: str) -> str:
    return module.partition(".")[0]


def foreign(module: str) -> set[str]:
    """Packages a module imports that are neither mien's nor Python's own."""
    names = {package(i.name) for i in IMPORTS[module] if not is_ours(i.name)}
    return names - sys.stdlib_module_names


def test_the_sources_were_found() -> None:
    assert {"mien", "mien.core.labels", "mien.deploy.runtime", "mien.cli.predict"} <= set(TREES)
    assert Import("mien.deploy.runtime", True) in IMPORTS["mien.deploy.export"]
    assert Import("mien.deploy.packed", False) in IMPORTS["mien.cli.predict"]


def test_every_part_is_in_the_plan() -> None:
    unknown = {part(name) for name in TREES} - set(MAY_USE) - {""}
    assert not unknown, f"say in MAY_USE what {unknown} may use"


def test_imports_point_one_way() -> None:
    wrong = [
        f"{name} imports {i.name}"
        for name, found in IMPORTS.items()
        for i in found
        if is_ours(i.name) and part(i.name) not in (MAY_USE.get(part(name), set()) | {part(name), ""})
    ]
    assert not wrong


def test_the_plan_itself_has_no_cycle() -> None:
    assert set(TopologicalSorter(MAY_USE).static_order()) >= set(MAY_USE)


def test_no_module_imports_itself_by_a_detour() -> None:
    graph = {name: {i.name for i in found if is_ours(i.name)} for name, found in IMPORTS.items()}
    assert detour(graph) == ""


def detour(graph: dict[str, set[str]]) -> str:
    try:
        list(TopologicalSorter(graph).static_order())
    except CycleError as error:
        return " → ".join(error.args[1])
    return ""


@pytest.mark.parametrize("name", PACKAGES)
def test_the_innermost_parts_need_few_packages(name: str) -> None:
    used = {module: foreign(module) - PACKAGES[name] for module in TREES if part(module) == name}
    assert not {module: packages for module, packages in used.items() if packages}


@pytest.mark.parametrize("name", WITHOUT_TORCH)
def test_torch_stays_out_of(name: str) -> None:
    assert not [m for m in TREES if part(m) == name and foreign(m) & {"torch", "timm", "torchvision"}]


def test_what_predict_loads_is_part_of_the_plain_installation() -> None:
    seen: set[str] = set()
    waiting = ["mien.__main__", "mien.cli.app", "mien.cli.predict"]
    while waiting:
        module = waiting.pop()
        seen.add(module)
        now = {i.name for i in IMPORTS[module] if i.at_load and is_ours(i.name)}
        waiting += now - seen
    assert "mien.deploy.runtime" in seen
    loaded = {package(i.name) for m in seen for i in IMPORTS[m] if i.at_load and not is_ours(i.name)}
    assert loaded - sys.stdlib_module_names <= INSTALLED


def in_fresh_interpreter(code: str, *arguments: str) -> set[str]:
    """Top-level packages that are loaded after `code` ran in an interpreter of its own, with warnings as errors."""
    code += "\nimport json, sys; print(json.dumps(sorted({name.partition('.')[0] for name in sys.modules})))"
    done = subprocess.run([sys.executable, "-W", "error", "-c", code, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


def test_a_prediction_in_a_fresh_interpreter_loads_neither_torch_nor_pandas(tmp_path: Path) -> None:
    model = Linear(tmp_path / "model.onnx", [FER2013, FERPLUS8])
    Image.fromarray(structured(1, 60, 40, channels=3)[0]).save(tmp_path / "face.jpg")
    arguments = ["predict", str(tmp_path / "face.jpg"), "--model", str(model.path), "--labels", "ferplus8"]
    code = "import sys; from mien.cli.app import run; assert run(sys.argv[1:]) == 0"
    loaded = in_fresh_interpreter(code, *arguments, "--csv", str(tmp_path / "out.csv"))
    assert "onnxruntime" in loaded
    assert not loaded & HEAVY
    assert len((tmp_path / "out.csv").read_text().splitlines()) == 2


def test_importing_mien_loads_nothing_but_python(tmp_path: Path) -> None:
    loaded = in_fresh_interpreter("import mien; mien.MienError; assert 'Predictor' in dir(mien)", str(tmp_path))
    assert not loaded & (HEAVY | INSTALLED)


# Ways to run what a file says. Training state goes through safetensors and JSON, arrays through plain npy.
UNPICKLERS = {"pickle", "cPickle", "_pickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
CALLS = {
    *("eval", "exec", "compile", "__import__"),
    *("torch.load", "torch.save", "torch.jit.load", "torch.hub.load", "torch.package.PackageImporter"),
    *("read_pickle", "load_state", "yaml.load", "load_state_dict_from_url"),
}


def dangers(tree: ast.Module) -> Iterator[str]:
    """Lines of a module that could run code out of a file."""
    for found in imports(tree):
        if package(found.name) in UNPICKLERS:
            yield f"imports {found.name}"
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        called, last = ast.unparse(node.func), ast.unparse(node.func).rpartition(".")[2]
        if called in CALLS or (last in CALLS and "." not in last and last not in ("eval", "exec", "compile")):
            yield f"line {node.lineno} calls {called}"
        pickles = {k.arg: ast.unparse(k.value) for k in node.keywords}.get("allow_pickle")
        if pickles not in (None, "False") or (called in ("np.load", "numpy.load") and pickles != "False"):
            yield f"line {node.lineno}: {called} without allow_pickle=False"


def test_nothing_in_mien_unpickles_or_evaluates() -> None:
    found = {name: list(dangers(tree)) for name, tree in TREES.items()}
    assert not {name: lines for name, lines in found.items() if lines}


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from joblib import load",
        "def f():\n    import cloudpickle as c",
        "torch.load(path, weights_only=True)",
        "torch.hub.load('a', 'b')",
        "eval(text)",
        "exec(compile(text, '', 'exec'))",
        "np.load(path)",
        "np.load(path, allow_pickle=True)",
        "np.savez(path, allow_pickle=flag)",
        "accelerator.load_state(folder)",
        "pd.read_pickle(path)",
    ],
)
def test_the_check_for_unpickling_finds(source: str) -> None:
    assert list(dangers(ast.parse(source)))


@pytest.mark.parametrize("source", ["net.eval()", "np.load(p, allow_pickle=False)", "re.compile('a')", "net.compile()"])
def test_the_check_for_unpickling_leaves_alone(source: str) -> None:
    assert not list(dangers(ast.parse(source)))
