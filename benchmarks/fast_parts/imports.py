"""What it costs to begin: `import sfumato` beyond `import torch`, and `sfumato --help`, all fresh."""

import subprocess
import sys
from functools import partial
from statistics import median

from fast_parts.page import Goal, Section, table
from fast_parts.rounds import Contestant, turn
from fast_parts.settings import Settings

COMMANDS = {
    "`import torch`": ["-c", "import torch"],
    "`import torch, sfumato`": ["-c", "import torch, sfumato"],
    "`sfumato --help`": ["-m", "sfumato", "--help"],
}
LEAST_ROUNDS = 5
SEES_TORCH = "import sys, sfumato.app.cli.main; raise SystemExit('torch' in sys.modules)"


def started(arguments: list[str]) -> int:
    """Run Python to its end and return its status, with nothing printed."""
    return subprocess.run([sys.executable, *arguments], stdout=subprocess.DEVNULL).returncode


def measure(settings: Settings) -> Section:
    """Time the three in turns, after one untimed start of each."""
    contestants = [Contestant(name, 0, partial(started, command)) for name, command in COMMANDS.items()]
    rounds = max(LEAST_ROUNDS, settings.rounds)
    for one in contestants:
        if one.step():
            raise SystemExit(f"{one.name} failed")
    times = [[turn(one, 1) for one in contestants] for _ in range(rounds)]
    torch_alone, both, help_ = (median(column) for column in zip(*times, strict=True))
    extra = both - torch_alone
    goals = (
        Goal("`import sfumato`, beyond `import torch`", "≤ 100 ms", f"{1000 * extra:.0f} ms", extra <= 0.1),
        Goal("`sfumato --help`", "≤ 400 ms", f"{1000 * help_:.0f} ms", help_ <= 0.4),
        Goal("the command line without torch", "yes", *torch_free()),
    )
    seconds = zip(COMMANDS, (torch_alone, both, help_), strict=True)
    body = [[name, f"{1000 * value:.0f}"] for name, value in seconds]
    told = f"Medians of {rounds} fresh processes each, taken in turns, files cached."
    return Section("Imports", f"{told}\n\n{table(['', 'milliseconds'], body)}", goals)


def torch_free() -> tuple[str, bool]:
    """Return whether the command line comes up without importing torch, as a word and as a truth."""
    free = started(["-c", SEES_TORCH]) == 0
    return ("yes" if free else "no"), free
