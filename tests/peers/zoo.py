"""Small networks of other projects with random weights, saved as those projects save them.

Peers are imported inside the functions, so this module can be imported without them. Running
statistics, gains and biases are random, too, so that no default of 0 or 1 hides a mistake.
"""

import os
import sys
import types
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor, nn

from goldens.common import one_hot_array

Coverage = npt.NDArray[np.float32]


@dataclass(frozen=True)
class Peer:
    """A network of another project.

    coverage: predicts windows, (windows, bins, tracks), with N encoded as in the original network.
    as_converted: the same with the peer's encoding of N, if that differs.
    """

    name: str
    architecture: str
    window: int
    module: nn.Module
    save: Callable[[Path], None]
    coverage: Callable[[Sequence[str]], Coverage]
    as_converted: Callable[[Sequence[str]], Coverage] | None = None
    species: str = "human"


def one_hot(sequences: Sequence[str], unknown: float = 0.0) -> Tensor:
    """Return one-hot (windows, length, 4); letters other than ACGT become `unknown`."""
    return torch.from_numpy(one_hot_array(sequences, unknown))


@torch.no_grad()
def randomise(module: nn.Module, seed: int = 1) -> nn.Module:
    """Give every weight and running statistic of `module` a random value, in place."""
    generator = torch.Generator().manual_seed(seed)

    def normal(weight: Tensor, scale: float) -> Tensor:
        return torch.randn(weight.shape, generator=generator) * scale

    for name, weight in module.named_parameters():
        if name.endswith(("rel_content_bias", "rel_pos_bias")):
            weight.copy_(normal(weight, 1))
        elif weight.ndim > 1:
            weight.copy_(normal(weight, weight[0].numel() ** -0.5))
        elif name.endswith("weight"):
            weight.copy_(1 + normal(weight, 0.3))
        else:
            weight.copy_(normal(weight, 0.3))
    for name, buffer in module.named_buffers():
        if name.endswith("running_mean"):
            buffer.copy_(normal(buffer, 0.5))
        elif name.endswith("running_var"):
            buffer.copy_(torch.rand(buffer.shape, generator=generator) * 1.7 + 0.3)
        elif name.endswith("num_batches_tracked"):
            buffer.fill_(5)
    return module.eval()


@torch.no_grad()
def shrink(module: nn.Module, count_head: str) -> None:
    """Lower the weights of a ReLU network so that logits stay within a few units; raise counts."""
    for name, weight in module.named_parameters():
        weight.mul_(0.7)
        if f".{count_head}." in f".{name}" and name.endswith("bias"):
            weight.fill_(6)


@contextmanager
def gamma_over_positions(*modules: Any) -> Iterator[None]:
    """Let Enformers divide gamma features by the maximum over positions, as DeepMind's does.

    enformer-pytorch and multimolecule divide by the maximum over the features. Only the axis of
    that one call is changed.
    """

    class Torch:
        def __getattr__(self, name: str) -> Any:
            return getattr(torch, name)

        def amax(self, x: Tensor, dim: int, keepdim: bool) -> Tensor:
            assert (dim, keepdim) == (-1, True)
            return torch.amax(x, dim=-2, keepdim=True)

    torch_modules = [module.torch for module in modules]
    for module in modules:
        module.torch = Torch()
    try:
        yield
    finally:
        for module, torch_module in zip(modules, torch_modules, strict=True):
            module.torch = torch_module


@torch.inference_mode()
def _run(forward: Any) -> Coverage:
    """Call `forward` without gradients; return its result as an array."""
    values: Coverage = forward().float().numpy()
    return values


# multimolecule: stems of five letters, tokens A 0, C 1, G 2, T 3, N 4


def _tokens(sequences: Sequence[str]) -> Tensor:
    rows = {letter: row for row, letter in enumerate("ACGT")}
    return torch.tensor([[rows.get(base, 4) for base in s.upper()] for s in sequences])


