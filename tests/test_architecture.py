"""The house holds: who imports whom, what nobody does, and that nothing is written twice.

The rules read source text, never the running program, and each is shown to catch what it is for.
"""

import ast
import hashlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "sfumato"
FILES = sorted(SOURCE.rglob("*.py"))
every_file = pytest.mark.parametrize("path", FILES, ids=lambda path: path.relative_to(SOURCE).as_posix())

# What a room may import from besides itself: left to right, never back.
MATHS = {"nets", "diffusion"}
ROOMS = {
    "nets": set(),
    "diffusion": set(),
    "text": set(),
    "families": MATHS,
    "data": MATHS | {"families", "text"},
    "train": MATHS | {"families"},
    "metrics": MATHS | {"families", "data"},
    "verify": {"diffusion"},
    "runs": MATHS | {"families", "data", "train", "metrics", "text"},
    "recipes": MATHS | {"families", "data", "train", "metrics", "runs", "text"},
    "api": MATHS | {"families", "data", "train", "metrics", "runs", "recipes", "text"},
    "app": MATHS | {"families", "data", "train", "metrics", "runs", "recipes", "api", "verify", "text"},
    "__main__": {"app"},
}
BASE = {"errors", "files", "lazy", "normal", "condition", "precision", "randomness"}
# The package's own door opens on everything, but only when it is used: `import sfumato` stays fast.
DOOR = "__init__"
TERMINAL = {"typer", "rich", "matplotlib"}
LONGEST_FUNCTION = 50
LONGEST_COPY = 5


def room_of(path: Path) -> str:
    return path.relative_to(SOURCE).with_suffix("").parts[0]


