"""Whole SGLD chains in one compiled call, where the machine has a C compiler.

``walk.c`` evaluates the closed form of an ``ActionScore`` for small blocks of
chains and lets a block make all of its steps before the next begins. The system's compiler builds
it at first use (under a second, once per machine: the network's sizes are arguments, not
constants), the library is kept in a cache, and it is used only after it agreed with the eager
score. If any of this fails, :func:`walk_of` returns None and the sampler takes the eager path; one
log line says why.

Results are the same bits on one machine whatever the number of threads, and however the chains or
the steps are divided among calls. They differ from the eager path in the last bits.

Environment: ``EBMLIB_COMPILE=0`` turns this kernel and a GPU's off; ``EBMLIB_CACHE`` moves the
cache from ``$XDG_CACHE_HOME/ebmlib`` (``~/.cache/ebmlib``).
"""

from __future__ import annotations

import ctypes
import hashlib
import logging
import os
import platform
import shutil
import subprocess
import tempfile
import threading
from collections.abc import Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path

import torch
from torch import Tensor

from ebmlib.errors import InputError
from ebmlib.models.score import ActionScore
from ebmlib.sampling import fused
from ebmlib.sampling.sgld import SGLD, noise

_log = logging.getLogger(__name__)
_SOURCE = Path(__file__).with_name("walk.c")
_FLAGS = "-O2 -std=gnu11 -fPIC -shared -ffp-contract=off -fno-math-errno".split()
# walk.c writes its vectors and unrolling out; without these clang takes three times as long
_FLAGS += "-fno-tree-vectorize -fno-tree-slp-vectorize -fno-unroll-loops".split()
_CPU_FLAGS: tuple[tuple[str, ...], ...] = (("-march=native",), ("-mcpu=native",), ())  # or none
_MOST_OPERATIONS = 1 << 23  # of an update (h_dim 1000): fast up to here, larger was not tried
_NOISE_BLOCK = 1 << 21  # numbers of noise held at once: 8 MB in float32
_WORK_WORTH_THREADS = 4e6  # operations; they take 40 us, about what starting threads may cost
_lock = threading.Lock()


class _Net(ctypes.Structure):
    """``Net`` of walk.c."""

    _fields_ = (
        *((name, ctypes.c_int64) for name in ("d", "z", "h", "hidden", "residual", "tanh", "silu")),
        *((name, ctypes.c_void_p) for name in ("fe", "fe_bias", "first")),
        *((name, ctypes.POINTER(ctypes.c_void_p)) for name in ("layers", "biases")),
        ("output", ctypes.c_void_p),
    )


class _Job(ctypes.Structure):
    """``Job`` of walk.c."""

    _fields_ = (
        *((name, ctypes.c_void_p) for name in ("a", "context", "noise", "end", "length", "drifts")),
        *((name, ctypes.c_int64) for name in ("n", "steps")),
    )


def available() -> bool:
    """Whether the kernel can be used here; builds it if that was not done yet."""
    return _library() is not None