def _multimolecule(name: str, architecture: str, module: Any, window: int, seed: int) -> Peer:
    randomise(module, seed)

    def softplus(**inputs: Any) -> Coverage:
        return _run(lambda: module.postprocess(module(**inputs))[0])

    def coverage(sequences: Sequence[str]) -> Coverage:
        tokens = _tokens(sequences)
        return softplus(input_ids=tokens, attention_mask=(tokens < 4).long())

    def save(folder: Path) -> None:
        module.save_pretrained(folder)

    return Peer(
        name, architecture, window, module, save, coverage,
        lambda sequences: softplus(input_ids=_tokens(sequences)),
    )  # fmt: skip


BASENJI = {
    "sequence_length": 2048,
    "stem_channels": 6,
    "conv_tower_channels": [7, 9, 11],
    "blocks": {"num_blocks": 5, "kernel_size": 3, "bottleneck_size": 5},
    "crop_bins": 8,
    "head_hidden_size": 13,
    "num_labels": 5,
}


def mm_basenji(seed: int = 1, **sizes: Any) -> Peer:
    """multimolecule's Basenji2, tiny unless sizes are given."""
    from multimolecule import BasenjiConfig, BasenjiForTokenPrediction

    config = BasenjiConfig(**(sizes or BASENJI))
    module = BasenjiForTokenPrediction(config)
    return _multimolecule("multimolecule basenji", "basenji2", module, config.sequence_length, seed)


ENFORMER = {
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "attention_head_size": 5,
    "num_downsamples": 3,
    "dim_divisible_by": 2,
    "sequence_length": 512,
    "target_length": 40,
    "num_labels": 5,
}


def mm_enformer(seed: int = 1, **sizes: Any) -> Peer:
    """multimolecule's Enformer, tiny unless sizes are given."""
    from multimolecule import EnformerConfig, EnformerForTokenPrediction

    config = EnformerConfig(**(sizes or ENFORMER))
    module = EnformerForTokenPrediction(config)
    for table in (b for n, b in module.named_buffers() if n.endswith("gamma_position_basis")):
        if table.numel():  # one random table for all layers
            table.copy_(torch.rand(table.shape, generator=torch.Generator().manual_seed(seed)))
    peer = _multimolecule(
        "multimolecule enformer", "enformer", module, config.sequence_length, seed
    )
    return peer


BORZOI = {
    "sequence_length": 1024,
    "hidden_size": 12,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "attention_head_size": 5,
    "attention_value_size": 6,
    "num_rel_pos_features": 8,
    "stem_channels": 6,
    "conv_tower_channels": [8, 10],
    "head_hidden_size": 14,
    "target_length": 202,
    "num_labels": 6,
}


def mm_borzoi(seed: int = 1, **sizes: Any) -> Peer:
    """multimolecule's Borzoi, tiny unless sizes are given."""
    from multimolecule import BorzoiConfig, BorzoiForTokenPrediction

    config = BorzoiConfig(**(sizes or BORZOI))
    module = BorzoiForTokenPrediction(config)
    return Peer(
        **{
            **vars(
                _multimolecule(
                    "multimolecule borzoi", "borzoi", module, config.sequence_length, seed
                )
            ),
            "species": config.species,
        }
    )


def mm_bpnet(seed: int = 1, **sizes: Any) -> Peer:
    """multimolecule's BPNet, tiny unless sizes are given; the original has N as 0.25 of each."""
    from multimolecule.models.bpnet import BpNetConfig, BpNetForProfilePrediction

    tiny = {"hidden_size": 6, "num_dilated_layers": 3, "num_tasks": 3}
    module = randomise(BpNetForProfilePrediction(BpNetConfig(**(sizes or tiny))), seed)

    return _mm_profiles("bpnet", "bpnet", 1_000, module, unknown=0.25)


