"""The compiled walk is the eager sampler, faster: same steps, same reports, or politely absent."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from support import assert_mean
from torch import Tensor

from ebmlib import SGLD, EnergyConfig, EnergyModel
from ebmlib.errors import InputError
from ebmlib.models.score import ActionScore
from ebmlib.sampling import compiled, fused

ROOT = Path(compiled.__file__).parents[2]
COMPILERS = [path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
needs_compiler = pytest.mark.skipif(not COMPILERS, reason="this machine has no C compiler")

VARIANTS = {
    "figure 3.2": EnergyConfig(),
    "odd sizes": EnergyConfig(z_dim=10, h_dim=24),
    "prime sizes": EnergyConfig(z_dim=7, h_dim=37, hidden_layers=3),
    "width 1": EnergyConfig(z_dim=1, h_dim=1),
    "no hidden layer": EnergyConfig(z_dim=16, h_dim=32, hidden_layers=0),
    "one hidden layer": EnergyConfig(z_dim=16, h_dim=32, hidden_layers=1),
    "not residual": EnergyConfig(z_dim=16, h_dim=32, hidden_layers=3, residual=False),
    "tanh": EnergyConfig(z_dim=16, h_dim=32, first_activation="tanh"),
    "tanh, no hidden layer": EnergyConfig(h_dim=48, hidden_layers=0, first_activation="tanh"),
    "plain": EnergyConfig.plain(),
    "plain, tanh, residual": EnergyConfig.plain(40, first_activation="tanh", residual=True),
    "normalised, T = 0.3": EnergyConfig(spectral_norm="fcn_and_fe_x", temperature=0.3),
    "silu": EnergyConfig(activation="silu"),
    "silu, prime sizes": EnergyConfig(z_dim=7, h_dim=37, hidden_layers=3, activation="silu"),
    "silu, no hidden layer": EnergyConfig(h_dim=48, hidden_layers=0, activation="silu"),
    "silu, one hidden layer": EnergyConfig(z_dim=16, h_dim=32, hidden_layers=1, activation="silu"),
    "silu, not residual": EnergyConfig(h_dim=32, residual=False, activation="silu"),
    "silu, tanh": EnergyConfig(z_dim=16, h_dim=32, activation="silu", first_activation="tanh"),
    "silu, plain": EnergyConfig.plain(activation="silu"),
    "silu, plain, tanh": EnergyConfig.plain(40, activation="silu", first_activation="tanh"),
    "standardised": EnergyConfig(z_dim=16, h_dim=32, standardise=True),
    "standardised, plain": EnergyConfig.plain(40, standardise=True, activation="silu"),
}
DRIFTS = [0.02, 0.01, 0.03, 0.02, 0.01]


@pytest.fixture
def fresh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A process that has not looked for the kernel yet, with an empty cache of its own."""
    monkeypatch.setenv("EBMLIB_CACHE", str(tmp_path / "cache"))
    compiled._find_or_build.cache_clear()
    yield tmp_path / "cache"
    compiled._find_or_build.cache_clear()


@pytest.fixture(scope="session", autouse=True)
def own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """No test writes to the user's cache."""
    before = os.environ.get("EBMLIB_CACHE")
    os.environ["EBMLIB_CACHE"] = str(tmp_path_factory.mktemp("cache"))
    yield
    os.environ.pop("EBMLIB_CACHE")
    if before is not None:
        os.environ["EBMLIB_CACHE"] = before


def network(
    config: EnergyConfig,
    d: int,
    n: int,
    generator: Callable[..., torch.Generator],
    spread: float = 3,
) -> tuple[EnergyModel, Tensor, Tensor]:
    """A network whose weights are large enough to matter, states, and starts on both ELU sides."""
    model = EnergyModel(config, d, d, generator=generator("weights"))
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(1.5)
    x = torch.randn(n, d, generator=generator("states"))
    if config.standardise:
        data = torch.randn(2, 50, d, generator=generator("data"))
        model.fit_standardisation(1.5 * data[0] + 1, 2 * data[1] - 1)
    return model, x, spread * torch.randn(n, d, generator=generator("starts"))


