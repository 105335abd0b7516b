"""Plant one small error at a time in the mathematics of diffusion, and see whether the laws notice.

    python benchmarks/mutate.py --n 200 --seed 0            tests/diffusion and tests/verify
    python benchmarks/mutate.py --n 200 --seed 0 --laws     the laws of `sfumato verify` instead
    python benchmarks/mutate.py --list --files samplers     what would be planted, without planting it

A mutant changes one operator, sign, comparison, constant, or subscript (s for t, alpha for sigma) of one
line. Each runs in a process forked from one that has imported torch, on a copy of the source of its own. It
is caught when a law fails, when it raises, or when it takes three times as long as the sound code.
Survivors are listed, to be explained: some change nothing (a guard that never acts), the others show a law
that is missing.
"""

import argparse
import ast
import contextlib
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
MATHS = ROOT / "src" / "sfumato" / "diffusion"
TESTS = (ROOT / "tests" / "diffusion", ROOT / "tests" / "verify")
LIKELY = {
    "samplers": ("test_orders.py", "test_stochastic.py", "test_sde.py", "test_langevin.py"),
    "schedules": ("test_schedules.py", "test_process.py"),
    "guidance": ("test_guidance.py",),
    "grids": ("test_grids.py",),
    "correction": ("test_thresholding.py", "test_guidance.py"),
    "level": ("test_schedules.py",),
    "weighting": ("test_objective.py",),
    "view": ("test_denoiser.py",),
    "bound_objective": ("test_bound.py",),
    "least_squares": ("test_fitted.py",),
    "fitting": ("test_fitted.py",),
}
"""The tests most likely to catch an error in a file or folder, besides the one of its own name."""
QUICK = ("linear_vp", "cosine_vp", "noise_steps")
"""Schedules whose walks stand for all in a run with `--laws`."""

SWAPPED: dict[type, tuple[str, str]] = {
    ast.Add: ("+", "-"),
    ast.Sub: ("-", "+"),
    ast.Mult: ("*", "/"),
    ast.Div: ("/", "*"),
    ast.FloorDiv: ("//", "/"),
    ast.Mod: ("%", "*"),
    ast.Pow: ("**", "*"),
    ast.MatMult: ("@", "*"),
    ast.Lt: ("<", ">="),
    ast.LtE: ("<=", ">"),
    ast.Gt: (">", "<="),
    ast.GtE: (">=", "<"),
    ast.Eq: ("==", "!="),
    ast.NotEq: ("!=", "=="),
    ast.Is: ("is", "is not"),
    ast.IsNot: ("is not", "is"),
    ast.And: ("and", "or"),
    ast.Or: ("or", "and"),
}
TWINS = {"alpha": "sigma", "d_alpha": "d_sigma", "log_small": "log_large", "small": "large", "s": "t"}
TWINS |= {"level_s": "level_t", "of_x_t": "of_x0", "x0": "eps", "low": "high", "first": "last"}
TWINS |= {value: key for key, value in TWINS.items()}
"""Names that are easily written for each other."""


@cache
def read(path: Path) -> str:
    """Return the text of a source file as it was when it was first read, whoever edits it meanwhile."""
    return path.read_text()


@dataclass(frozen=True)
class Mutant:
    """One change: the characters `start` to `end` of a file become `new`."""

    path: Path
    line: int
    start: int
    end: int
    old: str
    new: str

    def apply(self, text: str) -> str:
        """Return the changed source."""
        assert text[self.start : self.end] == self.old
        return text[: self.start] + self.new + text[self.end :]

    def __str__(self) -> str:
        before = read(self.path).splitlines()[self.line - 1].strip()
        return f"{self.path.relative_to(ROOT)}:{self.line}: {self.old} → {self.new}    in: {before}"