def imported(tree: ast.AST) -> Iterator[tuple[str, ast.stmt]]:
    """Yield the dotted name of every module imported anywhere in a file."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative imports hide the room they come from"
            yield from ((f"{node.module}.{alias.name}", node) for alias in node.names)


def run_at_once(tree: ast.Module) -> set[ast.AST]:
    """Collect what runs when a module is imported: neither inside a function nor under TYPE_CHECKING."""
    waiting, found = [tree], set()
    while waiting:
        node = waiting.pop()
        idle = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.dump(node.test)
        if not idle and not isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            found.add(node)
            waiting.extend(ast.iter_child_nodes(node))
    return found


def import_offences(room: str, source: str) -> list[str]:
    """List what a module of `room` imports and must not."""
    tree, found = ast.parse(source), []
    at_once = run_at_once(tree)
    for name, node in imported(tree):
        package, _, rest = name.partition(".")
        target = rest.split(".")[0]
        if package in TERMINAL and room != "app":
            found.append(f"line {node.lineno}: only app may import {package}")
        if package != "sfumato" or target in BASE | {room, "__version__"}:
            continue
        if not (node not in at_once if room == DOOR else target in ROOMS.get(room, set())):
            found.append(f"line {node.lineno}: {room} may not import {name}")
    return found


@every_file
def test_imports_run_left_to_right(path):
    assert import_offences(room_of(path), path.read_text()) == []


def test_every_room_has_its_place():
    assert {room_of(path) for path in FILES} <= set(ROOMS) | BASE | {DOOR}


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("diffusion", "from sfumato.nets.unet import UNet"),
        ("nets", "import sfumato.diffusion.level"),
        ("nets", "from sfumato.text.tokenizer import Tokenizer"),
        ("text", "from sfumato.data import load_data"),
        ("families", "from sfumato.data import load_data"),
        ("data", "def f():\n    from sfumato.train import fit"),
        ("train", "from sfumato.metrics import score"),
        ("runs", "from sfumato import app"),
        ("errors", "from sfumato.nets import unet"),
        ("metrics", "import matplotlib.pyplot as plt"),
        ("train", "from rich.progress import Progress"),
        ("__init__", "from sfumato.api import fit"),
        ("__init__", "try:\n    from sfumato.api import fit\nexcept ImportError:\n    pass"),
        ("api", "from sfumato.app import cli"),
        ("diffusion", "from sfumato.api import sample"),
    ],
)
def test_the_import_rule_catches(room, source):
    assert len(import_offences(room, source)) == 1


@pytest.mark.parametrize(
    ("room", "source"),
    [
        ("diffusion", "from sfumato.errors import ConfigError\nfrom sfumato.diffusion.level import Level"),
        ("metrics", "from sfumato.data import load_data"),
        ("train", "from sfumato import __version__"),
        ("__main__", "from sfumato.app.cli import main"),
        ("app", "import typer\nfrom sfumato.runs import open_run"),
        ("api", "from sfumato.runs import open_run"),
        ("__init__", "def f():\n    from sfumato.api import fit"),
        ("__init__", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from sfumato.api import fit"),
    ],
)
def test_the_import_rule_allows(room, source):
    assert import_offences(room, source) == []


def long_functions(source: str) -> list[str]:
    """List the functions of more than 50 lines."""
    return [
        f"{node.name}: {node.end_lineno - node.lineno + 1} lines"
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.end_lineno - node.lineno + 1 > LONGEST_FUNCTION
    ]


@every_file
def test_functions_are_short(path):
    assert long_functions(path.read_text()) == []


def test_the_rule_of_length_catches():
    assert long_functions("def f():\n" + "    x = 1\n" * 49) == []
    assert long_functions("class A:\n    def f(self):\n" + "        x = 1\n" * 50) == ["f: 51 lines"]


UNSAFE_MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "joblib", "shelve", "marshal"}
NEVER_CALLED = {
    "torch.load",
    "torch.manual_seed",
    "torch.seed",
    "torch.cuda.manual_seed",
    "torch.cuda.manual_seed_all",
    "random.seed",
    # These take no generator: they always draw from the global one.
    "torch.randn_like",
    "torch.rand_like",
    "torch.randint_like",
}
DRAWN = {"randn", "rand", "randint", "randperm", "normal", "multinomial", "bernoulli", "poisson"}
NUMPY_RANDOM = {"default_rng", "Generator", "SeedSequence", "PCG64", "Philox"}


def full_names(tree: ast.AST) -> dict[str, str]:
    """Map each imported name to what it stands for: np -> numpy, randn -> torch.randn."""
    names = {}
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            names |= {
                alias.asname or alias.name.split(".")[0]: alias.name for alias in node.names if alias.asname
            }
        elif isinstance(node, ast.ImportFrom) and node.module:
            names |= {alias.asname or alias.name: f"{node.module}.{alias.name}" for alias in node.names}
    return names


def dotted(node: ast.expr, names: dict[str, str]) -> str:
    """Return the full dotted name of a call's function, empty where it has none."""
    if isinstance(node, ast.Attribute):
        owner = dotted(node.value, names)
        return f"{owner}.{node.attr}" if owner else ""
    return names.get(node.id, node.id) if isinstance(node, ast.Name) else ""


def call_offence(name: str, call: ast.Call) -> str:
    """Say what is wrong with a call of `name`, nothing where it is fine."""
    given = {keyword.arg: keyword.value for keyword in call.keywords}
    package, _, function = name.rpartition(".")
    if name in NEVER_CALLED:
        return f"{name} is never called here"
    if name in ("numpy.load", "numpy.lib.npyio.NpzFile"):
        safe = isinstance(given.get("allow_pickle"), ast.Constant) and given["allow_pickle"].value is False
        return "" if safe else f"{name} without allow_pickle=False"
    if package == "torch" and function in DRAWN and "generator" not in given:
        return f"{name} without a generator"
    if package == "numpy.random" and (function not in NUMPY_RANDOM or not (call.args or call.keywords)):
        return f"{name} draws from a global or unseeded generator"
    return ""


