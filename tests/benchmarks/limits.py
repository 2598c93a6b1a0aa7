"""How fast a row could be at most on a machine whose multipliers and memory are known (`peak.py`).

The products of the row's convolutions and matrix products divided by the multipliers' speed, or the bytes that it reads and gives
(parameters, image, results, each once) divided by the memory's: the larger time is the row's limit. Winograd's algorithm needs
4 (3x3) or 2.8 (5x5) times fewer products where it applies: that is counted, for outputs and for gradients to inputs. Additions,
activations, pooling and the traffic between layers are not, so no library comes to 100 %. A row may pass it whose numbers stay in
the cache.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

WINOGRAD = {(3, 3): 144 / 36, (5, 5): 100 / 36}  # products of a tile of outputs as defined, over those of the algorithm


class Cost(NamedTuple):
    operations: float  # multiplications and additions
    bytes: int

    def seconds(self, operations_per_second: float, bytes_per_second: float) -> float:
        return max(self.operations / operations_per_second, self.bytes / bytes_per_second)


def convolution(
    out: tuple[int, ...], weight: tuple[int, ...], stride: Any, dilation: Any, groups: int, tiled: bool = True
) -> float:
    """Operations of a convolution with these shapes: (N, O, OH, OW), (O, C / groups, KH, KW)."""
    operations = 2.0 * float(np.prod(out)) * float(np.prod(weight[1:]))
    plain = groups == 1 and set(stride) == {1} and set(dilation) == {1}
    return operations / WINOGRAD.get(tuple(weight[2:]), 1.0) if plain and tiled else operations


def cost(torch: Any, model: Any, x: Any, work: Any) -> Cost:
    """What `work`, a step of PyTorch on this network and image, has to do at least."""
    from torch.utils.flop_counter import FlopCounterMode

    def outputs(x, weight, bias, stride, padding, dilation, transposed, padded, groups, out_shape=None):
        return convolution(out_shape, weight, stride, dilation, groups)

    def gradients(grad, x, weight, bias, stride, padding, dilation, transposed, padded, groups, mask, out_shape=None):
        to_input = convolution(grad, weight, stride, dilation, groups) * mask[0]
        return to_input + convolution(grad, weight, stride, dilation, groups, tiled=False) * mask[1]

    own = {torch.ops.aten.convolution: outputs, torch.ops.aten.convolution_backward: gradients}
    counter = FlopCounterMode(display=False, custom_mapping=own)
    with counter:
        results = work()
    read = [x, *model.parameters()]
    return Cost(
        counter.get_total_flops(),
        sum(part.numel() * part.element_size() for part in read) + sum(array.nbytes for array in results),
    )
