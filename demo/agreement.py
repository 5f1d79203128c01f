"""Draw the predictions of the demo's networks over the simulation, for demo/README.md.

agreement.png: Borzoi's tracks, 60 kb. profiles.png: BPNet's profiles around one peak.
"""

from pathlib import Path

import matplotlib as mpl
import numpy as np
import numpy.typing as npt
import pyBigWig

from demo.simulate import simulate_binding
from seqcov_models import load_model, predict_region

DEMO = Path(__file__).resolve().parent
CONTIG, START, END, BIN = "chrB", 120_000, 180_000, 32
PEAK = "chrC", 28_868


def read_bins(path: Path) -> npt.NDArray[np.float32]:
    """Return the simulated coverage of `CONTIG`, one value per bin."""
    with pyBigWig.open(str(path)) as file:
        values = file.values(CONTIG, 0, file.chroms(CONTIG), numpy=True)
    return np.nan_to_num(np.asarray(values, np.float32)[::BIN])


def draw_tracks() -> None:
    """Predict the region as the workflow does, and draw all tracks."""
    from matplotlib import pyplot as plt

    model = load_model("borzoi", DEMO / "borzoi")
    prediction = predict_region(model, DEMO / "genome.fa", f"{CONTIG}:{START + 1}-{END}")
    bins = slice(prediction.start // BIN, prediction.end // BIN)
    files = [DEMO / "simulated" / f"{track.identifier}.bw" for track in prediction.tracks]
    simulated = np.stack([read_bins(file)[bins] for file in files], 1)
    positions = np.arange(prediction.start, prediction.end, BIN) / 1000
    figure, axes = plt.subplots(
        len(prediction.tracks), 1, sharex=True, figsize=(10, 9), layout="constrained"
    )
    for axis, track, predicted, expected in zip(
        axes, prediction.tracks, prediction.values.T, simulated.T, strict=True
    ):
        axis.fill_between(positions, expected, step="mid", color="0.75", label="simulated")
        axis.plot(
            positions, predicted, drawstyle="steps-mid", color="C3", lw=0.8, label="predicted"
        )
        axis.set_title(f"{track.identifier}  {track.description}", fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=7)
        axis.set_xlim(positions[0], positions[-1])
    axes[0].legend(fontsize=7, loc="upper right")
    axes[-1].set_xlabel(f"{CONTIG} (kb)", fontsize=8)
    figure.savefig(DEMO / "agreement.png", dpi=80)


def draw_profiles() -> None:
    """Predict one window; draw strand + of each factor upwards and strand - downwards."""
    from matplotlib import pyplot as plt

    model = load_model("bpnet", DEMO / "bpnet")
    records = (DEMO / "genome.fa").read_text().split(">")
    (text,) = (record for record in records if record.startswith(f"{PEAK[0]}\n"))
    letters = "".join(text.split()[1:])
    positions = np.arange(PEAK[1] - 500, PEAK[1] + 500)
    predicted = model.predict([letters[positions[0] : positions[-1] + 1]])[0].reshape(1_000, -1, 2)
    expected = simulate_binding(letters)[positions]
    figure, axes = plt.subplots(
        len(model.tracks) // 2, 1, sharex=True, figsize=(10, 6), layout="constrained"
    )
    for task, axis in enumerate(axes):
        for strand, sign in enumerate((1, -1)):
            label = ("simulated", "predicted") if sign > 0 else (None, None)
            axis.fill_between(
                positions, sign * expected[:, task, strand], color="0.75", label=label[0]
            )
            axis.plot(
                positions, sign * predicted[:, task, strand], color="C3", lw=0.8, label=label[1]
            )
        axis.set_title(model.tracks[2 * task].identifier[:-1], fontsize=8, loc="left", pad=2)
        axis.tick_params(labelsize=7)
        axis.set_xlim(positions[0], positions[-1])
    axes[0].legend(fontsize=7, loc="upper right")
    axes[-1].set_xlabel(f"{PEAK[0]} (bp)", fontsize=8)
    figure.savefig(DEMO / "profiles.png", dpi=80)


if __name__ == "__main__":
    mpl.use("Agg")
    draw_tracks()
    draw_profiles()
