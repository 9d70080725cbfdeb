"""The Triton kernel, in Triton's interpreter on the CPU: the eager steps, and right noise."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import STANDARD_ERRORS, assert_mean, assert_variance
from test_compiled import VARIANTS, network
from torch import Tensor

from ebmlib import SGLD, EnergyConfig, EnergyModel
from ebmlib.errors import InputError
from ebmlib.models.score import ActionScore
from ebmlib.sampling.checked import disagreement

pytest.importorskip("triton", reason="Triton is not installed: pip install -e '.[gpu]'")
if os.environ.get("TRITON_INTERPRET") != "1":
    pytest.skip("Triton's interpreter is off (TRITON_INTERPRET)", allow_module_level=True)

from ebmlib.sampling import triton_chain

Generators = Callable[..., torch.Generator]
SAMPLER = SGLD(alpha=0.3, steps=5, temperature=0.5, final_alpha=0.1)


def eager(score: ActionScore, a: Tensor, noise: Tensor, first: int = 0) -> tuple[Tensor, Tensor]:
    """The update of section 2.4 in plain PyTorch, and the summed step lengths."""
    length = torch.zeros(len(a), dtype=torch.float64)
    for drift, xi in zip(SAMPLER.drifts()[first:], noise, strict=True):
        step = drift * score(a) + xi
        a = a + step
        length += step.norm(dim=1)
    return a, length


def distance_to_a_kink(score: ActionScore, a: Tensor, noise: Tensor) -> Tensor:
    """How close an activation came to its kink on the way, per chain: the gradient jumps there."""
    closest = torch.full((len(a),), torch.inf, dtype=a.dtype)
    for drift, xi in zip(SAMPLER.drifts(), noise, strict=True):
        u, (_, *hidden), _ = score._forward(a)
        first = score.context + u @ score.first.t()
        for s in [*hidden, *([] if score.tanh else [first])]:
            if not score.silu:
                closest = torch.minimum(closest, s.abs().amin(dim=1))
        a = a + drift * score(a) + xi
    return closest


def noise_like(a: Tensor, generator: Generators, steps: int = SAMPLER.steps) -> Tensor:
    return 0.05 * torch.randn(steps, *a.shape, generator=generator("noise"))


def flat(n: int, d: int, generator: Generators) -> ActionScore:
    """A network whose f is 0 everywhere."""
    model, x, _ = network(EnergyConfig(z_dim=4, h_dim=8, hidden_layers=1), d, n, generator)
    score = model.score(x)
    return replace(score, output=torch.zeros_like(score.output))


def chain_of(score: ActionScore, sampler: SGLD, block: int = 1024) -> triton_chain.TritonChain:
    return triton_chain.TritonChain(triton_chain.pack(score), sampler, block=block)


@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize(("n", "d"), [(33, 3), (16, 2), (5, 1)])
def test_the_kernel_takes_the_eager_steps(config, n, d, generator):
    model, x, a = network(config, d, n, generator)
    noise, length = noise_like(a, generator), torch.full((n,), 0.25, dtype=torch.float64)
    end = chain_of(model.score(x), SAMPLER, block=16).with_noise(a, noise, length=length)

    exact = model.double().score(x.double())
    expected, expected_length = eager(exact, a.double(), noise.double())
    judged = distance_to_a_kink(exact, a.double(), noise.double()) > 1e-5
    assert judged.float().mean() >= 0.8
    torch.testing.assert_close(end[judged].double(), expected[judged], rtol=2e-6, atol=4e-6)
    expected_length += 0.25  # added to, not overwritten
    torch.testing.assert_close(length[judged], expected_length[judged], rtol=1e-5, atol=1e-5)


def test_updates_from_the_middle_have_their_own_step(generator):
    model, x, a = network(EnergyConfig(z_dim=8, h_dim=16), 2, 20, generator)
    noise, score = noise_like(a, generator), model.score(x)
    chain = chain_of(score, SAMPLER)
    end = chain.with_noise(chain.with_noise(a, noise[:2]), noise[2:], first=2)
    assert torch.equal(end, chain.with_noise(a, noise))
    torch.testing.assert_close(end, eager(score, a, noise)[0], rtol=1e-5, atol=1e-5)


def philox(counter: tuple[int, int, int, int], seed: int) -> tuple[int, int, int, int]:
    """Philox 4x32-10 of Salmon et al. (2011), section 3.3, in whole numbers."""
    c, (k_0, k_1), word = list(counter), (seed % 2**32, seed >> 32), 2**32
    for _ in range(10):
        p_0, p_1 = 0xD2511F53 * c[0], 0xCD9E8D57 * c[2]
        c = [p_1 // word ^ c[1] ^ k_0, p_1 % word, p_0 // word ^ c[3] ^ k_1, p_0 % word]
        k_0, k_1 = (k_0 + 0x9E3779B9) % word, (k_1 + 0xBB67AE85) % word
    return c[0], c[1], c[2], c[3]


def reference_noise(seed: int, chain: int, step: int, dimension: int) -> float:
    r_0, r_1, _, _ = philox((chain, step, dimension, 0), seed)
    radius = math.sqrt(-2 * math.log((r_0 + 0.5) / 2**32))
    return radius * math.cos(2 * math.pi * r_1 / 2**32)


def test_the_reference_generator_gives_the_published_numbers():
    # the known answers that the authors distribute: all zeros, all ones
    assert philox((0, 0, 0, 0), 0) == (0x6627E8D5, 0xE169C58D, 0xBC57AC4C, 0x9B00DBD8)
    ones = 2**32 - 1
    assert philox((ones,) * 4, 2**64 - 1) == (0x408F276D, 0x41C83B0E, 0xA20BC7C6, 0x6D5451FD)


@pytest.mark.parametrize("d", [1, 2, 3])
def test_noise_is_that_of_the_chain_the_update_and_the_dimension(d, generator):
    n = 37
    chain = chain_of(flat(n, d, generator), SAMPLER, block=16)
    a = torch.zeros(n, d)
    for first, stop in ((0, 2), (2, 5)):
        a = chain(a, first, stop, generator=generator("chain"), length=None)
    seed = int(torch.zeros(1, dtype=torch.int64).random_(generator=generator("chain")))
    assert seed > 2**32  # both words of the key count
    expected = [
        [
            sum(scale * reference_noise(seed, i, k, j) for k, scale in enumerate(SAMPLER.noises()))
            for j in range(d)
        ]
        for i in range(n)
    ]
    torch.testing.assert_close(a, torch.tensor(expected), rtol=1e-5, atol=2e-6)


@pytest.mark.parametrize("d", [1, 2, 3])
@pytest.mark.slow
def test_a_flat_energy_leaves_a_random_walk(d, generator):
    n, sampler = 20_000, SGLD(alpha=0.2, steps=4)
    length = torch.zeros(n, dtype=torch.float64)
    chain = chain_of(flat(n, d, generator), sampler)
    a = chain(torch.zeros(n, d), 0, 4, generator=generator("chain"), length=length)
    assert_mean(a, 0.0)
    assert_variance(a, 4 * 0.2**2)  # K alpha^2
    kurtosis = (a.double() / (2 * 0.2)) ** 4
    assert_mean(kurtosis, 3.0, "fourth moment")
    # R = alpha E|xi| = alpha sqrt(2) Gamma((d + 1) / 2) / Gamma(d / 2), alpha sqrt(pi / 2) in 2-D
    floor = math.sqrt(2) * math.exp(math.lgamma((d + 1) / 2) - math.lgamma(d / 2))
    assert_mean(length / 4, 0.2 * floor, "R")


def test_numbers_of_other_updates_chains_and_dimensions_are_independent(generator):
    n, d, steps = 8_000, 3, 4
    chain = chain_of(flat(n, d, generator), SGLD(alpha=1.0, steps=steps))
    a, drawn, draws = torch.zeros(n, d), [], generator("chain")
    for k in range(steps):
        after = chain(a, k, k + 1, generator=draws, length=None)
        drawn.append((after - a).double())
        a = after
    xi = torch.stack(drawn)
    bound = STANDARD_ERRORS / math.sqrt(n)
    for lag in (1, 2, 3):
        assert (xi[lag:] * xi[:-lag]).mean(dim=1).abs().max() < bound, f"updates {lag} apart"
    for lag in (1, 2, 16, 1024):  # neighbours, and the same place of another block
        pairs = xi[:, lag:] * xi[:, :-lag]
        assert abs(pairs.mean()) < bound, f"chains {lag} apart"
    for i, j in ((0, 1), (1, 2), (0, 2)):
        assert (xi[..., i] * xi[..., j]).mean(dim=1).abs().max() < bound
        squares = (xi[..., i] ** 2 - 1) * (xi[..., j] ** 2 - 1)
        assert squares.mean(dim=1).abs().max() < 2 * bound, "nor are their sizes related"


def test_a_real_network_has_the_law_of_the_eager_chain(generator):
    n, sampler = 6_000, SGLD(alpha=0.4, steps=8)
    model, x, _ = network(EnergyConfig(z_dim=8, h_dim=16), 2, 1, generator)
    score = model.score(x.expand(n, 2))
    start = sampler.start(n, 2, generator=generator("start"))
    length = torch.zeros(n, dtype=torch.float64)
    ours = chain_of(score, sampler)(start, 0, 8, generator=generator("ours"), length=length)
    theirs = sampler.chain(score, start, generator=generator("theirs"), length=True)
    without_drift = start.var(dim=0) + 8 * 0.4**2
    assert (theirs.actions.var(dim=0) - without_drift).abs().max() > 0.1, "the drift is felt"
    for a, b in ((ours, theirs.actions), (length, theirs.length), (ours**2, theirs.actions**2)):
        a, b = a.double(), b.double()
        error = (a.var(dim=0) / n + b.var(dim=0) / n).sqrt()
        assert ((a.mean(dim=0) - b.mean(dim=0)).abs() < STANDARD_ERRORS * error).all()


@pytest.mark.slow
def test_the_seed_decides_and_nothing_else(generator):
    model, x, a = network(EnergyConfig(z_dim=8, h_dim=16), 2, 50, generator, spread=1)
    score = model.score(x)

    def end(*stops: int, seed: int = 0, block: int = 64) -> Tensor:
        chain, at, draws = chain_of(score, SAMPLER, block), a, generator("chain", seed)
        for first, stop in zip((0, *stops), (*stops, SAMPLER.steps), strict=True):
            at = chain(at, first, stop, generator=draws, length=None)
        return at

    assert torch.equal(end(), end())
    assert torch.equal(end(1, 3), end()), "whatever is recorded on the way"
    assert not torch.isclose(end(seed=1), end(), rtol=0, atol=1e-3).any(dim=1).all()
    for block in (16, 32):
        torch.testing.assert_close(end(block=block), end(), rtol=1e-5, atol=1e-5)
    chain, draws = chain_of(score, SAMPLER), generator("chain")
    first, second = (chain(a, 0, 5, generator=draws, length=None) for _ in range(2))
    assert torch.equal(first, end()) and not torch.equal(second, first), "each chain has its own"


def test_ascent_asks_no_generator(generator):
    model, x, a = network(EnergyConfig(z_dim=8, h_dim=16), 2, 20, generator)
    ascent, draws = SAMPLER.ascent(), generator("chain")
    before, score = draws.get_state(), model.score(x)
    end = chain_of(score, ascent)(a, 0, 5, generator=draws, length=None)
    assert torch.equal(draws.get_state(), before)
    expected = ascent.chain(score, a, generator=draws).actions
    torch.testing.assert_close(end, expected, rtol=1e-5, atol=1e-5)


@pytest.mark.parametrize("activation", ["relu", "silu"])
def test_what_is_not_finite_is_treated_as_the_eager_chain_treats_it(activation, generator):
    config = EnergyConfig(z_dim=8, h_dim=16, activation=activation)
    model, x, a = network(config, 2, 20, generator)
    score = model.score(x)
    a[2], score.context[3, 5] = torch.nan, torch.nan
    noise = noise_like(a, generator)
    end, expected = chain_of(score, SAMPLER).with_noise(a, noise), eager(score, a, noise)[0]
    assert end[2].isnan().all() and (end[3].isnan().all() or activation == "relu")
    torch.testing.assert_close(end, expected, rtol=1e-5, atol=1e-5, equal_nan=True)


def test_what_the_kernel_cannot_serve_has_no_chain(generator):
    def chain(config: EnergyConfig, d: int = 2, double: bool = False) -> object:
        model = EnergyModel(config, 2, d, generator=generator("weights"))
        model, x = (
            (model.double(), torch.zeros(5, 2).double()) if double else (model, torch.zeros(5, 2))
        )
        return triton_chain.fused_chain(model.score(x), SAMPLER)

    assert chain(EnergyConfig()) is not None
    assert chain(EnergyConfig(h_dim=129)) is None
    assert chain(EnergyConfig(z_dim=129)) is None
    assert chain(EnergyConfig(), d=17) is None
    assert chain(EnergyConfig(), double=True) is None


@pytest.mark.parametrize(
    ("a", "noise", "length"),
    [
        (torch.zeros(4, 2), torch.zeros(5, 5, 2), None),
        (torch.zeros(5, 3), torch.zeros(5, 5, 3), None),
        (torch.zeros(5, 2), torch.zeros(5, 4, 2), None),
        (torch.zeros(5, 2), torch.zeros(6, 5, 2), None),
        (torch.zeros(5, 2, dtype=torch.float64), torch.zeros(5, 5, 2), None),
        (torch.zeros(5, 2), torch.zeros(5, 5, 2), torch.zeros(5)),
        (torch.zeros(5, 2), torch.zeros(5, 5, 2), torch.zeros(10, dtype=torch.float64)[::2]),
    ],
)
def test_wrong_shapes_are_refused_before_the_kernel_sees_them(a, noise, length, generator):
    chain = chain_of(flat(5, 2, generator), SAMPLER)
    with pytest.raises(InputError):
        chain.with_noise(a, noise, length=length)


DEFECTS = {
    "the same numbers in every update": ("first + k, column)", "first, column)"),
    "the same numbers in every call": ("first + k, column)", "k, column)"),
    "the same numbers in every dimension": (
        "normal(seed, row, first + k, column)",
        "normal(seed, row, first + k, column * 0)",
    ),
    "the same numbers in every sixteenth chain": ("normal(seed, row,", "normal(seed, row % 16,"),
    "noise of another scale": ("tl.sqrt(-2.0 *", "tl.sqrt(-1.0 *"),
    "half the drift": (
        "tl.load(drifts_at + first + k) *",
        "0.5 * tl.load(drifts_at + first + k) *",
    ),
    "the drift of another update": ("tl.load(drifts_at + first + k)", "tl.load(drifts_at + k)"),
    "length of the position": ("tl.sum(step * step, axis=1)", "tl.sum(a * a, axis=1)"),
    "length of the last step only": ("length += tl.sqrt", "length = tl.sqrt"),
    "residual forgotten forward": ("out = value + out", "out = value"),
    "residual forgotten backward": (
        "g = product(masked, at, g, H, False)",
        "g = product(masked, at, tl.zeros([BLOCK, H], tl.float32), H, False)",
    ),
    "slope of the wrong layer": ("slopes[HIDDEN - 1 - j]", "slopes[j]"),
    "mask inverted": ("return tl.where(slope, 0.0, g)", "return tl.where(slope, g, 0.0)"),
    "ELU for ELU'": ("tl.where(s <= 0, e - 1.0, s), e", "tl.where(s <= 0, e - 1.0, s), s"),
    "bias forgotten": (
        "tl.zeros([BLOCK, H], tl.float32) + bias[None, :]",
        "tl.zeros([BLOCK, H], tl.float32)",
    ),
    "weights not transposed": (
        "s = product(out, at, tl.zeros([BLOCK, H], tl.float32) + bias[None, :], H, True)",
        "s = product(out, at, tl.zeros([BLOCK, H], tl.float32) + bias[None, :], H, False)",
    ),
    "one tile of a product only": ("(inner + i * TILE)[None, :]", "inner[None, :]"),
}


def mutated(tmp_path: Path, right: str, wrong: str) -> object:
    source = Path(triton_chain.triton_kernel.__file__).read_text()
    assert source.count(right) == 1
    path = tmp_path / "mutated_kernel.py"
    path.write_text(source.replace(right, wrong))
    spec = importlib.util.spec_from_file_location("mutated_kernel", path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def small(score: ActionScore, sampler: SGLD) -> triton_chain.TritonChain:
    return chain_of(score, sampler, block=64 if len(score.context) < 64 else 2048)


def of_form(generator: Generators) -> ActionScore:
    model, x, _ = network(EnergyConfig(z_dim=10, h_dim=40), 2, 3, generator)
    return model.score(x)


@pytest.mark.slow
def test_the_check_at_first_use_lets_the_right_kernel_pass(generator):
    assert disagreement(small, of_form(generator)) is None


@pytest.mark.parametrize(("right", "wrong"), DEFECTS.values(), ids=DEFECTS.keys())
@pytest.mark.slow
def test_the_check_at_first_use_finds(right, wrong, tmp_path, monkeypatch, generator):
    monkeypatch.setattr(triton_chain, "triton_kernel", mutated(tmp_path, right, wrong))
    assert disagreement(small, of_form(generator)) is not None


COMPILE = """
import glob, json, os, subprocess, sys, tempfile, triton
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from ebmlib.sampling import triton_chain, triton_kernel
constants, names = json.loads(sys.argv[1]), triton_kernel.walk.arg_names
types = {"seed_at": "*i64", "length_at": "*fp64"}
signature = {
    name: "constexpr" if name in constants
    else types.get(name, "*fp32" if name.endswith("_at") else "i32")
    for name in names
}
source = ASTSource(
    fn=triton_kernel.walk,
    signature=signature,
    constexprs={(names.index(name),): value for name, value in constants.items()},
    attrs={(i,): [["tt.divisibility", 16]] for i, n in enumerate(names) if n.endswith("_at")},
)
options = {"num_warps": triton_chain._WARPS, "num_stages": 1}
kernel = triton.compile(source, target=GPUTarget("cuda", int(sys.argv[2]), 32), options=options)
(tool,) = glob.glob(os.path.dirname(triton.__file__) + "/backends/nvidia/bin/cuobjdump")
with tempfile.NamedTemporaryFile(suffix=".cubin") as file:
    file.write(kernel.asm["cubin"])
    file.flush()
    told = subprocess.run([tool, "-res-usage", file.name], capture_output=True, text=True).stdout
print(kernel.metadata.shared, told.split("STACK:")[1].split()[0])
"""


@pytest.mark.parametrize("capability", [80, 90])
@pytest.mark.slow
def test_it_compiles_for_a_card_and_fits(capability, generator, tmp_path):
    """The compiler and the assembler need no card: its registers and shared memory are counted."""
    model, x, _ = network(EnergyConfig(), 2, 3, generator)
    constants = {**triton_chain.pack(model.score(x)).shape, "HANDED": False, "BLOCK": 32}
    environment = os.environ | {"TRITON_INTERPRET": "0", "TRITON_CACHE_DIR": str(tmp_path)}
    command = [
        sys.executable,
        "-W",
        "ignore",
        "-c",
        COMPILE,
        json.dumps(constants),
        str(capability),
    ]
    told = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    shared, stack = map(int, told.stdout.split())
    assert shared <= 48 * 1024, "what every card has without asking"
    assert stack <= 512, "registers that overflow go through memory in every step"
