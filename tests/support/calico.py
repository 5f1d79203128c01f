"""A tiny Borzoi as calico's code would save it."""

import json
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
import numpy.typing as npt

Weights = dict[str, npt.NDArray[np.float32]]
"""Arrays of a Keras file by 'layer/variable', in Keras' layout."""


@dataclass(frozen=True)
class Tiny:
    """Sizes of a Borzoi of a few thousand weights; all sizes differ from each other."""

    length: int = 512
    stem: tuple[int, int] = (6, 5)
    tower: tuple[int, ...] = (8, 10, 12)
    tower_kernel: int = 3
    blocks: int = 2
    heads: int = 2
    key: int = 5
    features: int = 8
    upsamples: int = 2
    upsample_kernel: int = 3
    upsample_conv: bool = True
    crop: int = 5
    nac: int = 14
    tracks: int = 7
    expansion: float = 2.0

    @property
    def hidden(self) -> int:
        return self.tower[-1]

    @property
    def positions(self) -> int:
        return self.length // 2 ** (1 + len(self.tower))

    @property
    def bins(self) -> int:
        return self.positions * 2**self.upsamples - 2 * self.crop

    def params(self) -> dict[str, dict[str, object]]:
        """Return the params.json of this network."""
        growth = self.tower[-1] - self.tower[-2]
        tower = {"filters_init": self.tower[0], "filters_end": self.tower[-1]}
        attention = {"key_size": self.key, "heads": self.heads, "repeat": self.blocks}
        trunk: list[dict[str, object]] = [
            {"name": "conv_dna", "filters": self.stem[0], "kernel_size": self.stem[1]}
            | {"norm_type": None, "activation": "linear", "pool_size": 2},
            {"name": "res_tower", "kernel_size": self.tower_kernel, "repeat": len(self.tower)}
            | {"divisible_by": growth, "num_convs": 1, "pool_size": 2, **tower},
            {"name": "transformer_tower", "num_position_features": self.features, **attention}
            | ({} if self.expansion == 2 else {"dense_expansion": self.expansion}),
        ]
        for _ in range(self.upsamples):
            trunk.append(
                {"name": "unet_conv", "kernel_size": self.upsample_kernel}
                | {"upsample_conv": self.upsample_conv}
            )
        trunk.append({"name": "Cropping1D", "cropping": self.crop})
        if self.nac:
            trunk.append({"name": "conv_nac", "filters": self.nac})
        head = {"name": "final", "units": self.tracks, "activation": "softplus"}
        model = {"seq_length": self.length, "activation": "gelu", "trunk": trunk}
        return {"train": {}, "model": {**model, "head_human": head}}


def draw_keras_weights(tiny: Tiny, seed: int = 1) -> Weights:
    """Draw weights of `tiny`, named as Keras numbers its layers.

    Running statistics, gains and biases are random, too, and not the 0 or 1 of a new network.
    """
    rng = np.random.default_rng(seed)
    weights: Weights = {}
    counts: dict[str, int] = {}

    def name(kind: str) -> str:
        number = counts.get(kind, 0)
        counts[kind] = number + 1
        return f"{kind}_{number}" if number else kind

    def normal(*shape: int, scale: float) -> npt.NDArray[np.float32]:
        return rng.normal(0, scale, shape).astype(np.float32)

    def dense(kind: str, *kernel: int) -> None:
        layer = name(kind)
        weights[f"{layer}/kernel"] = normal(*kernel, scale=float(np.prod(kernel[:-1]) ** -0.5))
        weights[f"{layer}/bias"] = normal(kernel[-1], scale=0.3)

    def norm(width: int) -> None:
        layer = name("batch_normalization")
        weights[f"{layer}/gamma"] = 1 + normal(width, scale=0.3)
        weights[f"{layer}/beta"] = normal(width, scale=0.3)
        weights[f"{layer}/moving_mean"] = normal(width, scale=0.5)
        weights[f"{layer}/moving_variance"] = rng.uniform(0.3, 2, width).astype(np.float32)

    def layer_norm(width: int) -> None:
        layer = name("layer_normalization")
        weights[f"{layer}/gamma"] = 1 + normal(width, scale=0.3)
        weights[f"{layer}/beta"] = normal(width, scale=0.3)

    dense("conv1d", tiny.stem[1], 4, tiny.stem[0])
    width = tiny.stem[0]
    for width_out in tiny.tower:
        norm(width)
        dense("conv1d", tiny.tower_kernel, width, width_out)
        width = width_out
    for _ in range(tiny.blocks):
        layer_norm(width)
        layer, keys = name("multihead_attention"), tiny.heads * tiny.key
        for bias in ("r_w_bias", "r_r_bias"):
            weights[f"{layer}/{bias}"] = normal(1, tiny.heads, 1, tiny.key, scale=1)
        for part, shape in (
            ("q_layer", (width, keys)),
            ("k_layer", (width, keys)),
            ("v_layer", (width, width)),
            ("r_k_layer", (tiny.features, keys)),
            ("embedding_layer", (width, width)),
        ):
            weights[f"{layer}/{part}/kernel"] = normal(*shape, scale=shape[0] ** -0.5)
        weights[f"{layer}/embedding_layer/bias"] = normal(width, scale=0.3)
        layer_norm(width)
        dense("dense", width, int(tiny.expansion * width))
        dense("dense", int(tiny.expansion * width), width)
    for step in range(tiny.upsamples):
        skip = tiny.tower[-1 - step]
        norm(width)
        norm(skip)
        if tiny.upsample_conv:
            dense("dense", width, width)
        dense("dense", skip, width)
        layer = name("separable_conv1d")
        kernel = normal(tiny.upsample_kernel, width, 1, scale=0.6)
        weights[f"{layer}/depthwise_kernel"] = kernel
        weights[f"{layer}/pointwise_kernel"] = normal(1, width, width, scale=width**-0.5)
        weights[f"{layer}/bias"] = normal(width, scale=0.3)
    if tiny.nac:
        norm(width)
        dense("conv1d", 1, width, tiny.nac)
    dense("dense", tiny.nac or width, tiny.tracks)
    return weights


def write_calico(folder: Path, tiny: Tiny, weights: Weights) -> Path:
    """Write a checkpoint folder: params.json, model.h5 (the newer layout) and targets.txt."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "params.json").write_text(json.dumps(tiny.params()))
    with h5py.File(folder / "model.h5", "w") as file:
        for name, value in weights.items():
            layer = name.partition("/")[0]
            file[f"model_weights/{layer}/{name}:0"] = value
    rows = [f"{row}\tid{row}\tASSAY:track {row}\n" for row in range(tiny.tracks)]
    (folder / "targets.txt").write_text("\tidentifier\tdescription\n" + "".join(rows))
    return folder


PAIRS = [1, 0, 2, 4, 3, 5, 6]
"""Row of the other strand of each track of `write_stranded_fold`."""


def write_stranded_fold(path: Path, seed: int) -> Path:
    """Write a fold of `Tiny()` whose track table has strand pairs; return its folder."""
    tiny = Tiny()
    write_calico(path, tiny, draw_keras_weights(tiny, seed))
    rows = ["\tidentifier\tscale\tclip_soft\tsum_stat\tstrand_pair\tdescription"]
    for row, pair in enumerate(PAIRS):
        sign = "" if pair == row else "+-"[pair < row]
        rows.append(f"{row}\tid{row}{sign}\t0.5\t2\tsum_sqrt\t{pair}\tRNA:track {row}")
    (path / "targets.txt").write_text("\n".join(rows) + "\n")
    return path
