"""A GPU: is the fused kernel right there, how fast is it, and what does a training take.

    python -m benchmarks.gpu [--chains 512 4096 65536] [--steps 100] [--repeats 9]

Writes results/gpu-<card>.json. Without a card it says so and ends with status 2.
"""

from __future__ import annotations

import argparse
import math
import re
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import torch

from benchmarks.chain_rate import ALPHA, autograd_chain, torchebm_chain
from benchmarks.measuring import interleaved, provenance, summary, write
from ebmlib import SGLD, EnergyConfig, EnergyModel, preset, seeding
from ebmlib.demonstrations.dataset import Demonstrations
from ebmlib.evaluation import metrics
from ebmlib.models.score import ActionScore
from ebmlib.policies.exp import EXP
from ebmlib.policies.trajectories import rollout
from ebmlib.sampling import cuda, fused
from ebmlib.sampling.checked import Candidate, disagreement
from ebmlib.training.run import Run, execute
from ebmlib.training.together import execute_together

MATRIX = 8192  # rows of the square matrices whose product is the card's attainable rate
CANDIDATES: dict[str, Candidate] = {"triton": cuda.TRITON, "graph": cuda.GRAPH}
VARIANTS = {
    "figure 3.2": EnergyConfig(),
    "three hidden layers": EnergyConfig(z_dim=32, h_dim=64, hidden_layers=3),
    "no hidden layer": EnergyConfig(hidden_layers=0),
    "not residual": EnergyConfig(residual=False),
    "tanh": EnergyConfig(first_activation="tanh"),
    "silu": EnergyConfig(activation="silu"),
    "plain": EnergyConfig.plain(),
}


def network(config: EnergyConfig, device: torch.device) -> EnergyModel:
    """A model with its first weights, on the device."""
    model = EnergyModel(config, 2, 2, generator=seeding.generator(0, "weights"))
    return model.to(device).requires_grad_(False)


def judged(candidate: Candidate, target: ActionScore) -> str:
    """``"agrees"``, or why the candidate is not used for the target's form."""
    try:
        if candidate.make(target, SGLD(steps=1)) is None:
            return "has no chain for this network or card"
        return disagreement(candidate.make, target) or "agrees"
    except ImportError as error:
        return f"absent: {error}"
    except Exception as error:  # compilers and drivers raise what they like; it is the result
        return f"failed with {type(error).__name__}: {' '.join(str(error).split())[:300]}"


def agreement(device: torch.device) -> dict[str, dict[str, str]]:
    """What each candidate's check says, for every form of network."""
    x = torch.randn(5, 2, generator=seeding.generator(0, "states")).to(device)
    found = {}
    for name, candidate in CANDIDATES.items():
        found[name] = {
            variant: judged(candidate, network(config, device).score(x))
            for variant, config in VARIANTS.items()
        }
        for variant, verdict in found[name].items():
            print(f"{name:>8} {variant:<20} {verdict}")
    return found


def tasks(
    n: int, steps: int, device: torch.device, usable: list[str]
) -> tuple[dict[str, Callable[[], object]], int]:
    """Name -> one whole chain of n actions and a wait for the card; operations of one update."""
    model = network(EnergyConfig(), device)
    x = torch.randn(n, 2, generator=seeding.generator(0, "states")).to(device)
    sgld, draws = SGLD(alpha=ALPHA, steps=steps), seeding.generator(0, "chains", device)
    start = sgld.start(n, 2, generator=draws)

    def waiting(chain: Callable[[], object]) -> Callable[[], object]:
        def task() -> object:
            made = chain()
            torch.cuda.synchronize(device)
            return made

        return task

    def fused_by(candidate: Candidate) -> Callable[[], object]:
        def chain() -> object:  # the score is made anew, as training does in every epoch
            made = candidate.make(model.score(x), sgld)
            assert made is not None
            return made(start, 0, steps, generator=draws, length=None)

        return chain

    made = {name: waiting(fused_by(CANDIDATES[name])) for name in usable}
    made["eager"] = waiting(lambda: sgld.chain(model.score(x), start, generator=draws))
    made["autograd"] = waiting(lambda: autograd_chain(model, x, start, steps, draws))
    if chain := torchebm_chain(model, x, steps):
        made["torchebm"] = waiting(lambda: chain(start, draws))
    return made, model.score(x[:1]).operations()


def rates(
    batches: list[int], steps: int, repeats: int, device: torch.device, usable: list[str]
) -> dict[int, Any]:
    """Seconds, chain steps per second and the share of the matrix product's rate, per batch."""
    generator = seeding.generator(0, "product")
    left, right = torch.randn(2, MATRIX, MATRIX, generator=generator).to(device)

    def product() -> None:
        left @ right
        torch.cuda.synchronize(device)

    found: dict[int, Any] = {}
    print(f"\n{'chains':>7} {'sampler':>9} {'ms':>9} {'steps/s':>10} {'of product':>10}")
    for n in batches:
        chains, operations = tasks(n, steps, device, usable)
        times = interleaved({**chains, "matrix product": product}, repeats)
        seconds = {name: summary(taken) for name, taken in times.items()}
        ceiling = 2 * MATRIX**3 / seconds.pop("matrix product")["median"]
        found[n] = {"gflop_per_second_of_matrix_product": ceiling / 1e9, "samplers": {}}
        for name, taken in seconds.items():
            rate = n * steps / taken["median"]
            found[n]["samplers"][name] = {
                "seconds": taken,
                "chain_steps_per_second": rate,
                "of_matrix_product": rate * operations / ceiling,
                "times_eager": seconds["eager"]["median"] / taken["median"],
            }
            share = rate * operations / ceiling
            print(f"{n:>7} {name:>9} {1e3 * taken['median']:>9.2f} {rate:>10.3g} {share:>10.1%}")
    return found