class Finder(ast.NodeVisitor):
    """Collects the mutants of one file, leaving out what is not arithmetic."""

    def __init__(self, path: Path) -> None:
        self.path, self.text, self.found = path, read(path), list[Mutant]()
        lines = self.text.splitlines(keepends=True)
        # Columns of the syntax tree count bytes; the places of a text count characters.
        self.starts = [0]
        for line in lines:
            self.starts.append(self.starts[-1] + len(line))
        self.lines = lines
        self.visit(ast.parse(self.text))

    def place(self, line: int, column: int) -> int:
        """Return where a line and a column in bytes are in the text."""
        return self.starts[line - 1] + len(self.lines[line - 1].encode()[:column].decode())

    def plant(self, line: int, start: int, old: str, new: str) -> None:
        """Note a mutant."""
        self.found.append(Mutant(self.path, line, start, start + len(old), old, new))

    def between(self, left: ast.expr, right: ast.expr, operator: ast.AST) -> None:
        """Note the operator between two operands swapped."""
        if type(operator) not in SWAPPED:
            return
        old, new = SWAPPED[type(operator)]
        start = self.place(left.end_lineno or 0, left.end_col_offset or 0)
        stop = self.place(right.lineno, right.col_offset)
        found = self.text.find(old, start, stop)
        if found >= 0:
            self.plant(self.text.count("\n", 0, found) + 1, found, old, new)

    def visit_BinOp(self, node: ast.BinOp) -> None:
        self.between(node.left, node.right, node.op)
        self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        operands = [node.left, *node.comparators]
        for left, right, operator in zip(operands[:-1], operands[1:], node.ops, strict=True):
            self.between(left, right, operator)
        self.generic_visit(node)

    def visit_BoolOp(self, node: ast.BoolOp) -> None:
        self.between(node.values[0], node.values[1], node.op)
        self.generic_visit(node)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> None:
        start = self.place(node.lineno, node.col_offset)
        if isinstance(node.op, ast.USub):
            self.plant(node.lineno, start, "-", "+")
        elif isinstance(node.op, ast.Not):
            self.plant(node.lineno, start, "not ", "")
        self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> None:
        old = ast.get_source_segment(self.text, node) or ""
        start = self.place(node.lineno, node.col_offset)
        if isinstance(node.value, bool):
            self.plant(node.lineno, start, old, str(not node.value))
        elif isinstance(node.value, int):
            self.plant(node.lineno, start, old, str(node.value + 1))
        elif isinstance(node.value, float):
            self.plant(node.lineno, start, old, repr(2 * node.value if node.value else 1.0))

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Load) and node.id in TWINS and TWINS[node.id] in self.names:
            self.plant(node.lineno, self.place(node.lineno, node.col_offset), node.id, TWINS[node.id])

    def visit_Attribute(self, node: ast.Attribute) -> None:
        self.visit(node.value)
        end = self.place(node.end_lineno or 0, node.end_col_offset or 0)
        if node.attr in TWINS and node.attr not in ("s", "t") and isinstance(node.ctx, ast.Load):
            self.plant(node.lineno, end - len(node.attr), node.attr, TWINS[node.attr])

    names: frozenset[str] = frozenset()

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        """Go into a body; its decorators and annotations compute nothing."""
        outer, within = self.names, {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        self.names = frozenset(within | {a.arg for a in ast.walk(node) if isinstance(a, ast.arg)})
        for child in [*node.args.defaults, *[d for d in node.args.kw_defaults if d], *node.body]:
            self.visit(child)
        self.names = outer

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        if not any(isinstance(base, ast.Name) and base.id == "Protocol" for base in node.bases):
            for child in node.body:
                self.visit(child)

    def visit_Assign(self, node: ast.Assign) -> None:
        """Leave out aliases of types, whose names begin with a capital, and `__all__`."""
        target = node.targets[0]
        name = target.id if isinstance(target, ast.Name) else ""
        if not (name == "__all__" or (name[:1].isupper() and not name.isupper())):
            self.generic_visit(node)

    def visit(self, node: ast.AST) -> None:
        """Go into a node, unless people only read it, or it only checks types."""
        if not isinstance(node, ast.Raise | ast.JoinedStr | ast.Import | ast.ImportFrom | ast.Assert):
            super().visit(node)


def mutants(wanted: str) -> list[Mutant]:
    """List every mutant of the files whose path contains `wanted`."""
    paths = (path for path in sorted(MATHS.rglob("*.py")) if wanted in path.relative_to(MATHS).as_posix())
    return [mutant for path in paths for mutant in Finder(path).found]


def likely_tests(path: Path) -> tuple[list[str], list[str]]:
    """Return the test files to run first for a source file, and all the others."""
    place = path.relative_to(MATHS)
    names = [f"test_{place.stem}.py", *LIKELY.get(place.parts[0].removesuffix(".py"), ())]
    files = [file for folder in TESTS for file in sorted(folder.glob("test_*.py"))]
    first = [str(file) for name in names for file in files if file.name == name]
    return first, [str(file) for file in files if str(file) not in first]


def run_tests(mutant: Mutant | None) -> bool:
    """Run the laws' own tests in this process; return whether all pass."""
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "--no-header", "--tb=line", f"--rootdir={ROOT}"]
    first, rest = likely_tests(mutant.path if mutant else MATHS / "process.py")
    return all(pytest.main([*options, *files]) == 0 for files in (first, rest) if files)


def run_laws(mutant: Mutant | None) -> bool:
    """Run the laws of `sfumato verify` in this process, the quick ones first; return whether all pass."""
    from sfumato.verify.run import all_tasks, perform

    def slow(task: object) -> bool:
        return getattr(task, "name", "") in ("sampler", "triples", "likelihood", "chains")

    tasks = [task for task in all_tasks() if not slow(task) or not set(QUICK).isdisjoint(task.pieces)]
    return all(finding.passed for task in sorted(tasks, key=slow) for finding in perform(task))


