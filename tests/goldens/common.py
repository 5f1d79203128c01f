"""What goldens are made with and compared on: needs NumPy alone."""

import gzip
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

HERE = Path(__file__).parent


def windows(length: int, count: int = 2, seed: int = 7) -> list[str]:
    """Sequences with what real ones have: lower case, N alone and in runs, other IUPAC letters.

    The same ones with every version of NumPy, so that goldens need not hold them.
    """
    rng = np.random.RandomState(seed)
    letters = np.array(list("ACGT"))[rng.randint(0, 4, (count, length))]
    some, lower = rng.random_sample((2, count, length))
    letters[some < 0.03] = "N"
    letters[some > 0.98] = "R"
    letters[:, length // 3 : length // 3 + length // 16] = "N"
    letters = np.where(lower < 0.4, np.char.lower(letters), letters)
    return ["".join(row) for row in letters]


def one_hot_array(sequences: Sequence[str], unknown: float) -> npt.NDArray[np.float32]:
    """(windows, length, 4), any other letter than ACGT as `unknown` in all four channels."""
    rows = {letter: row for row, letter in enumerate("ACGT")}
    table = np.vstack([np.eye(4), np.full(4, unknown)]).astype(np.float32)
    return np.stack([table[[rows.get(base, 4) for base in s.upper()]] for s in sequences])


def write(folder: Path, length: int, **outputs: npt.NDArray[np.float32]) -> None:
    """Write golden.npz into a checkpoint's folder and compress the files that are there.

    outputs: (windows, bins, …) for `windows(length, 1)`; about 128 of the bins are kept.
    """
    step = -(-outputs["coverage"].shape[1] // 128)
    kept = {name: value[:, ::step] for name, value in outputs.items()}
    for file in list(folder.iterdir()):
        packed = gzip.compress(file.read_bytes(), mtime=0)
        file.with_name(file.name + ".gz").write_bytes(packed)
        file.unlink()
    np.savez_compressed(folder / "golden.npz", length=length, step=step, **kept)
    size = sum(file.stat().st_size for file in folder.iterdir())
    print(f"{folder.name}: {size:,} bytes, { ({n: v.shape for n, v in kept.items()}) }")


def unpacked(name: str, folder: Path) -> Path:
    """The golden's checkpoint, decompressed into `folder`, which is returned."""
    folder.mkdir(parents=True, exist_ok=True)
    for file in (HERE / name).glob("*.gz"):
        (folder / file.stem).write_bytes(gzip.decompress(file.read_bytes()))
    return folder