def mm_chrombpnet(seed: int = 1, **sizes: Any) -> Peer:
    """multimolecule's ChromBPNet, with the published depths and window."""
    from multimolecule.models.chrombpnet import ChromBpNetConfig, ChromBpNetForProfilePrediction

    config = ChromBpNetConfig(**(sizes or {"hidden_size": 8, "bias_hidden_size": 5}))
    module = randomise(ChromBpNetForProfilePrediction(config), seed)
    shrink(module, "count")
    return _mm_profiles("chrombpnet", "chrombpnet", 2_114, module)


def mm_procapnet(seed: int = 1, **sizes: Any) -> Peer:
    """multimolecule's ProCapNet, with the published depth and window."""
    from multimolecule.models.procapnet import ProCapNetConfig, ProCapNetForProfilePrediction

    config = ProCapNetConfig(**(sizes or {"hidden_size": 8}))
    module = randomise(ProCapNetForProfilePrediction(config), seed)
    shrink(module, "count")

    def reads(output: Any) -> Tensor:  # its own postprocess takes expm1 of the log counts
        shares = output.profile_logits.flatten(1).softmax(-1).view_as(output.profile_logits)
        return shares * output.count_logits.exp()[:, None]

    module.postprocess = reads
    return _mm_profiles("procapnet", "bpnetlite", 2_114, module)


def _mm_profiles(
    name: str, architecture: str, window: int, module: Any, unknown: float = 0.0
) -> Peer:
    """Return a network of multimolecule that predicts profiles; `unknown` is N in the original."""

    def predict(**inputs: Any) -> Coverage:
        return _run(lambda: module.postprocess(module(**inputs)))

    def coverage(sequences: Sequence[str]) -> Coverage:
        letters = one_hot(sequences, unknown)
        fifth = torch.zeros(*letters.shape[:2], 1)
        return predict(inputs_embeds=torch.cat([letters, fifth], -1))

    return Peer(
        f"multimolecule {name}", architecture, window, module, module.save_pretrained, coverage,
        lambda sequences: predict(input_ids=_tokens(sequences)),
    )  # fmt: skip


# The others


def ep_enformer(
    seed: int = 1, safetensors: bool = False, species: str = "human", **sizes: Any
) -> Peer:
    """enformer-pytorch, tiny unless sizes are given; 1,536 positions as its files imply.

    safetensors: whether each weight is saved under one name only, as in re-saved files.
    """
    from enformer_pytorch import Enformer
    from safetensors.torch import save_file

    tiny = {
        "dim": 12,
        "depth": 2,
        "heads": 2,
        "attn_dim_key": 5,
        "num_downsamples": 3,
        "dim_divisible_by": 2,
        "target_length": 40,
        "output_heads": {"human": 5, "mouse": 3},
    }
    module: Any = randomise(Enformer.from_hparams(**(sizes or tiny)), seed)
    window = 1536 * 2 ** (sizes or tiny).get("num_downsamples", 7)

    def coverage(sequences: Sequence[str]) -> Coverage:
        return _run(lambda: module(one_hot(sequences), head=species))

    def save(folder: Path) -> None:
        """Save as in the published repository; transformers 5 saves no weights with two names."""
        module.config.save_pretrained(folder)
        if safetensors:
            names = [name for name in module.state_dict() if name.startswith("_trunk.")]
            duplicates = set(names[::2]) | {_other_name(name) for name in names[1::2]}
            state = {n: v.clone() for n, v in module.state_dict().items() if n not in duplicates}
            save_file(state, folder / "model.safetensors")
        else:
            torch.save(module.state_dict(), folder / "pytorch_model.bin")

    return Peer(
        f"enformer-pytorch {species}", "enformer", window, module, save, coverage, species=species
    )


def _other_name(name: str) -> str:
    parts = {"1": "stem", "2": "conv_tower", "4": "transformer", "6": "final_pointwise"}
    _, number, remainder = name.split(".", 2)
    return f"{parts[number]}.{remainder}"