def training(device: torch.device, epochs: int) -> dict[str, Any]:
    """Train the circle: seconds, how chains were made, how far rollouts are from the drawing."""
    run = preset("circle").with_(epochs=epochs)
    demonstrations = run.demonstrations()
    began = time.perf_counter()
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        result = execute(run, demonstrations, device=device)
        torch.cuda.synchronize(device)
    seconds = time.perf_counter() - began
    record: dict[str, Any] = {"epochs": epochs, "seconds": seconds, "fused": result.fused}
    record["warnings"] = [str(warning.message) for warning in said]
    assert demonstrations.reference is not None and run.sampler is not None
    sampler = run.in_actions(demonstrations.action_scale).sampler
    starts = torch.tensor(demonstrations.reference[:1].copy(), dtype=torch.float32, device=device)
    policy = EXP(result.model, sampler)
    steps = len(demonstrations.reference) - 1
    made = rollout(policy, starts, steps, generator=seeding.generator(0, "rollout", device)).states[
        0
    ]
    away = metrics.distance_to_polyline(made.cpu().numpy(), demonstrations.reference)
    record["mean_distance_of_a_rollout"] = float(away.mean())
    print(
        f"\nThe circle's {epochs} epochs took {seconds:.1f} s; a rollout is {away.mean():.3g} away."
    )
    return record


def seeds(device: torch.device, count: int, epochs: int) -> dict[str, Any]:
    """Seconds of a seed and epoch of the circle: alone, and with ``count`` seeds in step."""
    run = preset("circle").with_(epochs=epochs)
    demonstrations = run.demonstrations()

    def waited(work: Callable[[], object]) -> Callable[[], object]:
        def task() -> None:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                work()
            if device.type == "cuda":
                torch.cuda.synchronize(device)

        return task

    def alone(permit: bool) -> Callable[[], object]:
        return waited(lambda: _alone(run, demonstrations, device, permit))

    ways = {
        "alone, eager": (1, alone(False)),
        "alone, fused": (1, alone(True)),
        "in step": (
            count,
            waited(lambda: execute_together(run, range(count), demonstrations, device=device)),
        ),
    }
    taken = interleaved({name: task for name, (_, task) in ways.items()}, 3)
    print(f"\nMilliseconds of a seed and epoch of the circle, {count} seeds in step:")
    record: dict[str, Any] = {"count": count, "epochs": epochs}
    for name, (trained, _) in ways.items():
        record[name] = summary([1e3 * seconds / trained / epochs for seconds in taken[name]])
        print(f"  {name:<14} {record[name]['median']:.2f}")
    return record


def _alone(run: Run, demonstrations: Demonstrations, device: torch.device, permit: bool) -> object:
    before = fused.OPERATIONS_WORTH_FUSING
    fused.OPERATIONS_WORTH_FUSING = 0.0 if permit else math.inf
    try:
        return execute(run, demonstrations, device=device)
    finally:
        fused.OPERATIONS_WORTH_FUSING = before


def main() -> int:
    """Check, measure, train, write; 2 without a card."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--chains", type=int, nargs="+", default=[512, 4096, 65536])
    parser.add_argument("--steps", type=int, default=100, help="K, updates of a chain")
    parser.add_argument("--repeats", type=int, default=9)
    parser.add_argument("--epochs", type=int, default=1000, help="of the training")
    parser.add_argument("--seeds", type=int, default=16, help="seeds that are trained in step")
    parser.add_argument("--note", default="", help="kept with the figures")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        print(
            f"This benchmark measures a GPU and PyTorch {torch.__version__} finds none; run it "
            "where torch.cuda.is_available() is true.",
            file=sys.stderr,
        )
        return 2
    device = torch.device("cuda", torch.cuda.current_device())
    card = torch.cuda.get_device_name(device)
    print(f"{card}, PyTorch {torch.__version__}\n")
    record = provenance() | {
        "card": card,
        "capability": torch.cuda.get_device_capability(device),
        "cuda": torch.version.cuda,
        "note": given.note,
        "steps": given.steps,
        "repeats": given.repeats,
        "agreement": agreement(device),
    }
    usable = [
        name for name, verdicts in record["agreement"].items() if verdicts["figure 3.2"] == "agrees"
    ]
    record["chains"] = rates(given.chains, given.steps, given.repeats, device, usable)
    record["training"] = training(device, given.epochs)
    record["seeds"] = seeds(device, given.seeds, min(given.epochs, 20))
    write(f"gpu-{re.sub(r'[^a-z0-9]+', '-', card.lower()).strip('-')}", record)
    return 0


if __name__ == "__main__":
    sys.exit(main())
