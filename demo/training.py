"""Fit a network, and compare its predictions with the simulation: for both networks of the demo."""

import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

Floats = npt.NDArray[np.float32]


def stack_examples(examples: Iterable[tuple[npt.NDArray[np.uint8], Floats]]) -> tuple[Tensor, ...]:
    """Return a batch of codes and a batch of counts."""
    return tuple(torch.from_numpy(np.stack(arrays)) for arrays in zip(*examples, strict=True))


def fit(
    model: nn.Module,
    compute_loss: Callable[[Tensor, Tensor], Tensor],
    batches: Iterable[tuple[Tensor, ...]],
    steps: int,
    peak_rate: float,
    max_norm: float,
    report: Callable[[], str] = str,
) -> None:
    """Minimise a loss of codes and counts by AdamW; print the mean loss every 500 steps."""
    optimiser = torch.optim.AdamW(model.parameters(), lr=peak_rate, weight_decay=0.01)
    rate = torch.optim.lr_scheduler.OneCycleLR(
        optimiser, peak_rate, total_steps=steps, pct_start=0.1
    )
    began, losses = time.perf_counter(), []
    for step, (codes, counts) in enumerate(batches, 1):
        model.train()
        loss = compute_loss(codes, counts)
        optimiser.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), max_norm)
        optimiser.step()
        rate.step()
        losses.append(loss.item())
        if step % 500 == 0 or step == steps:
            print(
                f"{type(model).__name__} step {step:,}, {time.perf_counter() - began:.0f} s:"
                f" loss {np.mean(losses[-500:]):.4f} {report()}",
                flush=True,
            )


def correlate(predicted: list[Floats], expected: list[Floats]) -> npt.NDArray[np.float64]:
    """Return Pearson's r per track over all positions of arrays of shape (positions, tracks)."""
    p, e = np.concatenate(predicted), np.concatenate(expected)
    return np.array([np.corrcoef(p[:, row], e[:, row])[0, 1] for row in range(p.shape[1])])


def format_correlations(correlations: npt.NDArray[np.float64]) -> str:
    """Return Pearson's r of each track for a line of the log."""
    return "held-out r " + " ".join(f"{value:.3f}" for value in correlations)


def write_table(path: Path, rows: list[tuple[str, ...]]) -> None:
    """Write rows as tab-separated text, and print them."""
    text = "".join("\t".join(row) + "\n" for row in rows)
    path.write_text(text, encoding="utf-8")
    print(text, end="")
