"""What is asked of embeddings: what a line reads off them, who is near whom, and a map of them."""

import math

import pytest
import torch
from sklearn.decomposition import PCA
from sklearn.neighbors import NearestNeighbors
from torch import Tensor

from sfumato.data import load_data
from sfumato.errors import DataError
from sfumato.metrics.embedding_map import embedding_map, neighbourly, principal
from sfumato.metrics.probe import embeddings, linear_probe, probe, raw
from sfumato.metrics.similar import similar


def drawn(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed))


def blobs(count: int, classes: int = 3, apart: float = 8.0) -> tuple[Tensor, Tensor]:
    labels = torch.arange(count) % classes
    return drawn(count, 5) + apart * torch.eye(classes, 5)[labels], labels


def test_a_line_reads_what_lies_apart_and_no_more_than_chance_of_noise() -> None:
    known, labels = blobs(300)
    asked, answers = blobs(600)
    assert linear_probe(known, labels, asked[300:], answers[300:]).accuracy > 0.99
    guessed = linear_probe(drawn(300, 5), labels, drawn(3000, 5, seed=1), torch.arange(3000) % 3)
    # A third, and the deviation of 3,000 guesses is 0.9 %.
    assert guessed.accuracy == pytest.approx(1 / 3, abs=0.04)
    assert (guessed.examples, guessed.learned_from) == (3000, 300)


def test_a_probe_does_not_depend_on_units_nor_on_coordinates_that_never_vary() -> None:
    known, labels = blobs(200, apart=2.0)
    asked, answers = blobs(400, apart=2.0)
    plain = linear_probe(known, labels, asked, answers).accuracy
    scaled = 1e4 * known + 7, 1e4 * asked + 7
    with_constant = [torch.cat([x, torch.full((len(x), 1), 3.3)], 1) for x in scaled]
    assert linear_probe(with_constant[0], labels, with_constant[1], answers).accuracy == pytest.approx(
        plain, abs=0.01
    )  # float32 at 10⁴ moves a few answers at the border


def test_digits_are_read_off_their_pixels_and_no_label_reaches_the_encoder() -> None:
    digits = load_data("digits")
    found = probe(raw, digits)
    assert found.accuracy > 0.93  # multinomial logistic regression on these pixels reads about 96 %
    assert found.examples == len(digits.held_out)
    blind = probe(lambda x: torch.zeros(len(x), 3), digits)
    assert blind.accuracy < 0.2


def test_embeddings_come_in_order_whatever_the_chunks() -> None:
    digits = load_data("digits")
    found = embeddings(raw, digits.train)
    some = torch.tensor([0, 511, 512, 1600])
    assert torch.equal(found[some], raw(digits.train.batch(some)[0]))


def test_without_labels_there_is_nothing_to_probe() -> None:
    with pytest.raises(DataError, match="labels"):
        probe(raw, load_data("checkerboard"))
    with pytest.raises(DataError, match="two classes"):
        linear_probe(drawn(5, 2), torch.zeros(5).long(), drawn(5, 2), torch.zeros(5).long())


def test_neighbours_by_angle_are_those_of_scikit_learn() -> None:
    known, asked = drawn(500, 6), drawn(40, 6, seed=1)
    rows, cosines = similar(asked, known, 7)
    reference = NearestNeighbors(n_neighbors=7, metric="cosine").fit(known.numpy())
    distances, places = reference.kneighbors(asked.numpy())
    assert torch.equal(rows, torch.from_numpy(places))
    assert torch.allclose(1 - cosines.double(), torch.from_numpy(distances).double(), atol=1e-5)


def test_an_example_is_its_own_nearest_whatever_its_length() -> None:
    known = drawn(1500, 8)
    rows, cosines = similar(3 * known, known, 2)
    assert torch.equal(rows[:, 0], torch.arange(1500))
    assert torch.allclose(cosines[:, 0], torch.ones(1500), atol=1e-5)
    assert similar(known, known[:3], 10)[0].shape == (1500, 3)


def test_principal_components_are_those_of_scikit_learn() -> None:
    x = drawn(200, 6) * torch.tensor([5.0, 3.0, 1.0, 0.5, 0.2, 0.1]) + 4
    expected = torch.from_numpy(PCA(2, svd_solver="full").fit_transform(x.double().numpy()))
    found = principal(x).double()
    signs = (found * expected).sum(0).sign()
    assert torch.allclose(found, signs * expected, atol=1e-4)
    flipped = principal(-x)
    assert torch.allclose(flipped.abs(), found.float().abs(), atol=1e-4)


def test_a_linear_map_never_lengthens_a_distance() -> None:
    x = drawn(60, 5)
    assert (torch.pdist(principal(x)) <= torch.pdist(x) + 1e-5).all()
    line = drawn(20, 1)
    assert torch.allclose(torch.pdist(principal(line)), torch.pdist(line), atol=1e-5)
    assert principal(line).shape == (20, 2)


def test_a_neighbourly_map_keeps_clusters_and_repeats_itself() -> None:
    x, labels = blobs(150)
    found = neighbourly(x)
    assert torch.equal(found, neighbourly(x))
    rows = (found[:, None] - found).norm(dim=2).fill_diagonal_(math.inf).argmin(1)
    assert (labels[rows] == labels).float().mean() > 0.97


def test_a_map_is_linear_where_there_are_too_few_or_too_many() -> None:
    few = drawn(20, 4)
    assert torch.equal(embedding_map(few), principal(few))
    many = drawn(3001, 4)
    assert torch.equal(embedding_map(many), principal(many))
    some = drawn(60, 4)
    assert not torch.allclose(embedding_map(some), principal(some), atol=0.1)
