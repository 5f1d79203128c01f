"""Sequences of the goldens, and how a golden is written and unpacked; needs only NumPy."""

import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

GOLDENS_FOLDER = Path(__file__).parent


def windows(length: int, count: int = 2, seed: int = 7) -> list[str]:
    """Draw sequences with lower case, N alone and in runs, and other IUPAC letters.

    They are the same with every version of NumPy, so goldens do not hold them.
    """
    rng = np.random.RandomState(seed)
    letters = np.array(list("ACGT"))[rng.randint(0, 4, (count, length))]
    rare, lower_case = rng.random_sample((2, count, length))
    letters[rare < 0.03] = "N"
    letters[rare > 0.98] = "R"
    letters[:, length // 3 : length // 3 + length // 16] = "N"
    letters = np.where(lower_case < 0.4, np.char.lower(letters), letters)
    return ["".join(row) for row in letters]


def one_hot_array(sequences: Sequence[str], unknown: float) -> npt.NDArray[np.float32]:
    """Return one-hot (windows, length, 4); letters other than ACGT become `unknown`."""
    rows = {letter: row for row, letter in enumerate("ACGT")}
    table = np.vstack([np.eye(4), np.full(4, unknown)]).astype(np.float32)
    return np.stack([table[[rows.get(base, 4) for base in s.upper()]] for s in sequences])


def randomise(model: Any, seed: int) -> None:
    """Give every weight of a Keras model a random value of a trained weight's size."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        if "variance" in weight.name:
            value = rng.uniform(0.3, 2, shape)
        elif "r_w_bias" in weight.name or "r_r_bias" in weight.name:  # of relative attention
            value = rng.normal(0, 1, shape)
        elif len(shape) > 1:
            value = rng.normal(0, np.prod(shape[:-1]) ** -0.5, shape)
        else:
            value = rng.normal(float("gamma" in weight.name), 0.3, shape)
        weight.assign(value.astype(np.float32))


def write(folder: Path, length: int, **outputs: npt.NDArray[np.float32]) -> None:
    """Write golden.npz into a checkpoint's folder and compress the files in it.

    outputs: (windows, bins, …) for `windows(length, 1)`; about 128 bins are stored.
    """
    step = -(-outputs["coverage"].shape[1] // 128)
    arrays = {name: value[:, ::step] for name, value in outputs.items()}
    for file in list(folder.iterdir()):
        content = gzip.compress(file.read_bytes(), mtime=0)
        file.with_name(file.name + ".gz").write_bytes(content)
        file.unlink()
    np.savez_compressed(folder / "golden.npz", length=length, step=step, **arrays)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name}: {size:,} bytes, { ({n: v.shape for n, v in arrays.items()}) }")


def unpack(name: str, folder: Path) -> Path:
    """Decompress the golden's checkpoint into `folder`; return `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (GOLDENS_FOLDER / name).glob("*.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return folder