@dataclass
class Worker:
    """A copy of the source, and the process that runs on it."""

    folder: Path
    mutant: Mutant | None = None
    process: int = 0
    began: float = 0.0

    def begin(self, mutant: Mutant | None, check: Callable[[Mutant | None], bool]) -> None:
        """Plant a mutant and fork a process that runs the laws."""
        self.mutant, self.began = mutant, time.monotonic()
        if mutant:
            self.copy(mutant.path).write_text(mutant.apply(read(mutant.path)))
        self.process = os.fork()
        if self.process == 0:
            self.judge(check)

    def copy(self, path: Path) -> Path:
        """Return where the copy of a source file is."""
        return self.folder / "src" / path.relative_to(ROOT / "src")

    def judge(self, check: Callable[[Mutant | None], bool]) -> None:
        """Run the laws and leave, with code 0 if all hold; never returns."""
        os.setsid()
        code = 1
        try:
            log = os.open(self.folder / "log.txt", os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
            os.dup2(log, 1)
            os.dup2(log, 2)
            sys.path.insert(0, str(self.folder / "src"))
            os.chdir(ROOT)
            code = 0 if check(self.mutant) else 1
        finally:
            sys.stdout.flush()
            os._exit(code)

    def result(self, limit: float) -> bool | None:
        """Return whether the mutant was caught, or None while its process runs."""
        done, status = os.waitpid(self.process, os.WNOHANG)
        late = time.monotonic() - self.began > limit
        if not done and not late:
            return None
        if not done:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.process, signal.SIGKILL)
            os.waitpid(self.process, 0)
        if self.mutant:
            self.copy(self.mutant.path).write_text(read(self.mutant.path))
        return late or status != 0


def judged(
    chosen: list[Mutant], check: Callable[[Mutant | None], bool], workers: list[Worker], limit: float
) -> Iterator[tuple[Mutant, bool]]:
    """Yield each mutant and whether it was caught, as the workers finish."""
    waiting, busy, idle = list(reversed(chosen)), list[Worker](), list(workers)
    while waiting or busy:
        while waiting and idle:
            worker = idle.pop()
            worker.begin(waiting.pop(), check)
            busy.append(worker)
        time.sleep(0.02)
        for worker in list(busy):
            caught = worker.result(limit)
            if caught is not None and worker.mutant is not None:
                busy.remove(worker)
                idle.append(worker)
                yield worker.mutant, caught


def sound(worker: Worker, check: Callable[[Mutant | None], bool]) -> float:
    """Return how long the laws take on the code as it is; leave if they do not hold."""
    worker.begin(None, check)
    while (failed := worker.result(3600)) is None:
        time.sleep(0.05)
    if failed:
        sys.exit(f"the laws do not hold before anything is planted: see {worker.folder / 'log.txt'}")
    return time.monotonic() - worker.began


def preload() -> None:
    """Import what every process needs, but nothing of sfumato, and keep to one thread: forks need it so."""
    os.environ["OMP_NUM_THREADS"] = "1"
    sys.dont_write_bytecode = True
    import pytest  # noqa: F401
    import torch
    import torch.func
    import torch.testing

    with contextlib.suppress(ImportError):
        import torchdiffeq  # noqa: F401
    with contextlib.suppress(ImportError):
        from diffusers import DDPMScheduler  # noqa: F401
    torch.set_num_threads(1)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--n", type=int, default=200, help="how many mutants, drawn from all")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--files", default="", help="only files whose path in diffusion/ contains this")
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--laws", action="store_true", help="run `sfumato verify`'s laws, not the tests")
    parser.add_argument("--list", action="store_true", help="list the mutants and leave")
    options = parser.parse_args()
    every = mutants(options.files)
    chosen = random.Random(options.seed).sample(every, min(options.n, len(every)))
    if options.list:
        print(*chosen, sep="\n")
        return
    preload()
    check = run_laws if options.laws else run_tests
    with tempfile.TemporaryDirectory(prefix="mutants-", ignore_cleanup_errors=True) as place:
        workers = [Worker(Path(place) / str(number)) for number in range(options.workers)]
        for worker in workers:
            shutil.copytree(ROOT / "src", worker.folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        limit = 3 * sound(workers[0], check) + 10
        print(
            f"{len(chosen)} of {len(every)} mutants, seed {options.seed}; limit {limit:.0f} s each",
            flush=True,
        )
        report(judged(chosen, check, workers, limit), len(chosen))


def report(results: Iterator[tuple[Mutant, bool]], total: int) -> None:
    """Print survivors as they come, and the share caught."""
    began, survivors = time.monotonic(), []
    for done, (mutant, caught) in enumerate(results, start=1):
        if not caught:
            survivors.append(mutant)
            print(f"survived: {mutant}", flush=True)
        if done % 20 == 0 or done == total:
            print(
                f"{done}/{total} judged, {done - len(survivors)} caught, {time.monotonic() - began:.0f} s",
                flush=True,
            )
    share = 100 * (total - len(survivors)) / max(total, 1)
    print(f"\n{share:.1f} % of {total} mutants caught; {len(survivors)} survived")
    for mutant in sorted(survivors, key=str):
        print(f"  {mutant}")


if __name__ == "__main__":
    main()