def bp_borzoi(seed: int = 1, species: str = "human", narrow: bool = True, **sizes: Any) -> Peer:
    """borzoi-pytorch. Its convolutions have fixed widths, which `narrow` makes smaller."""
    from borzoi_pytorch import Borzoi

    heads = {"enable_human_head": species == "human", "enable_mouse_head": species == "mouse"}
    tiny = {"dim": 12, "depth": 2, "heads": 2, "attn_dim_key": 5, "attn_dim_value": 6}
    tiny["bins_to_return"] = 6144
    module: Any = Borzoi.from_hparams(**(sizes or tiny), **heads)
    if narrow:
        _narrow(module, module.config.dim)
    randomise(module, seed)

    def coverage(sequences: Sequence[str]) -> Coverage:
        x = one_hot(sequences).transpose(1, 2)
        return _run(lambda: module(x, is_human=species == "human").transpose(1, 2))

    return Peer(
        f"borzoi-pytorch {species}", "borzoi", 524_288, module, module.save_pretrained, coverage,
        species=species,
    )  # fmt: skip


def _narrow(module: Any, dim: int) -> None:
    widths = [6, 7, 8, 9, 10, 11]
    module.conv_dna.conv_layer = nn.Conv1d(4, widths[0], 15, padding="same")
    blocks = [module.res_tower[2 * stage] for stage in range(5)]
    for block, width, width_out in zip(blocks, widths[:-1], widths[1:], strict=True):
        block.norm = nn.BatchNorm1d(width, eps=1e-3)
        block.conv_layer = nn.Conv1d(width, width_out, 5, padding="same")
    module.unet1[1].norm = nn.BatchNorm1d(widths[-1], eps=1e-3)
    module.unet1[1].conv_layer = nn.Conv1d(widths[-1], dim, 5, padding="same")
    module.horizontal_conv0.norm = nn.BatchNorm1d(widths[-1], eps=1e-3)
    module.horizontal_conv0.conv_layer = nn.Conv1d(widths[-1], dim, 1)
    module.final_joined_convs[0].conv_layer = nn.Conv1d(dim, 14, 1)
    for name, tracks in (("human_head", 5), ("mouse_head", 3)):
        if hasattr(module, name):
            setattr(module, name, nn.Conv1d(14, tracks, 1))


def lite_bpnet(seed: int = 1, controls: int = 0, layers: int = 3, filters: int = 6) -> Peer:
    """bpnet-lite's BPNet with a window of its default trimming. Coverage: softmax × exp(count)."""
    from bpnetlite.bpnet import BPNet, ControlWrapper

    module = BPNet(filters, layers, n_control_tracks=controls, verbose=False)
    randomise(module, seed)
    window = 1000 + 2 * module.trimming

    def coverage(sequences: Sequence[str]) -> Coverage:
        def forward() -> Tensor:
            profile, counts = ControlWrapper(module)(one_hot(sequences).transpose(1, 2))
            shares = profile.flatten(1).softmax(-1).view_as(profile)
            return (shares * counts.exp()[..., None]).transpose(1, 2)

        return _run(forward)

    def save(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), folder / "model.torch")

    return Peer("bpnet-lite", "bpnetlite", window, module, save, coverage)


