"""The data's own noise scale: how much actions vary around their mean, given the state."""

import numpy as np
from scipy.spatial import KDTree

from ebmlib.demonstrations.polyline import FloatArray


def local_action_scale(states: FloatArray, actions: FloatArray, n_centres: int = 500) -> float:
    """Local conditional standard deviation of the actions given the state.

    Around each of ``n_centres`` states, a linear regression of action on state is fitted to the
    10 (d + 1) nearest pairs; the square root of the smallest eigenvalue of its residual covariance
    is the standard deviation in the narrowest direction. The median over the centres is returned.
    The narrowest direction counts because it limits the noise level: a Langevin chain on a Gaussian
    is stable only for alpha < 2 s in every direction.

    Args:
        states: (N, d) states x_j.
        actions: (N, d) actions a_j.
        n_centres: states to look around, spread evenly over the data.

    Returns:
        The scale in the units of the actions; NaN with fewer than 2 (d + 1) pairs.
    """
    n, d = states.shape
    k = min(10 * (d + 1), n)
    freedom = k - (d + 1)
    if freedom < d + 1:
        return float("nan")
    centres = states[np.unique(np.linspace(0, n - 1, min(n_centres, n)).astype(int))]
    neighbours = KDTree(states).query(centres, k=k)[1]
    local = states[neighbours] - centres[:, None, :]
    design = np.concatenate([np.ones_like(local[..., :1]), local], axis=-1)
    targets = actions[neighbours]
    residuals = targets - design @ (np.linalg.pinv(design) @ targets)
    covariance = np.swapaxes(residuals, 1, 2) @ residuals / freedom
    smallest = np.linalg.eigvalsh(covariance)[:, 0]
    return float(np.median(np.sqrt(np.maximum(smallest, 0.0))))
