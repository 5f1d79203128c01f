"""The layers of the networks in plain NumPy: float64, one window, from their authors' formulas.

Arrays are (length, channels). Weights are a network's state in float64, so that only the arithmetic
can differ. Names of layers are prefixes into that state.
"""

import itertools
import math
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

Array = npt.NDArray[np.float64]
Weights = dict[str, Array]
Network = TypeVar("Network", bound=nn.Module)

TOLERANCE = 1e-5  # of the range of the expected values: the project's tolerance
ROUNDING = 1e-6  # of the range: between two orders of the same sums in float32


def difference(values: Any, expected: Any) -> float:
    """Return the largest difference as a share of the range of the expected values."""
    values, expected = np.asarray(values, np.float64), np.asarray(expected, np.float64)
    assert values.shape == expected.shape
    return float(np.abs(values - expected).max() / np.ptp(expected))


def randomise(network: Network, seed: int = 1) -> Network:
    """Return `network` in evaluation mode with random weights, statistics, gains and biases."""
    draw = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for name, value in network.state_dict().items():
            if name.endswith("running_var"):
                value.uniform_(0.3, 2, generator=draw)
            elif name.endswith("running_mean"):
                value.normal_(0, 0.5, generator=draw)
            elif value.dim() == 1:
                gain = float("norm" in name and name.endswith("weight"))
                value.normal_(gain, 0.3, generator=draw)
            elif value.dim() > 1:
                value.normal_(0, value[0].numel() ** -0.5, generator=draw)
    return network.eval()


def read_weights(network: nn.Module) -> Weights:
    """Return the state of a network in float64."""
    return {name: value.double().numpy() for name, value in network.state_dict().items()}


def random_codes(length: int, seed: int = 1) -> npt.NDArray[np.uint8]:
    """Return random codes, some of them unknown bases."""
    return np.random.default_rng(seed).choice(5, length, p=[0.22] * 4 + [0.12]).astype(np.uint8)


def one_hot(codes: npt.NDArray[np.uint8], n_encoding: str) -> Array:
    """Encode codes (length,) as one-hot (length, 4), or (length, 5) for multimolecule."""
    rows = np.zeros((len(codes), 5 if n_encoding == "multimolecule" else 4))
    for row, code in enumerate(codes):
        if code < 4 or n_encoding == "multimolecule":
            rows[row, code] = 1
        elif n_encoding == "uniform":
            rows[row] = 0.25
    return rows


ACTIVATIONS: dict[str, Callable[[Array], Array]] = {
    "gelu_new": lambda x: 0.5 * x * (1 + np.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3))),
    "quick_gelu": lambda x: x / (1 + np.exp(-1.702 * x)),
    "gelu": lambda x: x * 0.5 * (1 + np.vectorize(math.erf)(x / math.sqrt(2))),
    "relu": lambda x: np.maximum(x, 0),
}


def softplus(x: Array) -> Array:
    result: Array = np.logaddexp(0, x)
    return result


def softmax(x: Array, axis: int) -> Array:
    odds = np.exp(x - x.max(axis, keepdims=True))
    result: Array = odds / odds.sum(axis, keepdims=True)
    return result


def conv(w: Weights, name: str, x: Array, dilation: int = 1) -> Array:
    """Apply a convolution that keeps the length, tap by tap; the weight is (out, in, kernel)."""
    kernel = w[f"{name}.weight"]
    half = kernel.shape[2] // 2
    padded = np.pad(x, ((half * dilation, half * dilation), (0, 0)))
    result = np.zeros((len(x), len(kernel))) + w.get(f"{name}.bias", np.zeros(()))
    for offset in range(kernel.shape[2]):
        result += padded[offset * dilation : offset * dilation + len(x)] @ kernel[:, :, offset].T
    return result


def dense(w: Weights, name: str, x: Array) -> Array:
    result: Array = x @ w[f"{name}.weight"].T + w.get(f"{name}.bias", np.zeros(()))
    return result


def batch_norm(w: Weights, name: str, x: Array, eps: float) -> Array:
    scaled = (x - w[f"{name}.running_mean"]) / np.sqrt(w[f"{name}.running_var"] + eps)
    result: Array = scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
    return result


def layer_norm(w: Weights, name: str, x: Array, eps: float) -> Array:
    centred = x - x.mean(1, keepdims=True)
    scaled = centred / np.sqrt((centred**2).mean(1, keepdims=True) + eps)
    result: Array = scaled * w[f"{name}.weight"] + w[f"{name}.bias"]
    return result


def max_pool(x: Array, size: int = 2) -> Array:
    result: Array = x.reshape(len(x) // size, size, -1).max(1)
    return result


def relative_attention(w: Weights, name: str, x: Array, positions: Array, heads: int) -> Array:
    """Apply attention over distances key − query; both biases are added to the scaled query."""
    length = len(x)
    key = len(w[f"{name}.to_q.weight"]) // heads
    value = len(w[f"{name}.to_v.weight"]) // heads
    q = dense(w, f"{name}.to_q", x) * key**-0.5
    k, v = dense(w, f"{name}.to_k", x), dense(w, f"{name}.to_v", x)
    r = dense(w, f"{name}.to_rel_k", positions)
    outputs = np.zeros((length, heads * value))
    for head in range(heads):
        keys, columns = slice(head * key, (head + 1) * key), slice(head * value, (head + 1) * value)
        content = w[f"{name}.rel_content_bias"][0, head, 0]
        position = w[f"{name}.rel_pos_bias"][0, head, 0]
        for i in range(length):
            rows = [length - 1 + (j - i) for j in range(length)]
            logits = k[:, keys] @ (q[i, keys] + content) + r[rows, keys] @ (q[i, keys] + position)
            outputs[i, columns] = softmax(logits, 0) @ v[:, columns]
    return dense(w, f"{name}.to_out", outputs)


def transformer_block(
    w: Weights, name: str, x: Array, eps: float, attention: Callable[[str, Array], Array]
) -> Array:
    x = x + attention(f"{name}.attention", layer_norm(w, f"{name}.attention_norm", x, eps))
    intermediate = dense(w, f"{name}.ffn_in", layer_norm(w, f"{name}.ffn_norm", x, eps))
    result: Array = x + dense(w, f"{name}.ffn_out", np.maximum(intermediate, 0))
    return result


def indices(w: Weights, name: str) -> Iterator[str]:
    """Yield the existing layers `name`.0, `name`.1, …"""
    for number in itertools.count():
        if not any(key.startswith(f"{name}.{number}.") for key in w):
            return
        yield f"{name}.{number}"


def stack(results: Sequence[Array]) -> Array:
    result: Array = np.stack(results)
    return result


def predict(model: Any, codes: npt.NDArray[Any], **options: Any) -> Array:
    """Predict the coverage (windows, bins, tracks) of codes (windows, length)."""
    with torch.inference_mode():
        output = model(torch.from_numpy(codes), **options)
        result: Array = model.postprocess(output)[0].double().numpy()
    return result
