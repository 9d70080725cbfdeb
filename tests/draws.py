"""What a piece of code draws from generators: for tests that no noise is used twice."""

from __future__ import annotations

from typing import Any

import torch
from torch.overrides import TorchFunctionMode

DRAWING = {
    *("normal_", "uniform_", "bernoulli_", "exponential_", "rand", "randn", "randint", "randperm"),
    *("multinomial", "normal", "bernoulli", "poisson", "rand_like", "randn_like", "randint_like"),
}


class Draws(TorchFunctionMode):
    """Notes the generator's state before and after every draw within the block."""

    def __init__(self, generator: torch.Generator) -> None:
        super().__init__()
        self.generator = generator
        self.first = generator.get_state()
        self.drawn: list[tuple[str, torch.Tensor, torch.Tensor]] = []

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        """Call the function, and look at the generator around it if it draws."""
        kwargs = kwargs or {}
        name = getattr(func, "__name__", "")
        like = [a for a in (*args, kwargs.get("tensor")) if isinstance(a, torch.Tensor)]
        if name not in DRAWING or any(a.is_meta for a in like):  # meta: a shape without numbers
            return func(*args, **kwargs)
        given = kwargs.get("generator")
        assert given is self.generator, f"{name} draws from another generator"
        before = given.get_state()
        out = func(*args, **kwargs)
        self.drawn.append((name, before, given.get_state()))
        return out

    def assert_fresh(self) -> None:
        """Every draw began where the one before it ended, so that no number was drawn twice."""
        assert self.drawn, "nothing was drawn"
        at = self.first
        for number, (name, before, after) in enumerate(self.drawn):
            assert torch.equal(before, at), f"draw {number} ({name}) does not follow the one before"
            assert not torch.equal(before, after), f"draw {number} ({name}) took nothing"
            at = after
        assert torch.equal(self.generator.get_state(), at), "the generator was set back"
