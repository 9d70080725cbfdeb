"""Chain steps per second: ours, plain autograd, and torchebm, beside a large matrix product.

    python -m benchmarks.chain_rate [--batches 100 512 2000] [--repeats 15]

All samplers make the same K updates of section 2.4 with the network of Figure 3.2 (z 64, h 128),
noise included, from the same starts. They run interleaved, and medians are reported.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable

import torch
from torch import Tensor

from benchmarks.measuring import interleaved, provenance, summary, warn_if_busy, write
from ebmlib import SGLD, EnergyConfig, EnergyModel, seeding
from ebmlib.sampling import compiled, fused

ALPHA = 0.01
MATRIX = 2000  # rows of the square matrices whose product is the machine's attainable rate


def autograd_chain(
    model: EnergyModel, x: Tensor, a: Tensor, steps: int, g: torch.Generator
) -> Tensor:
    """The update of section 2.4 as most implementations write it."""
    for _ in range(steps):
        a = a.detach().requires_grad_(True)
        (slope,) = torch.autograd.grad(model(x, a).sum(), a)
        xi = torch.empty_like(slope).normal_(generator=g)
        a = a.detach() + ALPHA**2 / 2 * slope + ALPHA * xi
    return a


def torchebm_chain(model: EnergyModel, x: Tensor, steps: int) -> Callable[..., Tensor] | None:
    """LangevinDynamics of torchebm on the energy -f(x, .), or None where torchebm is not installed.

    Its update a' = a - eta grad E + sqrt(2 eta) xi is ours at eta = alpha^2 / 2.
    """
    try:
        from torchebm.core import BaseModel
        from torchebm.samplers import LangevinDynamics
    except ImportError:
        return None

    class Energy(BaseModel):
        def __init__(self) -> None:
            super().__init__()
            self.network = model

        def forward(self, a: Tensor) -> Tensor:
            return -self.network(x, a)

    energy = Energy()
    probe = x.new_zeros(len(x), model.action_dim)
    torch.testing.assert_close(-energy.gradient(probe), model.score(x)(probe), rtol=1e-3, atol=1e-5)
    sampler = LangevinDynamics(energy, step_size=ALPHA**2 / 2, noise_scale=1.0, device=x.device)
    return lambda a, g: sampler.sample(x=a, n_steps=steps, generator=g)


def samplers(n: int, steps: int) -> tuple[dict[str, Callable[[], object]], int]:
    """Name -> one whole chain of n actions, and the operations of one update of one of them."""
    model = EnergyModel(EnergyConfig(), 2, 2, generator=seeding.generator(0, "weights"))
    model.requires_grad_(False)  # spares autograd what a sampler does not need
    x = torch.randn(n, 2, generator=seeding.generator(0, "states"))
    sgld, draws = SGLD(alpha=ALPHA, steps=steps), seeding.generator(0, "chains")
    start = sgld.start(n, 2, generator=draws)

    def ours(kernel: bool) -> Callable[[], object]:
        def chain() -> object:
            with fused.permitted(kernel):  # the score is made anew, as training does in every epoch
                return sgld.chain(model.score(x), start, generator=draws)

        return chain

    tasks = {
        "compiled": ours(True),
        "eager": ours(False),
        "autograd": lambda: autograd_chain(model, x, start, steps, draws),
    }
    if not compiled.available():
        del tasks["compiled"]
    if chain := torchebm_chain(model, x, steps):
        tasks["torchebm"] = lambda: chain(start, draws)
    return tasks, model.score(x[:1]).operations()


def main() -> None:
    """Measure, print a table, write results/chain_rate.json."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--batches", type=int, nargs="+", default=[100, 512, 2000])
    parser.add_argument("--steps", type=int, default=50, help="K, updates of a chain")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--note", default="", help="kept with the figures")
    settings = parser.parse_args()
    torch.set_num_threads(settings.threads)
    record = provenance() | {
        "note": settings.note,
        "steps": settings.steps,
        "repeats": settings.repeats,
        "batches": {},
    }
    warn_if_busy()

    left, right = torch.randn(2, MATRIX, MATRIX, generator=seeding.generator(0, "product"))
    print(
        f"{'batch':>6} {'sampler':>10} {'ms':>8} {'steps/s':>10} {'GFLOP/s':>8} {'of product':>10}"
    )
    for n in settings.batches:
        tasks, operations = samplers(n, settings.steps)
        tasks["matrix product"] = lambda: left @ right
        times = {k: summary(v) for k, v in interleaved(tasks, settings.repeats).items()}
        product = times.pop("matrix product")
        ceiling = 2 * MATRIX**3 / product["median"]
        rows = {}
        for name, time in times.items():
            rate = n * settings.steps / time["median"]
            rows[name] = {
                "seconds": time,
                "chain_steps_per_second": rate,
                "gflop_per_second": rate * operations / 1e9,
                "of_matrix_product": rate * operations / ceiling,
            }
            print(
                f"{n:>6} {name:>10} {1e3 * time['median']:>8.1f} {rate:>10.3g} "
                f"{rate * operations / 1e9:>8.0f} {rate * operations / ceiling:>10.0%}"
            )
        best = next(iter(rows))
        ratios = {
            k: rows[best]["chain_steps_per_second"] / v["chain_steps_per_second"]
            for k, v in rows.items()
            if k != best
        }
        print(
            f"{n:>6} matrix product of {MATRIX}: {ceiling / 1e9:.0f} GFLOP/s;",
            ", ".join(f"{best} is {r:.2f} times {k}" for k, r in ratios.items()),
        )
        record["batches"][n] = {
            "samplers": rows,
            "ratios": {f"{best} / {k}": r for k, r in ratios.items()},
            "operations_per_chain_step": operations,
            "matrix_product": {"seconds": product, "gflop_per_second": ceiling / 1e9},
        }
    if record["versions"]["torchebm"] == "absent":
        print(
            "\ntorchebm is not installed; compare with it after\n"
            "  python -m pip install -r benchmarks/requirements.txt"
        )
    if not compiled.available():
        print("\nThere is no compiled kernel here (no C compiler, or EBMLIB_COMPILE=0).")
    write("chain_rate", record)


if __name__ == "__main__":
    main()
