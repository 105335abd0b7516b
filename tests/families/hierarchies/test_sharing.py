"""Several processes that share a batch find the loss and the gradient of one that holds it all."""

from datetime import timedelta
from pathlib import Path

import torch
import torch.distributed as dist
from torch import Tensor

from sfumato.families.contrasting.info_nce import nt_xent

ROWS, SCALE = 8, torch.tensor(6.0)


def views() -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(0)
    first, second = torch.randn(2, ROWS, 5, generator=generator)
    return first, second


def weights() -> Tensor:
    return torch.eye(5).requires_grad_()


def alone() -> tuple[Tensor, Tensor]:
    first, second = views()
    network = weights()
    losses = nt_xent(first @ network, second @ network, SCALE)
    losses.mean().backward()
    assert network.grad is not None
    return losses.detach(), network.grad


def one_of(processes: int, rank: int, folder: str) -> None:
    """Compute this process's rows as the fit loop deals them out, and keep what was found."""
    store = dist.FileStore(f"{folder}/meeting", processes)
    dist.init_process_group(
        "gloo", store=store, rank=rank, world_size=processes, timeout=timedelta(seconds=120)
    )
    try:
        mine = slice(rank, None, processes)
        first, second = (view[mine] for view in views())
        network = weights()
        losses = nt_xent(first @ network, second @ network, SCALE)
        losses.mean().backward()
        with torch.no_grad():
            measured = nt_xent(*views(), SCALE)
        torch.save((losses.detach(), network.grad, measured), f"{folder}/{rank}.pt")
    finally:
        dist.destroy_process_group()


def spawned(rank: int, processes: int, folder: str) -> None:
    one_of(processes, rank, folder)


def test_two_processes_find_what_one_does(tmp_path: Path) -> None:
    torch.multiprocessing.spawn(spawned, (2, str(tmp_path)), nprocs=2)
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in range(2)]
    losses, gradient = alone()
    for rank, (mine, _, measured) in enumerate(found):
        assert torch.allclose(mine, losses[rank::2], atol=1e-6)  # float32, in another order
        assert torch.allclose(measured, losses, atol=1e-6)  # what is measured meets its own rows alone
    average = (found[0][1] + found[1][1]) / 2
    assert torch.allclose(average, gradient, atol=1e-6)
    # Without the others' rows each process would have asked an easier question.
    first, second = views()
    assert (nt_xent(first[::2], second[::2], SCALE) < losses[::2] - 0.01).all()
