"""What the progress bar says of losses: one number of a lone player, one by name of each side of a game."""

import pytest

from sfumato.app.training_bar import SMOOTHING, in_words, smoothed


def test_each_players_loss_is_shown_and_a_lone_ones_without_its_name() -> None:
    assert in_words({"denoiser": 0.25}) == "loss 0.2500"
    assert in_words({"critic": 1.0, "generator": -0.5}) == "loss critic 1.0000, generator -0.5000"


def test_a_loss_is_smoothed_by_its_own_player_and_waits_where_it_did_not_move() -> None:
    first = smoothed({}, {"critic": 1.0, "generator": 8.0})
    assert first == {"critic": 1.0, "generator": 8.0}
    second = smoothed(first, {"critic": 3.0})
    assert second == {"critic": pytest.approx(1.0 + 2 * SMOOTHING), "generator": 8.0}
    assert list(second) == ["critic", "generator"]
    level = {"one": 0.0}
    for _ in range(200):
        level = smoothed(level, {"one": 5.0})
    # What is left of the start is (1 − 0.05)²⁰⁰ = 3.5e-5 of it.
    assert level["one"] == pytest.approx(5.0, abs=5e-4)