def noise_like(a: Tensor, generator: Callable[..., torch.Generator]) -> Tensor:
    return 0.05 * torch.randn(len(DRIFTS), *a.shape, generator=generator("noise"))


def eager(score: ActionScore, a: Tensor, noise: Tensor) -> tuple[Tensor, Tensor]:
    """The update of section 2.4 in plain PyTorch, and the summed step lengths."""
    length = torch.zeros(len(a), dtype=torch.float64)
    for drift, xi in zip(DRIFTS, noise, strict=True):
        step = drift * score(a) + xi
        a = a + step
        length += step.norm(dim=1)
    return a, length


def distance_to_a_kink(score: ActionScore, a: Tensor, noise: Tensor) -> Tensor:
    """How close an activation came to its kink on the way, per chain.

    The gradient jumps there, so rounding may take two correct samplers to different sides.
    """
    closest = torch.full((len(a),), torch.inf, dtype=a.dtype)
    if score.silu:
        return closest  # none anywhere
    for drift, xi in zip(DRIFTS, noise, strict=True):
        u, (_, *hidden), _ = score._forward(a)
        first = score.context + u @ score.first.t()
        for s in [*hidden, *([] if score.tanh else [first])]:
            closest = torch.minimum(closest, s.abs().amin(dim=1))
        a = a + drift * score(a) + xi
    return closest


@needs_compiler
@pytest.mark.parametrize("config", VARIANTS.values(), ids=VARIANTS.keys())
@pytest.mark.parametrize(("n", "d"), [(1, 2), (7, 1), (33, 3), (512, 2)])
def test_the_walk_takes_the_eager_steps(config, n, d, generator):
    model, x, a = network(config, d, n, generator)
    noise, length = noise_like(a, generator), torch.zeros(n, dtype=torch.float64)
    end = compiled.walk_of(model.score(x))(a, noise, DRIFTS, length)

    exact = model.double().score(x.double())
    expected, expected_length = eager(exact, a.double(), noise.double())
    judged = distance_to_a_kink(exact, a.double(), noise.double()) > 1e-5
    assert judged.float().mean() >= 0.9 or n < 10
    torch.testing.assert_close(end[judged].double(), expected[judged], rtol=2e-6, atol=4e-6)
    torch.testing.assert_close(length[judged], expected_length[judged], rtol=1e-5, atol=1e-5)


@needs_compiler
@pytest.mark.parametrize(
    "name", ["figure 3.2", "tanh", "prime sizes", "plain", "silu", "silu, plain, tanh"]
)
def test_the_walk_is_as_exact_as_the_eager_score(name, generator):
    """Against float64, the error of one score is at most twice that of the eager float32 score."""
    model, x, a = network(VARIANTS[name], 2, 400, generator, spread=1)
    score = model.score(x)
    # a drift of 2^20 leaves the start and its rounding behind; powers of two lose nothing
    walked = compiled.walk_of(score)(a, torch.zeros(1, *a.shape), [2.0**20]) * 2.0**-20
    eagerly = score(a)
    exact = model.double().score(x.double())
    judged = distance_to_a_kink(exact, a.double(), torch.zeros(5, *a.shape)) > 1e-5
    truth = exact(a.double()) + a * 2.0**-20

    def error(value: Tensor) -> float:
        return float((value.double() - truth)[judged].norm())

    assert error(walked) < 2 * error(eagerly + a * 2.0**-20)
    assert error(walked) < 1e-6 * float(truth.norm())


FINITE = [0, 1e-30, 1e-8, 1e-3, 0.34657, 0.34658, 1, 1.278, 10, 17, 80, 86.9, 87, 87.1, 88, 88.8]
FINITE += [89, 103, 104, 1e3, 1e4, 1e9, 1e30, 3e38]  # exp leaves the normal numbers at -87.3


