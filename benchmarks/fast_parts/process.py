"""Work in a fresh process: cold caches, its own memory, a result that comes back as JSON.

Compilers keep what they made, in memory and on disk, so that a second training in one process would be given
the first one's compilation. Here each process finds empty caches.
"""

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from fast_parts.settings import NotMeasuredError

BENCHMARKS = Path(__file__).resolve().parents[1]
Works = Mapping[str, Callable[..., object]]


def environment(threads: int, caches: Path) -> dict[str, str]:
    """Return the surroundings of a child: `threads` threads, and its caches in a folder of their own."""
    paths = [str(BENCHMARKS), *os.environ.get("PYTHONPATH", "").split(os.pathsep)]
    return {
        **os.environ,
        "PYTHONPATH": os.pathsep.join(filter(None, paths)),
        "OMP_NUM_THREADS": str(threads),
        "TORCHINDUCTOR_CACHE_DIR": str(caches / "inductor"),
        "XDG_CACHE_HOME": str(caches / "cache"),
        "SFUMATO_CACHE": str(caches / "sfumato"),
    }


def in_process(module: str, work: str, threads: int, **arguments: object) -> Any:
    """Do `work` of `fast_parts.module` in a process of its own and return its result.

    arguments: by keyword, such that JSON can carry them, or paths. Raises NotMeasuredError where it fails.
    """
    command = [sys.executable, "-m", f"fast_parts.{module}", work, json.dumps(arguments, default=str)]
    with tempfile.TemporaryDirectory(prefix="cold-") as folder:
        surroundings = environment(threads, Path(folder))
        done = subprocess.run(command, env=surroundings, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        raise NotMeasuredError(f"`{work}` ended with status {done.returncode}, as told where this ran")
    return json.loads(done.stdout.splitlines()[-1])


def serve(works: Works) -> None:
    """Be the child: do what the command line asks for and print the result as the last line."""
    work, arguments = sys.argv[1:]
    print(json.dumps(works[work](**json.loads(arguments))), flush=True)
