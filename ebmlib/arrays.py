"""Numbers from users (tensors, arrays and lists of any real type) as tensors."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor

from ebmlib.checks import short
from ebmlib.errors import InputError

_FLOAT32 = torch.empty(0, dtype=torch.float32)


def like_of(owner: Any) -> Tensor | None:
    """A tensor with the dtype and the device that a model, target or policy computes with.

    None if ``owner`` has no attribute ``like``: a closed form takes any dtype and device.
    """
    return getattr(owner, "like", None)


def as_tensor(name: str, values: Any, like: Tensor | None = None) -> Tensor:
    """``values`` as a finite floating-point tensor.

    Tensors, arrays and (nested) lists of whole or real numbers are taken; what has the right dtype
    and device already is returned as it is.

    Args:
        name: what the values are, for messages.
        values: the values, of any shape.
        like: a tensor of the wanted dtype and device. If None, tensors that are floating point
            stay what they are, and everything else becomes float32 on the CPU.

    Raises:
        InputError: no real numbers, or some that are not finite (in that dtype).
    """
    if not isinstance(values, Tensor):
        values = _from_array(name, values)
        like = _FLOAT32 if like is None else like
    if values.layout != torch.strided or values.is_quantized:
        raise InputError(
            f"{name} must be a dense tensor with numbers, got one that is sparse or quantised; "
            "pass tensor.to_dense() or tensor.dequantize()."
        )
    if values.dtype.is_complex or values.dtype == torch.bool:
        raise InputError(f"{name} must be real numbers, got {values.dtype}.")
    if like is not None:
        tensor = values.to(dtype=like.dtype, device=like.device)
    else:
        tensor = values if values.dtype.is_floating_point else values.to(torch.float32)
    if not torch.isfinite(tensor).all():
        raise InputError(
            f"{name} must be finite in {str(tensor.dtype).removeprefix('torch.')}, got NaN, "
            "infinity or a number that is too large; leave those rows out."
        )
    return tensor


def _from_array(name: str, values: Any) -> Tensor:
    """An array or list as a tensor; masked entries are refused."""
    try:
        if isinstance(values, (list, tuple)):  # perhaps a list of tensors
            values = [v.detach().cpu().numpy() if isinstance(v, Tensor) else v for v in values]
        array = np.asarray(values)
        masked = np.ma.is_masked(values)
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise InputError(
            f"{name} must be an array of numbers, got {short(values)} ({short(error)})."
        ) from error
    if masked or array.dtype.kind not in "iuf":
        what = "masked values" if masked else f"entries of type {array.dtype}"
        raise InputError(f"{name} must be an array of real numbers, got {what}.")
    return torch.tensor(array.astype(np.float64))