def scores_at(s: Tensor, silu: bool, tanh: bool) -> dict[str, ActionScore]:
    """Networks whose gradient at a = 0 has, in direction i, what an activation makes of s_i."""
    one, zero, none = torch.eye(len(s)), torch.zeros(len(s), len(s)), torch.zeros(len(s))

    def score(first: Tensor, context: Tensor, **changes: object) -> ActionScore:
        parts = {"embedding": None, "hidden": (), "residual": False} | changes
        context, output = context.expand(1, len(s)), torch.ones(len(s))
        return ActionScore(
            context=context.contiguous(), first=first, output=output, output_bias=None,
            silu=silu, tanh=tanh, **parts,
        )  # fmt: skip

    extractor = torch.cat([zero, one]), torch.cat([s, none])
    through = ((one, s), (one, none))
    return {
        "slope of the extractor": score(one, none + 2, embedding=(one, s)),
        "its value": score(torch.cat([one, one], dim=1), none + 0.1, embedding=extractor),
        "the first layer": score(one, s),
        "a hidden layer": score(one, none + 0.5, hidden=through[:1]),
        "its value, by the next": score(one, none + 0.5, hidden=through),
        "its value, residual": score(one, none + 0.5, hidden=through, residual=True),
    }


@needs_compiler
@pytest.mark.parametrize("silu", [False, True], ids=["relu", "silu"])
@pytest.mark.parametrize("tanh", [False, True], ids=["", "tanh"])
def test_arguments_of_any_size_go_through_every_activation(silu, tanh):
    s = torch.tensor([*FINITE, *(-value for value in FINITE)])
    start = torch.zeros(1, len(s))
    for name, score in scores_at(s, silu, tanh).items():
        found = compiled.walk_of(score)(start, start[None], [1.0])
        eagerly = score(start)
        assert eagerly.isfinite().all()
        # a kink at s = 0 is decided alike: s is exact on both sides
        torch.testing.assert_close(
            found, eagerly, rtol=2e-6, atol=1e-6, msg=lambda said, where=name: f"{where}: {said}"
        )


@needs_compiler
def test_threads_blocks_and_segments_do_not_change_a_bit(generator):
    model, x, a = network(EnergyConfig(), 2, 530, generator, spread=0.1)
    drifts = [0.5] * 20  # large, so that no rounding of a position hides a bit of its gradient
    noise = 0.05 * torch.randn(len(drifts), *a.shape, generator=generator("noise"))
    score = model.score(x)
    walk = compiled.walk_of(score)
    length = torch.zeros(len(a), dtype=torch.float64)
    end = walk(a, noise, drifts, length)

    before = torch.get_num_threads()
    try:
        for threads in (2, 3, 16):
            torch.set_num_threads(threads)
            assert torch.equal(walk(a, noise, drifts), end)
    finally:
        torch.set_num_threads(before)

    segmented = torch.zeros_like(length)
    middle = walk(a, noise[:7], drifts[:7], segmented)
    assert torch.equal(walk(middle, noise[7:], drifts[7:], segmented), end)
    assert torch.equal(segmented, length)

    for part in (slice(0, 1), slice(5, 40), slice(100, 130), slice(37, 530), slice(529, 530)):
        some = compiled.walk_of(replace(score, context=score.context[part]))
        assert torch.equal(some(a[part], noise[:, part], drifts), end[part])

    with ThreadPoolExecutor(4) as pool:  # one walk object may serve several callers at once
        ends = list(pool.map(lambda _: walk(a, noise, drifts), range(12)))
    assert all(torch.equal(other, end) for other in ends)


@needs_compiler
@pytest.mark.usefixtures("fresh")
def test_threads_of_its_own_where_openmp_cannot_be_called(tmp_path, monkeypatch, generator):
    model, x, a = network(EnergyConfig(), 2, 300, generator)
    noise = noise_like(a, generator)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 3)
    end = compiled.walk_of(model.score(x))(a, noise, DRIFTS)
    source = compiled._SOURCE.read_text()
    assert source.count('"GOMP_parallel"') == 1
    other = tmp_path / "walk.c"
    other.write_text(source.replace('"GOMP_parallel"', '"absent_from_every_runtime"'))
    monkeypatch.setattr(compiled, "_SOURCE", other)
    compiled._find_or_build.cache_clear()
    assert torch.equal(compiled.walk_of(model.score(x))(a, noise, DRIFTS), end)


