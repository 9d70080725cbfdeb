"""Plant bugs in a copy of the sources and see that the tests find them.

    python tests/plant_bugs.py              all of them, two at a time (5 to 15 minutes)
    python tests/plant_bugs.py sqrt drift   those whose description holds one of these words

A test that no bug can fail checks nothing. Every line of ``PLANTS`` is a mistake that is easily
made, as an exact replacement in one file, with the test that has to fail because of it. The copy is
a temporary folder; the working tree is not touched. ``test_planted.py`` keeps the table true to the
sources without running it. Bugs in the tests' own browser need Chromium and the front-end packages.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parent.parent


class Plant(NamedTuple):
    """A bug: what it is, the file, the text and its replacement, and the test that must fail.

    The file is named as from ``folder``.
    """

    what: str
    file: str
    old: str
    new: str
    caught_by: str
    folder: str = "ebmlib"


LAWS, SCORE, STARTS = (
    "sampling/test_gaussian_laws.py",
    "models/test_score.py",
    "sampling/test_starts.py",
)
TRAINING, OBJECTIVE, EXACT = (
    "training/test_training.py",
    "objectives/test_objective.py",
    "evaluation/test_exact.py",
)
STORE, POLICY, ENERGY = "training/test_store.py", "policies/test_policy.py", "models/test_energy.py"
THESIS, SETTINGS = "thesis/test_thesis.py", "thesis/test_thesis_settings.py"
SESSION, SUPPORT = "browser/test_session_browser.py", "test_browser_support.py"
STANDARDISED, COMPILED = "models/test_standardisation.py", "sampling/test_compiled.py"
NUMERICS = "widgets/test_widgets_numerics.py"
ANY_SIZE = "test_arguments_of_any_size_go_through_every_activation"
STATIONARY = f"{LAWS}::test_stationary_variance_is_wider_than_the_target"
AFTER_K = f"{LAWS}::test_mean_and_variance_after_k_steps"
AUTOGRAD = f"{SCORE}::test_score_and_value_agree_with_autograd_for_every_variant"
EXACT_GRADIENT = f"{OBJECTIVE}::test_gradient_is_the_exact_one_where_chains_sample_the_model"
WRITTEN_OUT = f"{OBJECTIVE}::test_loss_is_the_equation_and_so_is_its_gradient"
RESUMED = f"{TRAINING}::test_interrupted_and_resumed_is_uninterrupted"
DIVERGED = f"{TRAINING}::test_loss_that_is_not_finite_stops_with_the_epoch_and_the_last_good_state"
EXP_MEAN = f"{POLICY}::test_exp_is_the_mean_of_its_population"
DAMAGED = f"{STORE}::test_damaged_entry_is_told_set_aside_and_trained_again"

_SCALES = "[alpha * math.sqrt(self.temperature) for"
_VOLUME = " + grid.d * math.log(grid.spacing)\n    return GridDensity"

_NOTED = f"{SESSION}::test_each_kind_of_error_is_noted"
_CLEAN = f"{SUPPORT}::test_a_clean_page_has_asked_and_only_its_own_addresses"
_WINDOW = f"{SESSION}::test_the_window_is_as_it_is_wanted"
_STALE = "test_results_are_stale_when_a_condition_the_data_or_the_code_changed"

PLANTS = [
    # the sampler
    Plant("noise scaled alpha^2", "sampling/sgld.py", _SCALES, "[alpha**2 for", STATIONARY),
    Plant("noise without temperature", "sampling/sgld.py", _SCALES, "[alpha for",
          f"{LAWS}::test_temperature_scales_the_variance"),
    Plant("temperature without its square root", "sampling/sgld.py", _SCALES,
          "[alpha * self.temperature for",
          f"{LAWS}::test_temperature_scales_the_variance"),
    Plant("drift without its 1/2", "sampling/sgld.py", "[alpha**2 / 2 if", "[alpha**2 if", STATIONARY),
    Plant("drift alpha / 2", "sampling/sgld.py", "[alpha**2 / 2 if", "[alpha / 2 if", AFTER_K),
    Plant("sign of the drift", "sampling/sgld.py", "score(a).mul(drift)", "score(a).mul(-drift)", AFTER_K),
    Plant("sign of the drift, skewed target", "sampling/sgld.py", "score(a).mul(drift)",
          "score(-a).mul(-drift)",
          "sampling/test_targets.py::test_chain_on_a_skewed_target_has_the_law_of_its_own_kernel"),
    Plant("drift set apart is ignored", "sampling/sgld.py", "/ 2 if self.drift is None else self.drift",
          "/ 2", f"{LAWS}::test_drift_and_noise_set_apart"),
    Plant("K off by one", "sampling/sgld.py", "for stop in (*recorded, self.steps):",
          "for stop in (*recorded, self.steps - 1):", AFTER_K),
    Plant("K off by one upwards", "sampling/sgld.py", "        a, done = start, 0\n",
          "        a, done = start + self.alpha**2 / 2 * score(start), 0\n", AFTER_K),
    Plant("annealing one step short", "sampling/sgld.py", "(k / (self.steps - 1))", "(k / self.steps)",
          f"{LAWS}::test_annealed_noise_follows_a_geometric_schedule"),
    Plant("start scale sqrt(alpha)", "sampling/sgld.py", ".mul_(self.alpha)", ".mul_(self.alpha**0.5)",
          f"{LAWS}::test_starts_have_standard_deviation_alpha"),
    Plant("start scale 1", "sampling/sgld.py", ".mul_(self.alpha)", "",
          f"{LAWS}::test_starts_have_standard_deviation_alpha"),
    Plant("R over K + 1", "sampling/sgld.py", "return self.length / self.steps",
          "return self.length / (self.steps + 1)",
          f"{LAWS}::test_mean_step_length_of_a_flat_energy_is_the_noise_floor"),
    Plant("R from squared lengths", "sampling/sgld.py",
          "length += torch.linalg.vector_norm(step, dim=1)", "length += step.square().sum(dim=1)",
          f"{LAWS}::test_mean_step_length_at_stationarity"),
    Plant("noise drawn per block, so that recording moves it", "sampling/sgld.py",
          "            noise[k].normal_(generator=generator).mul_(scale)",
          "            noise[k].normal_(generator=generator).mul_(scale)\n"
          "    torch.rand(1, generator=generator)",
          f"{LAWS}::test_what_is_recorded_changes_nothing"),
    # the network and its score
    Plant("x and a swapped in the network", "models/energy.py", "torch.cat([x, a], dim=-1)",
          "torch.cat([a, x], dim=-1)", AUTOGRAD),
    Plant("x and a halves swapped in the score", "models/energy.py", "first=weight[:, split:]",
          "first=weight[:, : weight.shape[1] - split]", AUTOGRAD),
    Plant("residual missing in the gradient", "models/score.py",
          "g = through.add_(g) if self.residual else through", "g = through", AUTOGRAD),
    Plant("residual missing in the network", "models/energy.py",
          "(out if self.config.residual else 0.0)", "0.0",
          f"{ENERGY}::test_f_is_written_out_as_in_the_thesis"),
    Plant("derivative of ELU without its + 1", "models/score.py", "u.clamp(max=0).add_(1)",
          "u.clamp(max=0).exp()", AUTOGRAD),
    Plant("derivative of tanh", "models/score.py", "(1 - first * first)", "(1 - first)", AUTOGRAD),
    Plant("temperature missing in the score", "models/energy.py",
          "output=output.weight[0] / temperature", "output=output.weight[0]", AUTOGRAD),
    Plant("sign of the energy", "models/energy.py", "return -self.config.temperature * self(x, a)",
          "return self.config.temperature * self(x, a)",
          f"{ENERGY}::test_f_is_written_out_as_in_the_thesis"),
    Plant("a score advances the power iteration", "models/energy.py",
          "with torch.no_grad(), evaluating(self):", "with torch.no_grad():",
          f"{SCORE}::test_score_changes_neither_action_nor_model"),
    Plant("power iteration from the global generator", "models/energy.py",
          "norm._v.normal_(generator=generator)", "norm._u.normal_(generator=generator)",
          f"{ENERGY}::test_power_iteration_starts_from_the_generator_and_belongs_to_training"),
    Plant("population interleaved the wrong way", "models/score.py",
          "self.context.repeat_interleave(population, dim=0)",
          "self.context.repeat(population, 1)",
          f"{SCORE}::test_repeat_puts_the_chains_of_a_state_side_by_side"),
    Plant("SiLU in the extractor of actions forgotten", "models/energy.py",
          "self._silu_or(nn.functional.elu)(self.fe_a(a))", "nn.functional.elu(self.fe_a(a))",
          f"{ENERGY}::test_the_activations_are_those_that_the_model_names"),
    Plant("SiLU' of the extractor taken for ELU'", "models/score.py",
          "return torch.ops.aten.silu_backward(g, u) @ self.embedding[0]",
          "return g.mul_(u.clamp(max=0).add_(1)) @ self.embedding[0]", AUTOGRAD),
    Plant("ReLU passes for twice differentiable", "models/energy.py",
          'return self.activation == "silu" or smooth', "return True",
          f"{SCORE}::test_twice_differentiable_says_where_the_second_derivative_is_continuous"),
    Plant("tanh with ELU passes for twice differentiable", "models/energy.py",
          "not self.hidden_layers and not self.embedding", "not self.hidden_layers",
          f"{SCORE}::test_twice_differentiable_says_where_the_second_derivative_is_continuous"),
    Plant("a score forgets to scale the action", "models/energy.py",
          "embedding = _fold(*embedding, *action)", "pass", AUTOGRAD),
    Plant("the mean of the action forgotten in the score", "models/energy.py",
          "half, bias = _fold(weight[:, split:], bias, *action)",
          "half, _ = _fold(weight[:, split:], bias, *action)",
          f"{STANDARDISED}::test_it_is_the_plain_model_at_standardised_inputs"),
    Plant("every direction of the action has its own scale", "models/energy.py",
          "spread = a.var(dim=0, correction=0).mean().sqrt()",
          "spread = a.var(dim=0, correction=0).sqrt()",
          f"{STANDARDISED}::test_standardised_data_are_centred_and_of_spread_one"),
    Plant("a constant feature is divided by its rounding", "models/energy.py",
          "_SMALLEST_SPREAD = 1e-6", "_SMALLEST_SPREAD = 0.0",
          f"{STANDARDISED}::test_features_without_spread_divide_by_nothing"
          "_and_have_no_units_either"),
    Plant("a constant feature keeps its units", "models/energy.py",
          "constant = torch.where(magnitude > 0, magnitude, 1.0)",
          "constant = torch.ones_like(magnitude)",
          f"{STANDARDISED}::test_features_without_spread_divide_by_nothing"
          "_and_have_no_units_either"),
    Plant("loaded means and scales are not noticed", "models/energy.py",
          "kept._standardised = bool(torch.isfinite(kept.state_scale).all())", "pass",
          f"{STANDARDISED}::test_means_and_scales_travel_with_the_weights"
          "_and_are_absent_without_the_option"),
    Plant("weights that leave forget the mean", "models/energy.py",
          "moved = -(folded @ mean.double())", "moved = 0 * (folded @ mean.double())",
          f"{STANDARDISED}::test_weights_that_leave_the_model_have_it_folded_in"),
    Plant("no bound in the kernel's exponential", "sampling/walk.c",
          "x = choose((ivec)(x < -87.0f), all(-87.0f), x);", "", f"{COMPILED}::{ANY_SIZE}"),
    Plant("SiLU of a huge argument times exp(-87)", "sampling/walk.c",
          "(vec)((ivec)(below > -87.0f) & (ivec)FMA(power, p, power))", "FMA(power, p, power)",
          f"{COMPILED}::{ANY_SIZE}"),
    Plant("SiLU' in the page without its second term", "widgets/js/network.js",
          "sigma * (1 + v * (v < 0 ? larger : smaller))", "sigma",
          f"{NUMERICS}::test_energy_and_gradient_agree_with_autograd"),
    Plant("the page trains FE_x as if it were LeakyReLU", "widgets/js/training.js",
          "back[i] *= score.slopes.features[i]", "back[i] *= features[i] < 0 ? NEGATIVE_SLOPE : 1",
          f"{NUMERICS}::test_training_step_agrees_with_pytorch"),
    Plant("an exported network does not name its activation", "widgets/export.py",
          '"activation": config.activation,', "",
          f"{NUMERICS}::test_energy_and_gradient_agree_with_autograd"),
    # the objective
    Plant("loss sign", "objectives/contrast.py",
          "difference = f_chain.mean() - f_data.mean()",
          "difference = f_data.mean() - f_chain.mean()", EXACT_GRADIENT),
    Plant("negative phase without parameter gradient", "objectives/contrast.py",
          "difference = f_chain.mean() - f_data.mean()",
          "difference = f_chain.detach().mean() - f_data.mean()", EXACT_GRADIENT),
    Plant("chains at the states of other pairs", "objectives/contrastive_divergence.py",
          "model.score(negatives.states), negatives.start",
          "model.score(negatives.states.flip(0)), negatives.start", EXACT_GRADIENT),
    Plant("x and a swapped in the loss", "objectives/contrast.py",
          "torch.cat([data.states, states]), torch.cat([data.actions, actions])",
          "torch.cat([data.actions, actions]), torch.cat([data.states, states])", WRITTEN_OUT),
    Plant("L2 of the difference only", "objectives/contrast.py",
          "self.reg_l2 * f.square().mean()", "self.reg_l2 * difference.square()", WRITTEN_OUT),
    Plant("expected total variation at the count below", "evaluation/exact.py",
          "nu = (m * p).floor() + 1", "nu = (m * p).floor()",
          f"{EXACT}::test_the_floor_is_the_mean_deviation_of_binomial_counts"),
    # where chains start
    Plant("persistent bank not kept", "sampling/starts.py", 'return {"actions": actions}', "return bank",
          f"{STARTS}::test_persistent_bank_starts_from_noise_and_goes_on_pair_by_pair"),
    Plant("persistent bank by place in the batch", "sampling/starts.py", 'bank["actions"][ids], ids)',
          'bank["actions"][: len(ids)], ids)',
          f"{STARTS}::test_persistent_bank_starts_from_noise_and_goes_on_pair_by_pair"),
    Plant("replay restarts the wrong way round", "sampling/starts.py", "< self.restart", ">= self.restart",
          f"{STARTS}::test_replay_restarts_with_its_probability_from_noise"),
    Plant("replay goes on with another pair's chain", "sampling/starts.py",
          'past = bank["actions"][ids, slot]', 'past = bank["actions"][ids.roll(1), slot]',
          f"{STARTS}::test_replay_draws_the_ends_of_a_pair_at_random_and_of_no_other"),
    Plant("replay does not turn over", "sampling/starts.py",
          '"ended": bank["ended"] + count', '"ended": (bank["ended"] + count).clamp(max=1)',
          f"{STARTS}::test_a_pair_s_replay_buffer_is_a_ring_in_which_the_oldest_make_room"),
    Plant("replay keeps the first of several chains", "sampling/starts.py",
          "turn >= count[ids] - self.per_pair", "turn < self.per_pair",
          f"{STARTS}::test_a_pair_s_replay_buffer_is_a_ring_in_which_the_oldest_make_room"),
    Plant("chains at other states than the batch's", "sampling/starts.py",
          "return Negatives(states, torch.where(again[:, None], noise, past), ids)",
          "return Negatives(states.roll(1, 0), torch.where(again[:, None], noise, past), ids)",
          f"{STARTS}::test_chains_have_the_states_of_the_batch"),
    # training
    Plant("resume without generator state", "training/loop.py",
          '        self.generator.set_state(tensors["generator"])\n', "", RESUMED),
    Plant("history lost on resume", "training/loop.py", "name: column.tolist()", "name: []", RESUMED),
    Plant("optimiser state lost on resume", "training/loop.py",
          'checkpoint.restore_optimizer(self.optimizer, '
          'checkpoint.under_prefix("optimizer", tensors))', "pass", RESUMED),
    Plant("bank lost on resume", "training/loop.py", "name: tensor.to(self.state[name].device)",
          "name: self.state[name]", RESUMED),
    Plant("epoch saved one too low", "training/loop.py", '{"epoch": self.epoch, "seconds"',
          '{"epoch": self.epoch - 1, "seconds"', RESUMED),
    Plant("divergence leaves the generator advanced", "training/loop.py",
          "        loop.generator.set_state(generator_state)\n", "", DIVERGED),
    Plant("a loss that is not finite is trained on", "training/loop.py",
          "if not torch.isfinite(outcome.loss) or not torch.isfinite(size_of_gradient):",
          "if False:", DIVERGED),
    Plant("observers move the power iteration", "training/loop.py",
          "    loop.model.eval()  # what", "    # what",
          f"{TRAINING}::test_observers_that_evaluate_the_model_change_nothing"),
    Plant("batches with replacement", "training/loop.py",
          "torch.randperm(len(pairs.states), generator=loop.generator, device=device)[:size]",
          "torch.randint(len(pairs.states), (size,), generator=loop.generator, device=device)",
          f"{TRAINING}::test_batches_are_drawn_without_replacement_and_evenly"),
    Plant("learning rate one epoch late", "training/loop.py", "(epoch / (self.epochs - 1))",
          "((epoch - 1) / (self.epochs - 1))",
          f"{TRAINING}::test_snapshots_and_learning_rate_schedule"),
    Plant("training changes and its revision does not", "training/loop.py",
          "torch.randperm(len(pairs.states), generator=loop.generator, device=device)[:size]",
          "torch.randperm(len(pairs.states), generator=loop.generator, device=device)[-size:]",
          "training/test_golden.py"),
    # the store
    Plant("key without the seed", "training/run.py", '            "seed": self.seed,\n', "",
          f"{STORE}::test_key_changes_with_every_field_of_the_configuration"),
    Plant("key without the revision", "training/run.py", '            "revision": TRAINING_REVISION,\n', "",
          f"{STORE}::test_key_depends_on_observers_revision_and_data_and_not_on_paths"),
    Plant("damaged entries trusted", "training/store.py", "if digests != (", "if False and digests != (",
          DAMAGED),
    Plant("no lock", "training/store.py", 'with filelock.FileLock(self.root / f"{key}.lock"):', "if True:",
          f"{STORE}::test_two_processes_at_once_train_once"),
    Plant("unwritable store noticed too late", "training/store.py", "        self._prepare()\n",
          "        self.root.mkdir(parents=True, exist_ok=True)\n",
          f"{STORE}::test_unwritable_store_is_said_before_training"),
    # policies
    Plant("EXP without its mean", "policies/policy.py",
          "ends.reshape(len(states), self.population, -1).mean(dim=1)",
          "ends.reshape(len(states), self.population, -1)[:, 0]", EXP_MEAN),
    Plant("EXP mixes its states", "policies/policy.py",
          "ends.reshape(len(states), self.population, -1).mean(dim=1)",
          "ends.reshape(self.population, len(states), -1).mean(dim=0)",
          f"{POLICY}::test_every_state_gets_the_action_of_its_own_population"),
    Plant("candidates without jitter", "policies/policy.py", "return candidates + jitter * noise",
          "return candidates",
          f"{POLICY}::test_exp_spreads_its_candidates_around_the_state_by_alpha"),
    Plant("ML returns its first ascent", "policies/policy.py", "winner = self._highest(f_best)[1]",
          "winner = 0",
          f"{POLICY}::test_ml_finds_the_higher_mode_where_the_origin_leads_to_the_lower"),
    Plant("rollout acts from the start", "policies/policy.py", "a = policy.act(x, generator=generator)",
          "a = policy.act(starts, generator=generator)",
          f"{POLICY}::test_rollout_of_a_linear_system_has_its_closed_form_in_every_row"),
    # exact densities
    Plant("log Z without the cell volume", "evaluation/exact.py", _VOLUME, "\n    return GridDensity",
          f"{EXACT}::test_log_z_of_a_gaussian_is_as_exact_as_its_spacing"),
    Plant("cell volume of one dimension", "evaluation/exact.py", _VOLUME,
          " + math.log(grid.spacing)\n    return GridDensity",
          f"{EXACT}::test_log_z_of_a_gaussian_is_as_exact_as_its_spacing"),
    Plant("cells at their lower corners", "evaluation/exact.py", "(k + 0.5)", "k",
          f"{EXACT}::test_a_grid_is_made_of_cells_with_the_last_axis_fastest"),
    Plant("KL the other way round", "evaluation/exact.py", "(self.mass * (self.log_p - other.log_p))",
          "(other.mass * (other.log_p - self.log_p))",
          f"{EXACT}::test_kl_between_gaussians_is_the_closed_form_and_not_symmetric"),
    Plant("bias of the plug-in KL not taken off", "evaluation/exact.py",
          "return plug_in - ((q > 0).sum(dim=1) - 1) / (2 * samples.shape[1])", "return plug_in",
          f"{EXACT}::test_total_variation_and_kl_of_perfect_samples_are_near_their_floor"),
    Plant("exact gradient of the data term only", "evaluation/exact.py",
          "loss = (_log_z(model, states, grid) - model(states, actions)).sum() / n",
          "loss = (0 * _log_z(model, states, grid) - model(states, actions)).sum() / n",
          f"{EXACT}::test_exact_gradient_agrees_with_finite_differences"),
    # the thesis's studies and verdicts
    Plant("a tenth trimmed instead of a quarter", "../thesis/statistics.py", "dtype=float), 0.25,",
          "dtype=float), 0.1,",
          f"{THESIS}::test_interquartile_mean_is_the_mean_of_the_middle_half"),
    Plant("an interval of one standard error", "../thesis/statistics.py", "CONFIDENCE = 0.95",
          "CONFIDENCE = 0.6",
          f"{THESIS}::test_the_interval_covers_the_truth_as_often_as_it_says"),
    Plant("results that never go stale", "../thesis/study.py",
          'return self.provenance.get("digest") != study', 'return None is study',
          f"{THESIS}::{_STALE}"),
    Plant("a digest without the training revision", "../thesis/study.py",
          '"training_revision": TRAINING_REVISION,', "", f"{THESIS}::{_STALE}"),
    Plant("rows measured again and again", "../thesis/study.py",
          "checkpoint.write_bytes(path, json.dumps(row).encode())", "pass",
          f"{THESIS}::test_a_study_measures_every_condition_and_seed_once_and_goes_on_after_a_kill"),
    Plant("a stale verdict that does not say so", "../thesis/display.py", "if v.stale:", "if False:",
          f"{THESIS}::test_a_stale_verdict_says_so_wherever_it_is_shown"),
    Plant("other settings also for a claim that holds", "../thesis/claim.py",
          "found.outcome == NOT_REPRODUCED and other is not None", "other is not None",
          f"{SETTINGS}::test_a_claim_that_holds_at_ours_is_not_searched"),
    Plant("a claim reproduced where it holds nowhere", "../thesis/claim.py", "if not good:",
          "if not found:",
          f"{SETTINGS}::test_a_claim_that_holds_nowhere_says_how_far_it_is_from_it"),
    Plant("held-out searches with all seeds", "../thesis/search.py", ".from_seed(first_seed)", "",
          f"{SETTINGS}::test_a_search_is_judged_without_the_first_seeds_where_its_verdict_is"),
    Plant("a diverged training left out of the range", "../thesis/claims/settings.py",
          "LIMIT if value is None else", "0.0 if value is None else",
          f"{SETTINGS}::test_a_training_that_diverged_counts_as_having_left_the_range"),
    Plant("a search without the ranges of the claim's own rule", "../thesis/claims/settings.py",
          "outcome != NOT_REPRODUCED, part", "outcome == REPRODUCED, part",
          f"{SETTINGS}::test_a_smaller_network_must_fail_or_take_longer"),
    Plant("a training that diverged counts as if it had arrived", "../thesis/claims/architecture.py",
          'float(condition(row["condition"]).training.epochs)', "50.0",
          f"{SETTINGS}::test_normalised_layers_must_take_twice_the_epochs"),
    Plant("drift held against the reach of our own noise", "../thesis/claims/settings.py",
          "drifts(late, early, 1.0)", "drifts(late, early, 0.03)",
          f"{SETTINGS}::test_drift_is_held_against_the_reach_of_the_noise"),
    Plant("the number at other settings without saying what it is", "../thesis/claim.py",
          "There, {search.number}: {told}", "There: {told}",
          f"{SETTINGS}::test_a_claim_that_holds_nowhere_says_how_far_it_is_from_it"),
    Plant("residual layers judged upside down", "../thesis/claims/settings.py",
          "_ratio(depth, with_, without, f", "_ratio(depth, without, with_, f",
          f"{SETTINGS}::test_residual_layers_must_carry_twice_as_much_early_or_late"),
    Plant("the action of a budget from as many chains as usual", "../thesis/studies/settings.py",
          "replace(sampler, steps=steps), chains)", "replace(sampler, steps=steps))",
          f"{SETTINGS}::test_more_chains_come_nearer_to_the_exact_action"),
    Plant("figures of several panels not told apart", "slim.py", "int(own[1]) >= WIDE",
          "int(own[1]) > 10 * WIDE",
          "workflow/test_slim.py::test_figures_of_several_panels_are_told_apart", "workflow"),
    Plant("a kernel that dies at its start given up", "execute.py",
          "KERNEL_STARTS = 3", "KERNEL_STARTS = 1",
          "workflow/test_pipeline.py::test_a_kernel_that_dies_at_its_start_is_started_again", "workflow"),
    # the browser that looks at the book
    Plant("requests of a page not noted", "browser/session.mjs", "requests.push(request.url())",
          "undefined", f"{SESSION}::test_a_page_that_does_nothing_wrong_is_clean", "tests"),
    Plant("requests that failed not noted", "browser/session.mjs", "`failed: ${request.url()}`",
          "", _NOTED, "tests"),
    Plant("answers that there is no such page not noted", "browser/session.mjs",
          "response.status() >= 400", "response.status() >= 500", _NOTED, "tests"),
    Plant("what the console says not noted", "browser/session.mjs",
          'message.type() === "error"', 'message.type() === "exception"', _NOTED, "tests"),
    Plant("what a page throws not noted", "browser/session.mjs", "errors.push(String(error))",
          "undefined", _NOTED, "tests"),
    Plant("a page left as soon as it is loaded", "browser/session.mjs",
          "widgets ? withWidgets : plain", "0",
          f"{SESSION}::test_an_error_after_loading_is_noted", "tests"),
    Plant("a picture taken before the widgets are there", "browser/session.mjs",
          "widgets ? withWidgets : plain", "plain",
          f"{SESSION}::test_widgets_have_time_to_fail_before_their_picture_is_taken", "tests"),
    Plant("a window of one width for all", "browser/session.mjs", "wanted.width ?? width", "width",
          _WINDOW, "tests"),
    Plant("a window that is never dark", "browser/session.mjs", 'wanted.dark ? "dark"',
          'false ? "dark"', _WINDOW, "tests"),
    Plant("a test in a browser skipped everywhere", "browser_support.py", '    return ""\n',
          '    return "no Chromium on this machine"\n',
          f"{SUPPORT}::test_what_a_browser_test_lacks_is_said", "tests"),
    Plant("an error on a page accepted", "browser_support.py",
          '    assert not noted["errors"], (page, noted["errors"])\n', "", _CLEAN, "tests"),
    Plant("a request to elsewhere accepted", "browser_support.py",
          "    assert not foreign, (page, foreign)\n", "", _CLEAN, "tests"),
    Plant("a page of which nothing was noted accepted", "browser_support.py",
          '    assert noted["requests"], page', "    pass", _CLEAN, "tests"),
]  # fmt: skip


def copy_sources(to: Path) -> None:
    """Copy what the tests need: the package, the tests, the data, the configuration."""
    ignore = shutil.ignore_patterns("__pycache__", "node_modules")
    for folder in ("ebmlib", "thesis", "tests", "data", "workflow"):
        shutil.copytree(ROOT / folder, to / folder, ignore=ignore)
    (to / "build").mkdir()
    (to / "build" / "frontend").symlink_to(ROOT / "build" / "frontend")
    for file in ("pyproject.toml", "_config.yml"):
        shutil.copy(ROOT / file, to)


def run_tests(folder: Path, tests: list[str]) -> subprocess.CompletedProcess[str]:
    """Run tests in a copy; nothing is cached, so that every change is seen."""
    command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(
        [*command, "--basetemp", str(folder / "tmp"), *(f"tests/{test}" for test in tests)],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
    )


def planted(plant: Plant) -> bool:
    """Whether the bug's own test fails in a copy that has the bug."""
    with tempfile.TemporaryDirectory(prefix="planted.") as name:
        folder = Path(name)
        copy_sources(folder)
        path = folder / plant.folder / plant.file
        text = path.read_text(encoding="utf-8")
        if text.count(plant.old) != 1:
            print(f"NOT PLANTED  {plant.what}: {plant.file} has changed, mend the table")
            return False
        path.write_text(text.replace(plant.old, plant.new), encoding="utf-8")
        process = run_tests(folder, [plant.caught_by])
    caught = process.returncode == 1  # 1: tests failed; anything else: they did not run
    print(
        f"{'caught' if caught else 'NOT CAUGHT':12} {plant.what:55} {plant.caught_by}", flush=True
    )
    if process.returncode > 1:
        print(process.stdout[-2000:], process.stderr[-2000:])
    return caught


def main(words: list[str]) -> int:
    """Plant the bugs whose description holds one of the words; 0 if every one was caught."""
    chosen = [p for p in PLANTS if not words or any(word in p.what for word in words)]
    with tempfile.TemporaryDirectory(prefix="planted.") as name:
        copy_sources(Path(name))
        sound = run_tests(Path(name), sorted({plant.caught_by for plant in chosen}))
    if sound.returncode:
        print("Without a bug the tests do not pass:", sound.stdout[-3000:], sound.stderr[-1000:])
        return 1
    with ThreadPoolExecutor(2) as pool:
        caught = list(pool.map(planted, chosen))
    print(f"{sum(caught)} of {len(chosen)} planted bugs were caught.")
    return 0 if all(caught) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