class Walk:
    """Many SGLD updates of n chains in one call; weights are copied when it is made."""

    def __init__(self, library: ctypes.CDLL, score: ActionScore) -> None:
        d = score.first.shape[1] if score.embedding is None else score.embedding[0].shape[1]
        fe, fe_bias = score.embedding or (None, None)
        # matrices are packed below; vectors are read in place, so they are copied against updates
        matrices = _dense([fe, score.first, *(matrix for matrix, _ in score.hidden)])
        vectors = _dense([fe_bias, score.output, *(bias for _, bias in score.hidden)], copy=True)
        matrix = [None if t is None else t.data_ptr() for t in matrices]
        vector = [None if t is None else t.data_ptr() for t in vectors]
        pointers = ctypes.c_void_p * len(score.hidden)
        self._context, self._vectors = score.context.detach().contiguous(), vectors
        self._net = _Net(
            d=d,
            z=0 if fe is None else len(fe),
            h=len(score.output),
            hidden=len(score.hidden),
            residual=score.residual,
            tanh=score.tanh,
            silu=score.silu,
            fe=matrix[0],
            fe_bias=vector[0],
            first=matrix[1],
            output=vector[1],
            layers=pointers(*matrix[2:]),
            biases=pointers(*vector[2:]),
        )
        self._library, self._work = library, score.operations()
        self._packed = torch.empty(
            library.walk_packed_size(ctypes.byref(self._net)), dtype=torch.float32
        )
        library.walk_pack(ctypes.byref(self._net), self._packed.data_ptr())

    def __call__(
        self, a: Tensor, noise: Tensor, drifts: Sequence[float], length: Tensor | None = None
    ) -> Tensor:
        """S updates a' = a + drift_k grad_a f(a) + noise_k; returns the last a.

        Args:
            a: positions (n, d), float32; not changed.
            noise: alpha_k sqrt(T) xi_k, shape (S, n, d), float32.
            drifts: S numbers, alpha_k^2 / 2 in section 2.4.
            length: float64 (n,), to which the lengths of the steps are added, or None.

        Raises:
            InputError: shapes or types that do not fit the score's.
        """
        n, d, steps = len(self._context), self._net.d, len(drifts)
        for name, value, shape, dtype in (
            ("positions", a, (n, d), torch.float32),
            ("noise", noise, (steps, n, d), torch.float32),
            ("lengths", length, (n,), torch.float64),
        ):
            if value is not None and (tuple(value.shape) != shape or value.dtype != dtype):
                raise InputError(
                    f"The compiled walk needs {name} of shape {shape} and {dtype}, got "
                    f"{tuple(value.shape)} and {value.dtype}; take the eager score instead."
                )
        if length is not None and not length.is_contiguous():
            raise InputError("The compiled walk adds to lengths in place; pass them contiguous.")
        a, noise = a.contiguous(), noise.contiguous()
        end = torch.empty_like(a)
        scales = torch.tensor(drifts, dtype=torch.float32)
        job = _Job(
            a=a.data_ptr(),
            context=self._context.data_ptr(),
            noise=noise.data_ptr(),
            end=end.data_ptr(),
            length=None if length is None else length.data_ptr(),
            drifts=scales.data_ptr(),
            n=n,
            steps=steps,
        )
        # all threads or one: a smaller team would make OpenMP end the threads it leaves out
        threads = torch.get_num_threads() if n * steps * self._work > _WORK_WORTH_THREADS else 1
        net, job_at = ctypes.byref(self._net), ctypes.byref(job)
        if self._library.walk_run(net, self._packed.data_ptr(), job_at, threads):
            raise MemoryError(f"No memory for {threads} blocks of chains.")
        return end


def _dense(tensors: Sequence[Tensor | None], copy: bool = False) -> list[Tensor | None]:
    dense = [t if t is None else t.detach().contiguous() for t in tensors]
    return [t if t is None else t.clone() for t in dense] if copy else dense


def walk_of(score: ActionScore) -> Walk | None:
    """The compiled walk of a score, or None if it has none here and the eager path is to be taken.

    The kernel serves float32 on the CPU. Weights are copied (tens of microseconds).
    """
    tensors = [score.context, score.first, score.output, *(t for p in score.hidden for t in p)]
    tensors += [] if score.embedding is None else [*score.embedding]
    if any(t.device.type != "cpu" or t.dtype != torch.float32 for t in tensors):
        return None
    if score.operations() > _MOST_OPERATIONS:
        return None
    library = _library()
    return None if library is None else Walk(library, score)


@fused.register(ActionScore, SGLD, "cpu")
def fused_chain(target: ActionScore, kernel: SGLD) -> fused.FusedChain | None:
    """The compiled walk with the noise of ``kernel``, or None (see :func:`walk_of`)."""
    # packing the weights takes as long as a step or two of a small batch: once per target
    cache = target.__dict__
    if "_walk" not in cache:
        cache["_walk"] = walk_of(target)
    walk = cache["_walk"]
    return None if walk is None else _FusedSGLD(walk, kernel)