@needs_compiler
def test_inputs_are_left_alone_and_may_be_strided(generator):
    model, x, a = network(EnergyConfig(z_dim=8, h_dim=16), 2, 40, generator)
    noise = noise_like(a, generator)
    walk = compiled.walk_of(model.score(x))
    copies = a.clone(), noise.clone()
    end = walk(a, noise, DRIFTS)
    assert torch.equal(a, copies[0]) and torch.equal(noise, copies[1])
    strided = noise.permute(2, 1, 0).contiguous().permute(2, 1, 0)
    assert torch.equal(walk(a.t().contiguous().t(), strided, DRIFTS), end)
    assert torch.equal(walk(a, noise[:0], []), a)


@needs_compiler
def test_a_walk_keeps_the_weights_it_was_made_with(generator):
    model, x, a = network(EnergyConfig(z_dim=8, h_dim=16), 2, 40, generator)
    noise = noise_like(a, generator)
    walk = compiled.walk_of(model.score(x))
    end = walk(a, noise, DRIFTS)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(2)
    assert torch.equal(walk(a, noise, DRIFTS), end)
    assert not torch.equal(compiled.walk_of(model.score(x))(a, noise, DRIFTS), end)


@needs_compiler
def test_a_flat_energy_leaves_the_random_walk_to_the_bit(generator):
    model, x, _ = network(EnergyConfig(), 2, 2000, generator)
    with torch.no_grad():
        model.fcn[-1].weight.zero_()
    sampler = SGLD(alpha=0.01, steps=30)
    start = sampler.start(len(x), 2, generator=generator("start"))
    with fused.permitted(True):
        chain = sampler.chain(model.score(x), start, generator=generator("chain"), length=True)
    expected = start
    draws = generator("chain")
    for _ in range(30):
        xi = torch.empty_like(start).normal_(generator=draws).mul_(0.01)
        expected = expected + xi
    assert torch.equal(chain.actions, expected)
    # R of the random walk: alpha E|xi| = alpha sqrt(pi / 2) in two dimensions
    assert_mean(chain.mean_step, 0.01 * (torch.pi / 2) ** 0.5)


@needs_compiler
def test_the_sampler_takes_the_walk_and_reports_the_same(generator, monkeypatch):
    model, x, a = network(EnergyConfig(), 2, 64, generator, spread=1)
    sampler = SGLD(alpha=0.05, steps=6, final_alpha=0.02, temperature=0.5)

    def chain(kernel: bool, **options: object):
        score = model.score(x)
        assert fused.find(score, sampler, a.device) is not None
        with fused.permitted(kernel):
            return sampler.chain(score, a, generator=generator("chain"), **options)

    asked = {"length": True, "record": [0, 2, 5]}
    walked, eagerly = chain(True, **asked), chain(False, **asked)
    for ours, theirs in ((walked.actions, eagerly.actions), (walked.positions, eagerly.positions)):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(walked.mean_step, eagerly.mean_step, rtol=1e-4, atol=1e-6)
    torch.testing.assert_close(walked.values, eagerly.values, rtol=1e-4, atol=1e-5)
    for block in (1, 20, 300, 1 << 21):  # of noise drawn at once
        monkeypatch.setattr(compiled, "_NOISE_BLOCK", block)
        assert torch.equal(chain(True).actions, walked.actions), "whatever is reported"
    walk = compiled.walk_of(model.score(x[:4]).repeat(3))
    wider = walk(a[:12], torch.zeros(1, 12, 2), [0.01])
    torch.testing.assert_close(
        wider, a[:12] + 0.01 * model.score(x[:4].repeat_interleave(3, 0))(a[:12])
    )


@needs_compiler
def test_what_the_kernel_cannot_serve_has_no_walk(generator):
    model, x, _ = network(EnergyConfig(), 2, 5, generator)
    assert compiled.walk_of(model.score(x)) is not None
    assert compiled.walk_of(model.double().score(x.double())) is None
    wide, x, _ = network(EnergyConfig(h_dim=3000), 2, 5, generator)
    assert compiled.walk_of(wide.score(x)) is None


