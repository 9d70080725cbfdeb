"""Fused SGLD chains on a GPU: by a Triton kernel, else by a captured CUDA graph, else none.

Either is compared with the eager path before its first use (:mod:`ebmlib.sampling.checked`).
``EBMLIB_COMPILE=0`` turns both off.
"""

from __future__ import annotations

import os

from ebmlib.models.score import ActionScore
from ebmlib.sampling import fused
from ebmlib.sampling.captured import Captured, cuda_graph
from ebmlib.sampling.checked import Candidate, FirstThatAgrees
from ebmlib.sampling.sgld import SGLD


def _by_triton(target: ActionScore, kernel: SGLD) -> fused.FusedChain | None:
    from ebmlib.sampling import triton_chain  # where Triton is absent this fails

    return triton_chain.fused_chain(target, kernel)


TRITON = Candidate("the Triton kernel", _by_triton)
GRAPH = Candidate("a captured CUDA graph", Captured(cuda_graph))
_first_that_agrees = FirstThatAgrees((TRITON, GRAPH))


@fused.register(ActionScore, SGLD, "cuda")
def fused_chain(target: ActionScore, kernel: SGLD) -> fused.FusedChain | None:
    """The fused chain of a target on a card, or None where the eager path is to be taken."""
    if os.environ.get("EBMLIB_COMPILE", "") == "0":
        return None
    return _first_that_agrees(target, kernel)
