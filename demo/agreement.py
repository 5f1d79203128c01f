"""Draw what the demo's networks predict over what was simulated, for demo/README.md.

agreement.png: Borzoi's tracks, some 60 kb. profiles.png: BPNet's profiles about one peak.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np

from demo.simulate import simulate_binding
from seqcov_models import load_model, predict_region

DEMO = Path(__file__).resolve().parent
CONTIG, START, END, BIN = "chrB", 120_000, 180_000, 32
PEAK = "chrC", 28_868


def draw_tracks() -> None:
    """Predict the region as the workflow would, and draw it."""
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


def draw_profiles() -> None:
    """Predict one window, and draw the strand + of each factor upwards, the strand - downwards."""
    from matplotlib import pyplot as plt

    model = load_model("bpnet", DEMO / "bpnet")
    records = (DEMO / "genome.fa").read_text().split(">")
    (text,) = (record for record in records if record.startswith(f"{PEAK[0]}\n"))
    letters = "".join(text.split()[1:])
    place = np.arange(PEAK[1] - 500, PEAK[1] + 500)
    predicted = model.predict([letters[place[0] : place[-1] + 1]])[0].reshape(1_000, -1, 2)
    expected = simulate_binding(letters)[place]
    figure, axes = plt.subplots(
        len(model.tracks) // 2, 1, sharex=True, figsize=(10, 6), layout="constrained"
    )
    for task, axis in enumerate(axes):
        for strand, sign in enumerate((1, -1)):
            label = ("simulated", "predicted") if sign > 0 else (None, None)
            axis.fill_between(place, sign * expected[:, task, strand], color="0.75", label=label[0])
            axis.plot(place, sign * predicted[:, task, strand], color="C3", lw=0.8, label=label[1])
        axis.set_title(model.tracks[2 * task].identifier[:-1], fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=7)
        axis.set_xlim(place[0], place[-1])
    axes[0].legend(fontsize=7, loc="upper right")
    axes[-1].set_xlabel(f"{PEAK[0]} (bp)", fontsize=8)
    figure.savefig(DEMO / "profiles.png", dpi=80)


if __name__ == "__main__":
    mpl.use("Agg")
    draw_tracks()
    draw_profiles()