@needs_compiler
@pytest.mark.parametrize(
    ("a", "noise", "length"),
    [
        (torch.zeros(4, 2), torch.zeros(5, 5, 2), None),
        (torch.zeros(5, 3), torch.zeros(5, 5, 3), None),
        (torch.zeros(5, 2), torch.zeros(4, 5, 2), None),
        (torch.zeros(5, 2, dtype=torch.float64), torch.zeros(5, 5, 2), None),
        (torch.zeros(5, 2), torch.zeros(5, 5, 2), torch.zeros(5)),
        (torch.zeros(5, 2), torch.zeros(5, 5, 2), torch.zeros(10, dtype=torch.float64)[::2]),
    ],
)
def test_wrong_shapes_are_refused_before_c_sees_them(a, noise, length, generator):
    model, x, _ = network(EnergyConfig(), 2, 5, generator)
    with pytest.raises(InputError, match="compiled walk"):
        compiled.walk_of(model.score(x))(a, noise, DRIFTS, length)


DEFECTS = {
    "residual forgotten forward": ("if (p->residual) o[at] += before[at];", ""),
    "residual forgotten backward": ("p->residual ? through[at] + w.g[at] :", ""),
    "mask of the wrong layer": (
        "vec *s = w.s + (i - 1) * width;",
        "vec *s = w.s + (i > 2 ? i - 2 : 0) * width;",
    ),
    "mask inverted": ("~(ivec)(s <= 0.0f)", "(ivec)(s <= 0.0f)"),
    "ELU' taken for ELU": ("(vec)(~(ivec)(w.u[at] > 0.0f) & (ivec)w.u[at]) + 1.0f", "w.u[at]"),
    "tanh' without its square": ("FMA(-w.o[at], w.o[at], all(1.0f))", "all(1.0f) - w.o[at]"),
    "bias forgotten": ("s[at] += bias[j];", ""),
    "weights not transposed": ("h, h, 1, h);", "h, h, h, 1);"),
    "SiLU' without its second term": ("*slope = FMA(s * sigma, rest, sigma);", "*slope = sigma;"),
    "SiLU of the wrong sign": ("choose(negative, smaller, larger), rest", "larger, rest"),
    "SiLU, residual forgotten": ("p->residual ? o[at] + before[at] : o[at]", "o[at]"),
    "SiLU' of the wrong layer": ("i > 1 && p->silu", "i > 2 && p->silu"),
    "SiLU' of the extractor forgotten": ("w.t[at] *= w.slope[at];", "w.t[at] *= 1.0f;"),
    "SiLU' of the first layer forgotten": (
        "w.masked[at] = w.s[at] * w.g[at];",
        "w.masked[at] = w.g[at];",
    ),
    "an exponential without its bound": ("x = choose((ivec)(x < -87.0f), all(-87.0f), x);", ""),
    "a crude exponential": ("p = FMA(p, r, all(0.5f));", "p = all(0.45f);"),
}


@pytest.mark.slow
@needs_compiler
@pytest.mark.parametrize(("right", "wrong"), DEFECTS.values(), ids=DEFECTS.keys())
def test_a_kernel_that_computes_something_else_is_not_used(
    right, wrong, fresh, tmp_path, monkeypatch, caplog
):
    source = compiled._SOURCE.read_text()
    assert source.count(right) == 1
    mutated = tmp_path / "walk.c"
    mutated.write_text(source.replace(right, wrong))
    monkeypatch.setattr(compiled, "_SOURCE", mutated)
    with caplog.at_level("INFO", logger="ebmlib"):
        assert not compiled.available()
    assert "scores differ from the eager ones" in caplog.text