def habit_offences(source: str) -> list[str]:
    """List imports that run code from files, and calls that load it or draw without a generator."""
    tree = ast.parse(source)
    names = full_names(tree)
    found = [
        f"line {node.lineno}: {name} runs code from files"
        for name, node in imported(tree)
        if name.split(".")[0] in UNSAFE_MODULES
    ]
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        offence = call_offence(dotted(call.func, names), call)
        if offence:
            found.append(f"line {call.lineno}: {offence}")
    return found


@every_file
def test_no_code_from_files_and_no_global_randomness(path):
    assert habit_offences(path.read_text()) == []


@pytest.mark.parametrize(
    "source",
    [
        "import pickle",
        "from pickle import loads",
        "import torch\ntorch.load(p)",
        "from torch import load\nload(p)",
        "import numpy as np\nnp.load(p)",
        "import numpy as np\nnp.load(p, allow_pickle=True)",
        "import torch\ntorch.manual_seed(0)",
        "import numpy as np\nnp.random.seed(0)",
        "import numpy as np\nnp.random.default_rng()",
        "import torch\ntorch.randn(3)",
        "import torch as t\nt.randn(3)",
        "import torch\ntorch.randn_like(x)",
        "from torch import randperm\nrandperm(3)",
    ],
)
def test_the_rule_of_habits_catches(source):
    assert len(habit_offences(source)) == 1


@pytest.mark.parametrize(
    "source",
    [
        "import torch\ntorch.randn(3, generator=g)",
        "import numpy as np\nnp.load(p, allow_pickle=False)",
        "import numpy as np\nnp.random.default_rng(3).normal()",
        "noise.normal(shape)",
        "self.load(p)",
    ],
)
def test_the_rule_of_habits_allows(source):
    assert habit_offences(source) == []


def left_out(tree: ast.AST) -> set[int]:
    """Collect the lines of imports, of docstrings, and of parameters below a `def`.

    Pieces of one kind share their signature, which is their agreement and no copy.
    """
    lines = set()
    for node in ast.walk(tree):
        text = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        if isinstance(node, ast.Import | ast.ImportFrom) or (text and isinstance(node.value.value, str)):
            lines.update(range(node.lineno, node.end_lineno + 1))
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            lines.update(range(node.lineno + 1, node.body[0].lineno))
    return lines


def code_lines(source: str) -> list[tuple[int, str]]:
    """Return the numbered lines of code, their white space made one, without blanks and comments."""
    skipped = left_out(ast.parse(source))
    lines = ((number, " ".join(line.split())) for number, line in enumerate(source.splitlines(), start=1))
    return [(n, line) for n, line in lines if line and not line.startswith("#") and n not in skipped]


def copies(sources: dict[str, str]) -> list[str]:
    """List the places where six lines of code in a row stand that also stand elsewhere."""
    places = defaultdict(list)
    for name, source in sources.items():
        lines = code_lines(source)
        for start in range(len(lines) - LONGEST_COPY):
            block = "\n".join(line for _, line in lines[start : start + LONGEST_COPY + 1])
            key = hashlib.sha256(block.encode()).hexdigest()
            places[key].append(f"{name}:{lines[start][0]}")
    return [" = ".join(where) for where in places.values() if len(where) > 1]


def test_nothing_is_written_twice():
    assert copies({path.relative_to(SOURCE).as_posix(): path.read_text() for path in FILES}) == []


def test_the_rule_of_copies_catches():
    six = "\n".join(f"x{i} = f(x{i})" for i in range(6))
    spread = six.replace("\n", "\n\n    # a comment\n").replace("=", " = ")
    assert copies(
        {"a": six, "b": "import os\ny = 1\n" + "if y:\n    " + spread.replace("\nx", "\n    x")}
    ) == ["a:1 = b:4"]
    five = "\n".join(six.splitlines()[:5])
    assert copies({"a": five, "b": five}) == []
    shared = "def f(\n" + "\n".join(f"    x{i}," for i in range(9)) + "\n):\n    return x"
    assert copies({"a": shared + "1", "b": shared + "2"}) == []
