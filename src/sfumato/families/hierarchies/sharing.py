"""Rows of a batch that several processes share, for losses in which one row meets the others.

The fit loop averages the gradients of all processes. Where the rows of every process occur in the loss of
each, the gradient that reaches a row is gathered back from all of them; the average is then the gradient of
the mean loss, as if one process had held the whole batch.
"""

import torch
import torch.distributed as dist
from torch import Tensor


def of_all_processes(rows: Tensor) -> tuple[Tensor, int]:
    """Return the rows of all processes, (P·N, ...) of each one's (N, ...), and where this one's begin.

    Only in training: what is measured is measured by every process on the same examples, which would then
    meet themselves.
    """
    shared = dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1
    if not shared or not torch.is_grad_enabled():
        return rows, 0
    from torch.distributed.nn.functional import all_gather

    return torch.cat(all_gather(rows.contiguous())), dist.get_rank() * len(rows)