@pytest.mark.parametrize("how", ["no compiler", "failing compiler", "no source", "turned off"])
def test_without_a_kernel_sampling_goes_on(how, fresh, tmp_path, monkeypatch, caplog, generator):
    model, x, a = network(EnergyConfig(), 2, 20, generator)
    sampler = SGLD(steps=5)
    expected = sampler.chain(model.score(x), a, generator=generator("chain")).actions
    bin_directory = tmp_path / "bin"
    bin_directory.mkdir()
    if how == "failing compiler":
        compiler = bin_directory / "cc"
        compiler.write_text("#!/bin/sh\n[ $1 = --version ] || (echo out of order >&2; exit 1)\n")
        compiler.chmod(0o755)
    if how == "no source":
        monkeypatch.setattr(compiled, "_SOURCE", tmp_path / "absent.c")
    elif how == "turned off":
        monkeypatch.setenv("EBMLIB_COMPILE", "0")
    else:
        monkeypatch.setenv("PATH", str(bin_directory))
    with fused.permitted(True), caplog.at_level("INFO", logger="ebmlib"):
        chain = sampler.chain(model.score(x), a, generator=generator("chain"))
        sampler.chain(model.score(x), a, generator=generator("chain"))
    assert torch.equal(chain.actions, expected)
    assert not compiled.available()
    said = {
        "no compiler": "No C compiler",
        "failing compiler": "out of order",
        "no source": "absent.c" if COMPILERS else "No C compiler",
    }
    if how == "turned off":
        assert caplog.messages == []
    else:
        (line,) = caplog.messages
        assert said[how] in line


@needs_compiler
@pytest.mark.slow
def test_the_library_is_built_once_and_a_damaged_one_again(fresh, generator):
    assert compiled.available()
    (library,) = fresh.iterdir()
    whole, built = library.read_bytes(), library.stat().st_mtime_ns

    compiled._find_or_build.cache_clear()
    assert compiled.available()
    assert library.stat().st_mtime_ns == built

    for damaged in (whole[: len(whole) // 2], whole[:-1], b"", bytes(len(whole))):
        library.unlink()  # the mapped file must not change under this process
        library.write_bytes(damaged)
        compiled._find_or_build.cache_clear()
        assert compiled.available()
        (library,) = fresh.iterdir()
        assert compiled._digest(library.read_bytes()) in library.name
        assert library.read_bytes() != damaged


@needs_compiler
def test_a_cache_that_cannot_be_written_costs_only_the_next_build(fresh, monkeypatch):
    fresh.write_text("a file where the folder should be")
    assert compiled.available()


@pytest.mark.slow
@needs_compiler
def test_two_processes_may_build_at_once(fresh):
    program = (
        "import torch; from ebmlib import SGLD, EnergyConfig, EnergyModel\n"
        "from ebmlib.sampling import fused\n"
        "g = torch.Generator().manual_seed(0)\n"
        "model = EnergyModel(EnergyConfig(), 2, 2, generator=g)\n"
        "score = model.score(torch.randn(50, 2, generator=g))\n"
        "start, sampler = torch.zeros(50, 2), SGLD(steps=20)\n"
        "assert fused.find(score, sampler, start.device) is not None\n"
        "with fused.permitted(True):\n"
        "    chain = sampler.chain(score, start, generator=g)\n"
        "print(chain.actions.numpy().tobytes().hex())\n"
    )
    processes = [
        subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, cwd=ROOT)
        for _ in range(2)
    ]
    printed = [process.communicate()[0] for process in processes]
    assert [process.returncode for process in processes] == [0, 0]
    assert printed[0] == printed[1] != b""
    assert not [path for path in fresh.iterdir() if path.suffix != ".so"]


def test_only_the_size_of_a_job_decides(monkeypatch, fresh):
    circle = 512 * 100  # chains x steps of an epoch
    model = EnergyModel(EnergyConfig(), 2, 2, generator=torch.Generator())
    each = model.score(torch.zeros(1, 2)).operations()
    assert each == 164_352
    assert not fused.worthwhile(5 * circle * each)
    assert fused.worthwhile(1000 * circle * each)
    assert not fused.worthwhile(1000 * circle * 1e3)
    monkeypatch.setenv("PATH", "")
    assert fused.worthwhile(1000 * circle * each)
    assert not fresh.exists()
