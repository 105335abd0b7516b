"""The log: each player's loss and gradient by its name, and what the family measures apart from them."""

from collections.abc import Mapping
from pathlib import Path

from sfumato.train.budget import Done
from sfumato.train.events import HeldOut, Saved, Stepped
from sfumato.train.history import History, measures_of, players_of, read_history


def stepped(step: int, progress: float, losses: Mapping[str, float], norms: Mapping[str, float]) -> Stepped:
    return Stepped(Done(step, 4 * step, float(step)), progress, losses, 0.1, norms)


def test_a_row_holds_the_mean_over_the_moves_that_each_player_made(tmp_path: Path) -> None:
    """The first step has a row of its own; then one player moves four times and the other twice."""
    log = History(tmp_path / "log.jsonl", rows=2)
    log(stepped(1, 0.0, {"critic": 8.0, "generator": -1.0}, {"critic": 0.5, "generator": 0.25}))
    for step, loss in ((2, 1.0), (3, 2.0), (4, 3.0), (5, 6.0)):
        generator = {"generator": -loss} if step % 2 else {}
        norms = {"critic": 10 * loss, **dict.fromkeys(generator, 100 * loss)}
        log(stepped(step, step / 10, {"critic": loss, **generator}, norms))
    first, second = read_history(tmp_path / "log.jsonl")
    assert (first["loss of critic"], first["loss of generator"]) == (8, -1)
    assert (first["gradient norm of critic"], first["gradient norm of generator"]) == (0.5, 0.25)
    assert (second["loss of critic"], second["gradient norm of critic"]) == (3, 30)
    assert (second["loss of generator"], second["gradient norm of generator"]) == (-4, 400)
    assert second["images_per_second"] == 4
    assert players_of([first, second]) == ["critic", "generator"]


def test_measures_are_what_the_family_says_of_itself_and_the_last_counts(tmp_path: Path) -> None:
    log = History(tmp_path / "log.jsonl")
    log(stepped(1, 0.0, {"one": 1.0, "loss": 2.0}, {"one": 1.0, "loss": 2.0}))
    for step, coverage in ((2, 0.3), (3, 0.9)):
        log(HeldOut(Done(step, step, step), 0.5, 0.4, {"coverage": coverage, "loss": 7.0}))
    log(Saved(Done(3, 3, 3)))
    # A family may call a measure, and a player, what it likes.
    assert measures_of(log.rows) == {"coverage": 0.9, "loss": 7.0}
    assert players_of(log.rows) == ["one", "loss"]
    assert measures_of([]) == {}
    assert players_of([]) == []


def test_what_came_after_the_checkpoint_is_forgotten_and_written_again(tmp_path: Path) -> None:
    whole, halves = tmp_path / "whole", tmp_path / "halves"
    steps = [stepped(n, n / 4, {"one": 0.1 * n, "two": n}, {"one": n, "two": 3.0}) for n in (1, 2, 3, 4)]
    log, broken = History(whole), History(halves)
    for step in steps:
        log(step)
    for step in steps[:3]:  # killed after the third, of which no checkpoint knows
        broken(step)
    with halves.open("a") as file:
        file.write('{"step": 4, "loss of')
    again = History(halves)
    again.resume(steps[1].done)
    for step in steps[2:]:
        again(step)
    assert halves.read_text() == whole.read_text()
    assert again.rows == log.rows
