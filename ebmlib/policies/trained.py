"""A trained policy as one file: everything that is needed to act, on any machine.

The file holds the weights, the features of the state, the scaling of the drawing, the rule by which
a trajectory ends, the configuration and the provenance. It needs neither the drawing nor the store.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from ebmlib import checks, config, files
from ebmlib.demonstrations.features import StateFeatures
from ebmlib.errors import InputError, StoreError
from ebmlib.models.energy import EnergyConfig, EnergyModel
from ebmlib.policies.base import Policy
from ebmlib.policies.chains import ChainPolicy
from ebmlib.policies.ends import Arrival, EndRule, Followed
from ebmlib.policies.ends import FixedSteps as FixedSteps
from ebmlib.policies.grid import ActionGrid
from ebmlib.policies.inference import chains_of, policy_of
from ebmlib.policies.trajectories import Trajectories, rollout
from ebmlib.sampling.inference import Inference
from ebmlib.training.store import Trained

FORMAT = "ebmlib policy"
FORMAT_VERSION = 1


@dataclass(frozen=True, eq=False)
class TrainedPolicy:
    """A model and all that is needed to draw trajectories from it.

    Attributes:
        model: the trained model, in evaluation mode.
        inference: how actions are drawn from it; noise levels are in the units of the action.
        features: how the model's states are made from positions.
        end: when a trajectory ends.
        scales: normalised units per unit of the drawing, one per demonstration, (N,).
        offsets: where each demonstration started, in units of the drawing, (N, d).
        name: the name of the demonstrations.
        configuration: the run that trained it, as JSON-ready data.
        provenance: the store's record of it (key, data digest, versions, device, time).
        grid: the actions that the density is evaluated at, where the inference is by a grid.
        positions: demonstrated positions (n, d), to tell whether a trajectory left them; or None.
    """

    model: EnergyModel
    inference: Inference
    features: StateFeatures
    end: EndRule
    scales: npt.NDArray[np.float64]
    offsets: npt.NDArray[np.float64]
    name: str
    configuration: Mapping[str, Any]
    provenance: Mapping[str, Any]
    grid: ActionGrid | None = None
    positions: npt.NDArray[np.float64] | None = None

    @classmethod
    def of(cls, trained: Trained) -> TrainedPolicy:
        """The policy of a trained run, with the inference of the run.

        Where the inference is by a grid, the grid lies around the demonstrated actions, and
        trajectories end where demonstrations end (:class:`~ebmlib.policies.ends.Arrival`).
        """
        demonstrations, inference = trained.demonstrations, trained.inference
        lengths = [len(points) - 1 for points in demonstrations.trajectories]
        end: EndRule = FixedSteps(max(1, round(sum(lengths) / len(lengths))))
        grid = positions = None
        if inference.grid is not None:
            actions = torch.tensor(demonstrations.actions, dtype=torch.float32)
            spread = float(actions.var(dim=0, correction=0).mean().sqrt())
            actions = actions.to(next(trained.model.parameters()).device)
            grid = ActionGrid.around(actions, inference.grid * spread)
            end, positions = Arrival.of(demonstrations), np.array(demonstrations.states)
        return cls(
            grid=grid,
            positions=positions,
            model=trained.model,
            inference=inference,
            features=trained.run.features,
            end=end,
            scales=demonstrations.scales,
            offsets=demonstrations.offsets,
            name=demonstrations.name,
            configuration=trained.run.to_dict(),
            provenance={k: v for k, v in trained.record.items() if k != "history"},
        )

    def policy(self, estimate: str | None = None) -> Policy:
        """The policy; ``estimate`` (``"exp"``, ``"ml"``, ...) replaces the stored one."""
        inference = self.inference
        if estimate is not None:
            inference = replace(inference, estimate=estimate, population=None)
        return policy_of(self.model, inference, self.features, self.grid)

    def chains(self, estimate: str) -> ChainPolicy:
        """The policy by chains, even if the stored inference is by a grid."""
        inference = replace(self.inference, estimate=estimate, population=None)
        return chains_of(self.model, inference, self.features)

    def rollout(
        self,
        starts: Any = None,
        steps: int | None = None,
        *,
        generator: torch.Generator,
        estimate: str | None = None,
    ) -> Trajectories:
        """Trajectories in normalised units (see :func:`~ebmlib.policies.trajectories.rollout`).

        Args:
            starts: positions (b, d), a tensor, an array or lists; the origin, where every
                demonstration starts, if None.
            steps: number of actions; those of a demonstration if None.
            generator: for the policy.
            estimate: see :meth:`policy`.
        """
        if starts is None:
            starts = torch.zeros(
                1, self.model.action_dim, dtype=torch.float32, device=generator.device
            )
        steps = self.end.horizon if steps is None else steps
        return rollout(
            self.policy(estimate),
            starts,
            steps,
            generator=generator,
            features=self.features,
            horizon=self.end.horizon,
        )

    def follow(
        self,
        starts: Any = None,
        *,
        generator: torch.Generator,
        estimate: str | None = None,
    ) -> list[Followed]:
        """Trajectories up to their own ends, each with the reason why it ended.

        Arguments are those of :meth:`rollout`.
        """
        whole = self.rollout(starts, self.end.steps, generator=generator, estimate=estimate)
        followed = []
        for path, actions in zip(whole.states, whole.actions, strict=True):
            points = path.double().cpu().numpy()
            count, why = self.end.end(points, self.positions)
            taken = actions[:count].double().cpu().numpy()
            followed.append(Followed(points[: count + 1], taken, why))
        return followed

    def to_original(self, points: npt.ArrayLike, index: int = 0) -> npt.NDArray[np.float64]:
        """Normalised points (..., d) where demonstration ``index`` was drawn, in its units."""
        return np.asarray(points, dtype=float) / self.scales[index] + self.offsets[index]

    def normalise(self, points: npt.ArrayLike, index: int = 0) -> npt.NDArray[np.float64]:
        """Undo :meth:`to_original`."""
        return (np.asarray(points, dtype=float) - self.offsets[index]) * self.scales[index]

    def save(self, path: str | Path) -> None:
        """Write the policy to one file, whole or not at all.

        Raises:
            StoreError: it cannot be written.
        """
        tensors = files.with_prefix("model", self.model.state_dict()) | {
            "scales": torch.tensor(np.array(self.scales)),
            "offsets": torch.tensor(np.array(self.offsets)),
        }
        if self.grid is not None:
            tensors |= {"grid": self.grid.points.cpu()}
        if self.positions is not None:
            tensors |= {"positions": torch.tensor(np.array(self.positions))}
        record = {
            "format": FORMAT,
            "version": FORMAT_VERSION,
            "name": self.name,
            "dimensions": {"state": self.model.state_dim, "action": self.model.action_dim},
            "energy": config.to_dict(self.model.config),
            "inference": config.to_dict(self.inference),
            "features": config.to_dict(self.features),
            "end": config.to_dict(self.end),
            "configuration": dict(self.configuration),
            "provenance": dict(self.provenance),
        }
        if self.grid is not None:
            record["spacing"] = self.grid.spacing
        files.save_tensors(Path(path), tensors, record)

    @classmethod
    def load(cls, path: str | Path, device: torch.device | str = "cpu") -> TrainedPolicy:
        """Read a policy that :meth:`save` wrote, on any machine.

        Raises:
            InputError: the file is not a policy, or of a later format.
            StoreError: it is missing or damaged.
        """
        tensors, record = files.load_tensors(
            Path(path), remedy="write it again with TrainedPolicy.save or train NAME --out FILE"
        )
        if record.get("format") != FORMAT:
            raise InputError(
                f"{path} holds no trained policy; write one with TrainedPolicy.of(trained).save or "
                "python -m ebmlib train NAME --out FILE."
            )
        try:
            return cls._of_file(tensors, record, path, device)
        except (KeyError, TypeError, ValueError, RuntimeError, AttributeError) as error:
            if isinstance(error, InputError):
                raise
            reason = " ".join(str(error).split())
            raise StoreError(
                f"{path} is not a policy that this version can read ({reason}); write it again "
                "with TrainedPolicy.save or train NAME --out FILE."
            ) from error

    @classmethod
    def _of_file(
        cls,
        tensors: Mapping[str, Tensor],
        record: Mapping[str, Any],
        path: str | Path,
        device: torch.device | str,
    ) -> TrainedPolicy:
        if record["version"] > FORMAT_VERSION:
            raise InputError(
                f"{path} is a policy of format {record['version']}, and this version of ebmlib "
                f"reads up to {FORMAT_VERSION}; install a newer one."
            )
        energy, inference, features, end = (
            config.from_dict(record[name]) for name in ("energy", "inference", "features", "end")
        )
        checks.instance("energy", energy, EnergyConfig, "EnergyConfig()")
        checks.instance("inference", inference, Inference, "Inference()")
        checks.instance("features", features, StateFeatures, "StateFeatures()")
        checks.instance("end", end, EndRule, "FixedSteps()")
        dims = record["dimensions"]
        # the weights drawn here are replaced by those of the file
        model = EnergyModel(energy, dims["state"], dims["action"], generator=torch.Generator())
        model.load_state_dict(files.under_prefix("model", tensors))
        return cls(
            model.to(device).eval(),
            inference,
            features,
            end,
            tensors["scales"].numpy(),
            tensors["offsets"].numpy(),
            record["name"],
            record["configuration"],
            record["provenance"],
            ActionGrid(tensors["grid"].to(device), record["spacing"])
            if "grid" in tensors
            else None,
            tensors["positions"].numpy() if "positions" in tensors else None,
        )
