"""Draw agreement.png: predicted over simulated coverage of all tracks, some 60 kb of the demo."""

from pathlib import Path

import matplotlib as mpl
import numpy as np

from seqcov_models import load_model, predict_region

DEMO = Path(__file__).resolve().parent
CONTIG, START, END, BIN = "chrB", 120_000, 180_000, 32


def main() -> None:
    """Predict the region as the workflow would, and draw it."""
    mpl.use("Agg")
    from matplotlib import pyplot as plt

    model = load_model("borzoi", DEMO / "borzoi")
    found = predict_region(model, DEMO / "genome.fa", f"{CONTIG}:{START + 1}-{END}")
    simulated = np.load(DEMO / "simulated" / f"{CONTIG}.npy")[found.start // BIN : found.end // BIN]
    place = np.arange(found.start, found.end, BIN) / 1000
    figure, axes = plt.subplots(
        len(found.tracks), 1, sharex=True, figsize=(10, 9), layout="constrained"
    )
    for axis, track, predicted, expected in zip(
        axes, found.tracks, found.values.T, simulated.T, strict=True
    ):
        axis.fill_between(place, expected, step="mid", color="0.75", label="simulated")
        axis.plot(place, predicted, drawstyle="steps-mid", color="C3", lw=0.8, label="predicted")
        axis.set_title(f"{track.identifier}  {track.description}", fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=7)
        axis.set_xlim(place[0], place[-1])
    axes[0].legend(fontsize=7, loc="upper right")
    axes[-1].set_xlabel(f"{CONTIG} (kb)", fontsize=8)
    figure.savefig(DEMO / "agreement.png", dpi=80)


if __name__ == "__main__":
    main()