def lite_chrombpnet(seed: int = 1) -> Peer:
    """bpnet-lite's ChromBPNet with the published depths and window."""
    from bpnetlite.bpnet import BPNet
    from bpnetlite.chrombpnet import ChromBPNet

    bias = BPNet(5, 4, n_outputs=1, n_control_tracks=0, trimming=77, verbose=False)
    accessibility = BPNet(8, 8, n_outputs=1, n_control_tracks=0, trimming=557, verbose=False)
    module = randomise(ChromBPNet(bias, accessibility), seed)
    shrink(module, "linear")

    def coverage(sequences: Sequence[str]) -> Coverage:
        def forward() -> Tensor:
            profile, counts = module(one_hot(sequences).transpose(1, 2))
            return (profile.softmax(-1) * counts.exp()[..., None]).transpose(1, 2)

        return _run(forward)

    def save(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        torch.save(module.state_dict(), folder / "model.torch")

    return Peer("bpnet-lite ChromBPNet", "chrombpnet", 2_114, module, save, coverage)


def cherimoya(
    seed: int = 1,
    groups: Sequence[int] = (1,),
    controls: int = 0,
    residual_scale: float = 0.15,
    filters: int = 8,
) -> Peer:
    """Cherimoya with the published depth and window; controls, if it has some, are zeros."""
    from cherimoya import Cherimoya, ControlWrapper

    module = Cherimoya(
        filters, 9, list(groups), controls, residual_scale=residual_scale, compile=False
    )
    randomise(module, seed)

    def coverage(sequences: Sequence[str]) -> Coverage:
        def forward() -> Tensor:
            profile, counts = ControlWrapper(module)(one_hot(sequences).transpose(1, 2))
            logits = profile.reshape(len(profile), len(groups), -1)  # one softmax per group
            shares = logits.softmax(-1) * counts.exp()[..., None]
            return shares.reshape(profile.shape).transpose(1, 2)

        return _run(forward)

    def save(folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        module.save(folder / "cherimoya.fold_0.torch")

    return Peer("cherimoya", "cherimoya", 2_114, module, save, coverage)


def flash_attention_on_cpu() -> None:
    """Make flash-attn's modules importable without its CUDA kernels and without Triton.

    Its attention module and rotary embedding run in their PyTorch variants; only the kernels are
    missing. flash-attn cannot be installed without a CUDA compiler. The environment variable
    FLASH_ATTN names the unpacked source archive of flash-attn 2.8.3.
    """
    package = types.ModuleType("flash_attn")  # flash_attn/__init__.py imports the kernels
    package.__path__ = [os.environ["FLASH_ATTN"] + "/flash_attn"]
    sys.modules["flash_attn"] = package
    kernel: Any = types.ModuleType("flash_attn.ops.triton.rotary")
    sys.modules["flash_attn.ops.triton.rotary"] = kernel
    for parent in ("flash_attn.ops", "flash_attn.ops.triton"):
        sys.modules[parent] = types.ModuleType(parent)
        sys.modules[parent].__path__ = []
    kernel.apply_rotary = None
    from flash_attn.layers import rotary
    from flash_attn.modules import mha

    def apply_rotary(x: Tensor, cos: Tensor, sin: Tensor, **options: Any) -> Tensor:
        rotated: Tensor = rotary.apply_rotary_emb_torch(
            x, cos[: x.shape[1]], sin[: x.shape[1]], options["interleaved"]
        )
        return x.copy_(rotated) if options.get("inplace") else rotated

    rotary.apply_rotary = apply_rotary

    class WithoutKernels(mha.MHA):  # type: ignore[misc]
        def __init__(self, *args: Any, **options: Any) -> None:
            super().__init__(*args, **{**options, "use_flash_attn": False})

    if mha.MHA.__name__ != "WithoutKernels":
        mha.MHA = WithoutKernels


def flashzoi(seed: int = 1, **sizes: Any) -> Peer:
    """borzoi-pytorch's Flashzoi with flash-attn's own attention; rotary channels are always 128."""
    flash_attention_on_cpu()
    small = {"dim": 512, "depth": 2, "heads": 4}
    return bp_borzoi(seed, bins_to_return=6144, flashed=True, **(sizes or small))


@torch.no_grad()
def small_flashzoi() -> Peer:
    """The smallest possible Flashzoi, with weights in steps that compress to 1 MB."""
    peer = flashzoi(dim=256, depth=1, heads=2)
    for weight in peer.module.parameters():
        weight.copy_((weight * 64).round() / 64)
    return peer
