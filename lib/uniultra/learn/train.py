"""The training loop: promptable segmentation with simulated annotators, resumable after a kill."""

from __future__ import annotations

import json
import logging
import time
from copy import deepcopy
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
import yaml
from torch import Tensor, nn
from torch.nn import functional as F
from tqdm import tqdm

from uniultra.errors import ModelError
from uniultra.learn import augment
from uniultra.learn.data import Sample, manifest, pool
from uniultra.learn.losses import click_loss, mask_loss
from uniultra.learn.prompting import correction, first_prompt
from uniultra.models import weights
from uniultra.models.network import PromptNetwork
from uniultra.models.registry import build, entry
from uniultra.prompts.coordinates import Fit
from uniultra.prompts.raster import batch, encode

log = logging.getLogger(__name__)
SMALLEST = 16  # pixels a target must keep after augmentation


@dataclass(frozen=True)
class Recipe:
    """One published run; a YAML file of the same fields.

    Attributes:
        model: name in the registry.
        steps, decay_steps: length of the run; the rate is constant until the last `decay_steps`.
        batch, targets: pictures per step and targets per picture, encoded once for all its targets.
        synthetic: share of generated pictures in a batch.
        datasets: share of each labelled set among the real pictures.
        scenes: how many scenes are generated.
        pseudo_weight: weight of a pseudo-object's loss beside a label's 1.
        click_weight: of the cross-entropy right at the clicks.
        rate, warmup, decay: AdamW's learning rate, its warm-up steps and weight decay.
        average: decay of the exponential moving average that is kept as the result.
        seed: of everything random.
    """

    model: str
    datasets: dict[str, float]
    steps: int
    decay_steps: int
    batch: int = 12
    targets: int = 3
    synthetic: float = 0.34
    scenes: int = 3000
    pseudo_weight: float = 0.5
    click_weight: float = 1.0
    rate: float = 6e-4
    warmup: int = 200
    decay: float = 0.01
    average: float = 0.998
    seed: int = 1

    @classmethod
    def read(cls, path: Path) -> Recipe:
        """A recipe from YAML.

        Raises:
            ModelError: unknown or missing fields.
        """
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
        known = {f.name for f in fields(cls)}
        if not isinstance(values, dict) or set(values) - known:
            unknown = sorted(set(values) - known) if isinstance(values, dict) else "no mapping"
            raise ModelError(f"A recipe holds only {', '.join(sorted(known))}; got {unknown}.")
        try:
            return cls(**values)
        except TypeError as error:
            raise ModelError(f"The recipe is incomplete: {error}.") from error