class _FusedSGLD:
    """Consecutive updates of an SGLD chain; noise is drawn step by step, as the eager path does."""

    def __init__(self, walk: Walk, kernel: SGLD) -> None:
        self._walk, self._drifts, self._noises = walk, kernel.drifts(), kernel.noises()

    def __call__(
        self,
        a: Tensor,
        first: int,
        stop: int,
        *,
        generator: torch.Generator,
        length: Tensor | None,
    ) -> Tensor:
        block = max(1, _NOISE_BLOCK // max(1, a.numel()))
        for begin in range(first, stop, block):
            end = min(stop, begin + block)
            xi = a.new_empty((end - begin, *a.shape))
            for k in range(begin, end):
                noise(xi[k - begin], self._noises[k], generator)
            a = self._walk(a, xi, self._drifts[begin:end], length)
        return a


def _library() -> ctypes.CDLL | None:
    if os.environ.get("EBMLIB_COMPILE", "") == "0":
        return None
    with _lock:
        return _find_or_build()


@cache
def _find_or_build() -> ctypes.CDLL | None:
    """The checked library, or None and a log line; decided once per process."""
    found = [path for name in ("cc", "gcc", "clang") if (path := shutil.which(name))]
    if not found:
        _log.info("No C compiler (cc, gcc or clang) in PATH: chains take the eager path.")
        return None
    compiler, why = found[0], "no flags tried"
    for cpu_flags in _CPU_FLAGS:
        try:
            library = _library_with(compiler, [*_FLAGS, *cpu_flags])
            if _agrees_with_eager(library):
                return library
            why = "its scores differ from the eager ones"
        except (OSError, AttributeError, subprocess.SubprocessError) as error:
            why = " ".join(str(getattr(error, "stderr", None) or error).split())[:300]
    _log.info("The compiled walk is not used (%s): chains take the eager path.", why)
    return None


def _library_with(compiler: str, flags: list[str]) -> ctypes.CDLL:
    """From the cache, or built and cached; the name holds what it was built from and its digest."""
    source = _SOURCE.read_bytes()
    version = subprocess.run([compiler, "--version"], capture_output=True, check=True).stdout
    parts = (source, version, _cpu().encode(), " ".join(flags).encode())
    key = hashlib.sha256(b"\0".join(hashlib.sha256(part).digest() for part in parts)).hexdigest()
    directory = _cache_directory()
    with suppress(OSError):
        for path in sorted(directory.glob(f"walk-{key[:16]}-*.so")):
            # a truncated library would not fail to load but crash, hence the digest
            if path.stem.endswith(_digest(path.read_bytes())):
                return _open(path)
            _log.info("The compiled walk in %s is damaged and is built again.", path)
            path.unlink()
    with tempfile.TemporaryDirectory(prefix="ebmlib-") as scratch:
        made = Path(scratch) / "walk.so"
        command = [compiler, *flags, str(_SOURCE), "-o", str(made), "-lm", "-ldl", "-pthread"]
        subprocess.run(command, capture_output=True, check=True, text=True, timeout=120)
        content = made.read_bytes()
        name = f"walk-{key[:16]}-{_digest(content)}.so"
        try:
            return _open(_keep(content, directory / name))
        except OSError:  # it cannot be kept or not be loaded from there: used by this process only
            return _open(made)


def _keep(content: bytes, path: Path) -> Path:
    """Write to a temporary name first, so that a kill or another process leaves no half file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        part.write_bytes(content)
        os.replace(part, path)
    finally:
        part.unlink(missing_ok=True)
    return path


def _cache_directory() -> Path:
    if chosen := os.environ.get("EBMLIB_CACHE"):
        return Path(chosen)
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return Path(home) / "ebmlib"


def _digest(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()[:16]


def _cpu() -> str:
    """What -march=native depends on: the model and features of the first processor."""
    with suppress(OSError):
        first = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
        varying = ("MHz", "bogomips", "BogoMIPS", "apicid", "processor", "core id")
        return "\n".join(line for line in first if not any(word in line for word in varying))
    return f"{platform.machine()} {platform.processor()} {platform.node()}"


def _open(path: Path) -> ctypes.CDLL:
    library = ctypes.CDLL(str(path))
    net, job, floats = ctypes.POINTER(_Net), ctypes.POINTER(_Job), ctypes.c_void_p
    for name, result, arguments in (
        ("walk_packed_size", ctypes.c_int64, [net]),
        ("walk_pack", None, [net, floats]),
        ("walk_run", ctypes.c_int, [net, floats, job, ctypes.c_int]),
    ):
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _agrees_with_eager(library: ctypes.CDLL) -> bool:
    """One step along the score of five small random networks, against the eager score."""
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float32)

    def biases(*shape: int) -> Tensor:
        """Every fourth feature lies where exponentials underflow or saturate."""
        factors = torch.tensor([300.0, 1.0, 1.0, 1.0], dtype=torch.float32)
        return normal(*shape) * factors.repeat(shape[-1])[: shape[-1]]

    for tanh, silu, residual, embedding, hidden in (
        (0, 0, 1, 1, 2),
        (1, 0, 0, 1, 1),
        (0, 0, 0, 0, 3),
        (0, 1, 1, 1, 2),
        (1, 1, 0, 1, 3),
    ):
        n, d, z, h = 53, 2, 10 if embedding else 2, 19
        score = ActionScore(
            context=biases(n, h),
            embedding=(normal(z, d), biases(z)) if embedding else None,
            first=normal(h, z) / z**0.5,
            hidden=tuple((normal(h, h) / h**0.5, biases(h)) for _ in range(hidden)),
            output=normal(h) / h**0.5,
            output_bias=None,
            residual=bool(residual),
            tanh=bool(tanh),
            silu=bool(silu),
        )
        a = normal(n, d)
        no_noise = torch.zeros(1, n, d, dtype=torch.float32)
        step = Walk(library, score)(a, no_noise, [1.0]) - a
        # the gradient jumps where an activation crosses 0, so a rare chain may differ
        close = torch.isclose(step, score(a), rtol=1e-3, atol=1e-4).all(dim=1)
        if close.float().mean() < 0.95:
            return False
    return True