class Trainer:
    """Trains one model by a recipe; `run` goes on from the last checkpoint in `output`."""

    def __init__(self, recipe: Recipe, data: Path, output: Path, device: str = "cpu") -> None:
        self.recipe, self.output, self.device = recipe, output, device
        output.mkdir(parents=True, exist_ok=True)
        rows = manifest(data, list(recipe.datasets), ["train"])
        # Before the network, because this forks and a GPU in use does not survive a fork.
        self.samples = pool(rows, recipe.scenes, entry(recipe.model).image_size, recipe.seed)
        torch.manual_seed(recipe.seed)
        self.size = entry(recipe.model).image_size
        self.model = build(recipe.model).to(device).train()
        self.mean, self.std = (
            torch.tensor(v, device=device).view(1, 3, 1, 1)
            for v in (entry(recipe.model).mean, entry(recipe.model).std)
        )
        self.averaged = deepcopy(self.model).eval().requires_grad_(False)
        self.optimizer = torch.optim.AdamW(_groups(self.model, recipe.decay), lr=recipe.rate)
        self.step = 0
        self.by_set: dict[str, list[int]] = {}
        for n, sample in enumerate(self.samples):
            if len(sample.targets):
                self.by_set.setdefault(sample.dataset, []).append(n)
        self._resume()

    def run(self) -> Path:
        """Train to the last step, write the averaged model as fp16 safetensors and return the file."""
        recorded: list[float] = []
        with tqdm(total=self.recipe.steps, initial=self.step, desc=self.recipe.model) as bar:
            while self.step < self.recipe.steps:
                recorded.append(self._train_step())
                self.step += 1
                bar.update()
                if self.step % 50 == 0:
                    self._note(recorded)
                    bar.set_postfix(loss=f"{np.mean(recorded):.3f}")
                    recorded = []
                if self.step % 250 == 0 or self.step == self.recipe.steps:
                    self._checkpoint()
        result = self.output / f"{self.recipe.model}.safetensors"
        weights.save(result, self.averaged, {"recipe": json.dumps(asdict(self.recipe))})
        return result

    def _train_step(self) -> float:
        # Seeded by the step, so that a resumed run draws what an uninterrupted one would have drawn.
        recipe, fit = self.recipe, Fit(self.size, self.size, self.size)
        rng = np.random.default_rng([recipe.seed, self.step])
        generator = torch.Generator().manual_seed(int(rng.integers(2**62)))
        pictures, targets, clickable, weight = self._draw(rng, generator)
        truth = F.interpolate(targets, scale_factor=0.5, mode="area").flatten(0, 1)[:, None].to(self.device)
        masks = (targets > 0.5).flatten(0, 1).numpy()
        clicks = (clickable > 0.5).flatten(0, 1).numpy()
        used = [n for n in range(len(masks)) if masks[n].sum() >= SMALLEST and weight[n] > 0]
        for group in self.optimizer.param_groups:
            group["lr"] = self._rate()
        embedding = self.model.encode((pictures.to(self.device) - self.mean) / self.std)
        embedding = embedding.repeat(torch.tensor(used, device=self.device) // recipe.targets)
        prompts = [first_prompt(masks[n], clicks[n], rng) for n in used]
        shares = weight[used].to(self.device)
        total = torch.zeros((), device=self.device)
        for turn in range(2):
            coords, labels, drawn = batch([encode(p, fit) for p in prompts], self.device)
            logits, iou = self.model.decode(embedding, coords, labels, drawn, multimask=False)
            total = total + mask_loss(logits, iou, truth[used], shares)
            total = total + recipe.click_weight * click_loss(logits, coords, labels, self.size, shares)
            if turn == 0:
                answer = F.interpolate(logits.detach().float(), (self.size, self.size), mode="bilinear")
                found = (answer[:, 0] > 0).cpu().numpy()
                prompts = [
                    correction(p, found[i], masks[n], rng)
                    for i, (n, p) in enumerate(zip(used, prompts, strict=True))
                ]
        self.optimizer.zero_grad(set_to_none=True)
        total.backward()
        nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self._average()
        return float(total.detach()) / 2

    def _draw(
        self, rng: np.random.Generator, generator: torch.Generator
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        """A batch: pictures `(B,3,S,S)`, targets and clickable `(B,K,S,S)`, weights `(B*K,)`."""
        recipe = self.recipe
        names, shares = list(recipe.datasets), np.asarray(list(recipe.datasets.values()))
        drawn = round(recipe.batch * recipe.synthetic)
        chosen: list[Sample] = []
        for n in range(recipe.batch):
            name = "synthetic" if n < drawn else names[rng.choice(len(names), p=shares / shares.sum())]
            chosen.append(self.samples[self.by_set[name][rng.integers(len(self.by_set[name]))]])
        count = recipe.targets
        masks = np.zeros((recipe.batch, 2 * count, self.size, self.size), np.float32)
        weight = torch.zeros(recipe.batch, count)
        for n, sample in enumerate(chosen):
            index = pick_targets(sample, count, rng)
            target, click = sample.masks(index)
            masks[n, : len(index)], masks[n, count : count + len(index)] = target, click
            for k, i in enumerate(index):
                weight[n, k] = 1.0 if i < sample.labelled else recipe.pseudo_weight
        pictures = torch.from_numpy(np.stack([s.picture for s in chosen]).astype(np.float32) / 255)[:, None]
        pictures, both = augment.affine(pictures, torch.from_numpy(masks), generator)
        return augment.intensity(pictures, generator), both[:, :count], both[:, count:], weight.flatten()

    def _rate(self) -> float:
        recipe, left = self.recipe, self.recipe.steps - self.step
        warm = min(1.0, (self.step + 1) / max(1, recipe.warmup))
        return recipe.rate * warm * min(1.0, max(0.02, left / max(1, recipe.decay_steps)))

    @torch.no_grad()
    def _average(self) -> None:
        share = min(self.recipe.average, (1 + self.step) / (10 + self.step))
        for kept, new in zip(self.averaged.parameters(), self.model.parameters(), strict=True):
            kept.lerp_(new, 1 - share)

    def _note(self, recorded: list[float]) -> None:
        line = {"step": self.step, "loss": round(float(np.mean(recorded)), 4), "time": round(time.time())}
        with (self.output / "log.jsonl").open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(line) + "\n")

    def _checkpoint(self) -> None:
        state = {
            "recipe": asdict(self.recipe),
            "step": self.step,
            "model": self.model.state_dict(),
            "averaged": self.averaged.state_dict(),
            "optimizer": self.optimizer.state_dict(),
        }
        temporary = self.output / "last.tmp"
        torch.save(state, temporary)
        temporary.replace(self.output / "last.pt")

    def _resume(self) -> None:
        path = self.output / "last.pt"
        if not path.is_file():
            return
        state = torch.load(path, map_location=self.device, weights_only=True)
        changed = [key for key, value in asdict(self.recipe).items() if state["recipe"].get(key) != value]
        if changed:
            log.warning("the checkpoint was made with another %s; going on with the new", ", ".join(changed))
        self.model.load_state_dict(state["model"])
        self.averaged.load_state_dict(state["averaged"])
        self.optimizer.load_state_dict(state["optimizer"])
        self.step = state["step"]
        log.info("resuming at step %d", self.step)


def pick_targets(sample: Sample, count: int, rng: np.random.Generator) -> list[int]:
    """Up to `count` targets of a sample; one or two labels first when there are any."""
    labels = rng.permutation(sample.labelled)
    pseudo = sample.labelled + rng.permutation(len(sample.targets) - sample.labelled)
    if len(pseudo):
        labels = labels[: rng.integers(1, 3)]
    return [int(n) for n in (*labels, *pseudo)][:count]


def _groups(model: PromptNetwork, decay: float) -> list[dict[str, Any]]:
    """Weight decay for matrices and kernels only."""
    return [
        {"params": [p for p in model.parameters() if p.ndim > 1], "weight_decay": decay},
        {"params": [p for p in model.parameters() if p.ndim <= 1], "weight_decay": 0.0},
    ]
