"""Write the goldens that TensorFlow saves: Keras' Basenji2 and BPNet, and Sonnet's Enformer.

In an environment of its own, in the repository's root (after `make.py`):

    pip install tensorflow-cpu==2.15.1 dm-sonnet==2.0.2 "wrapt<1.15" "numpy<2" safetensors
    PYTHONPATH=tests python -m goldens.make_tensorflow

The Keras networks are built layer by layer in the order of calico/basenji `blocks.py` and
kundajelab/bpnet `layers.py`, `heads.py`, so Keras numbers the layers as in the published files.
The Sonnet modules hold the weights of the golden of enformer-pytorch under the attributes of
DeepMind's code. Their coverage is that golden's.
"""

import gzip
import json
import shutil

import numpy as np
import sonnet as snt
import tensorflow as tf
from safetensors.numpy import load

from goldens.common import GOLDENS_FOLDER, one_hot_array, randomise, windows, write

K = tf.keras.layers


def create_folder(name):
    """Create the empty folder of a golden."""
    shutil.rmtree(GOLDENS_FOLDER / name, ignore_errors=True)
    (GOLDENS_FOLDER / name).mkdir()
    tf.keras.backend.clear_session()
    return GOLDENS_FOLDER / name


# Basenji2


class GELU(K.Layer):
    """The layer that calico/basenji had until April 2022."""

    def call(self, x):
        return tf.keras.activations.sigmoid(1.702 * x) * x


BASENJI = {
    "seq_length": 1024,
    "activation": "gelu",
    "norm_type": "batch",
    "bn_momentum": 0.9,
    "trunk": [
        {"name": "conv_block", "filters": 6, "kernel_size": 15, "pool_size": 2},
        {"name": "conv_tower", "filters_init": 7, "filters_mult": 1.3, "kernel_size": 5,
         "pool_size": 2, "repeat": 2},
        {"name": "dilated_residual", "filters": 5, "rate_mult": 1.5, "repeat": 4, "dropout": 0.3,
         "round": True},
        {"name": "Cropping1D", "cropping": 10},
        {"name": "conv_block", "filters": 12, "dropout": 0.05},
    ],
    "head_human": {"name": "final", "units": 5, "activation": "softplus"},
}  # fmt: skip


def basenji(name, activation):
    """Write a Basenji2 with the layers of `BASENJI`."""
    folder = create_folder(name)

    def block(x, filters, kernel, dilation=1, pool=1, dropout=0.0):
        x = activation(x)
        x = K.Conv1D(filters, kernel, padding="same", use_bias=False, dilation_rate=dilation)(x)
        x = K.BatchNormalization(momentum=0.9)(x)
        x = K.Dropout(dropout)(x) if dropout else x
        return K.MaxPool1D(pool, padding="same")(x) if pool > 1 else x

    sequence = K.Input((1024, 4), name="sequence")
    x = block(sequence, 6, 15, pool=2)
    for width in (7, 9):
        x = block(x, width, 5, pool=2)
    for dilation in (1, 2, 3, 4):
        branch = block(block(x, 5, 3, dilation), 9, 1, dropout=0.3)
        x = K.Add()([x, branch])
    x = K.Cropping1D(10)(x)
    x = activation(block(x, 12, 1, dropout=0.05))
    model = tf.keras.Model(sequence, K.Dense(5, activation="softplus")(x))
    randomise(model, 3)
    model.save(folder / "model_human.h5", save_format="h5", include_optimizer=False)
    (folder / "params.json").write_text(json.dumps({"train": {}, "model": BASENJI}) + "\n")
    write(folder, 1024, coverage=model(one_hot_array(windows(1024, 1), 0.0)).numpy())


# BPNet


def bpnet(name):
    """Write a BPNet of two tasks and its branches for control tracks, numbered as by Keras 2.2."""
    folder = create_folder(name)
    filters, tasks, length = 8, ("Sox2", "Klf4"), 300
    sequence = K.Input((length, 4), name="seq")
    x = K.Conv1D(filters, 25, padding="same", activation="relu", name="conv1d_1")(sequence)
    for layer in (1, 2, 3):
        branch = K.Conv1D(
            filters, 3, padding="same", activation="relu", dilation_rate=2**layer,
            name=f"conv1d_{1 + layer}",
        )(x)  # fmt: skip
        x = K.Add()([x, branch])
    inputs, outputs = [sequence], []
    for index, task in enumerate(tasks):
        control = K.Input((length, 2), name=f"bias/{task}/profile")
        smooth = K.SeparableConv1D(
            1, 50, padding="same", use_bias=False, name=f"separable_conv1d_{1 + index}"
        )(control)
        bias = K.Conv1D(1, 1, use_bias=False, name=f"conv1d_{5 + index}")(
            K.Concatenate()([control, smooth])
        )
        profile = K.Conv2DTranspose(
            2, (25, 1), padding="same", name=f"conv2d_transpose_{1 + index}"
        )(K.Reshape((-1, 1, filters))(x))
        profile = K.Add()([K.Reshape((-1, 2))(profile), bias])
        total = K.Input((2,), name=f"bias/{task}/counts")
        counts = K.Dense(2, name=f"dense_{1 + 2 * index}")(K.GlobalAveragePooling1D()(x))
        counts = K.Add()([counts, K.Dense(1, use_bias=False, name=f"dense_{2 + 2 * index}")(total)])
        outputs.append(K.Activation("linear", name=f"{task}/profile")(profile))
        outputs.append(K.Activation("linear", name=f"{task}/counts")(counts))
        inputs += [control, total]
    model = tf.keras.Model(inputs, outputs)
    randomise(model, 4)
    model.save(folder / "bpnet.model.h5", save_format="h5", include_optimizer=False)
    zeros = [np.zeros((1, *tensor.shape[1:]), np.float32) for tensor in inputs[1:]]
    predictions = [
        value.numpy() for value in model([one_hot_array(windows(length, 1), 0.25), *zeros])
    ]
    profile = np.stack(predictions[::2], 2)  # (windows, length, tasks, strands)
    counts = np.stack(predictions[1::2], 1)
    probabilities = np.exp(profile - profile.max(1, keepdims=True))
    probabilities /= probabilities.sum(1, keepdims=True)
    coverage = (probabilities * np.exp(counts)[:, None]).reshape(1, length, -1)
    write(folder, length, coverage=coverage)


# Enformer


class Module(snt.Module):
    """Variables and modules under given names."""

    def __init__(self, **parts):
        super().__init__()
        for key, part in parts.items():
            setattr(self, key, part)


def variable(value):
    return tf.Variable(np.ascontiguousarray(value, np.float32))


def enformer(name):
    """Write the golden of enformer-pytorch as DeepMind's code would have saved its weights."""
    folder = create_folder(name)
    parts = {"1": "stem", "2": "conv_tower", "4": "transformer", "6": "final_pointwise"}
    content = gzip.decompress(
        (GOLDENS_FOLDER / "enformer_pytorch/model.safetensors.gz").read_bytes()
    )
    state = {}
    for key, value in load(content).items():
        if key.startswith("_trunk."):
            _, number, remainder = key.split(".", 2)
            key = f"{parts[number]}.{remainder}"
        state[key] = value

    def layers(*parts):
        return Module(_layers=list(parts))

    def conv(key):
        return Module(w=variable(state[key + ".weight"].transpose(2, 1, 0)),
                      b=variable(state[key + ".bias"]))  # fmt: skip

    def linear(key, bias=True):
        module = Module(w=variable(state[key + ".weight"].T))
        if bias:
            module.b = variable(state[key + ".bias"])
        return module

    def average(value):
        moving_average = snt.ExponentialMovingAverage(0.9)
        moving_average(value[None, None])
        moving_average.average.assign(value[None, None])
        return moving_average

    def batch_norm(key):
        return Module(
            scale=variable(state[key + ".weight"][None, None]),
            offset=variable(state[key + ".bias"][None, None]),
            moving_mean=average(state[key + ".running_mean"]),
            moving_variance=average(state[key + ".running_var"]),
        )

    def layer_norm(key):
        return Module(scale=variable(state[key + ".weight"]), offset=variable(state[key + ".bias"]))

    def block(key):
        return layers(batch_norm(f"{key}.0"), Module(), conv(f"{key}.2"))

    def pool(key):
        weight = state[f"{key}.to_attn_logits.weight"][:, :, 0, 0]
        return Module(_logit_linear=Module(w=variable(weight.T)))

    def attention(key):
        projections = {f"_{part}_layer": linear(f"{key}.to_{part}", False) for part in "qkv"}
        return Module(
            **projections,
            _r_k_layer=linear(f"{key}.to_rel_k", False),
            _embedding_layer=linear(f"{key}.to_out"),
            _r_w_bias=variable(state[f"{key}.rel_content_bias"]),
            _r_r_bias=variable(state[f"{key}.rel_pos_bias"]),
        )

    def residual(*parts):
        return Module(_module=layers(*parts))

    stem = layers(conv("stem.0"), Module(_module=block("stem.1.fn")), pool("stem.2"))
    tower = layers(*(
        layers(block(f"conv_tower.{i}.0"), Module(_module=block(f"conv_tower.{i}.1.fn")),
               pool(f"conv_tower.{i}.2"))
        for i in range(2)
    ))  # fmt: skip
    transformer = layers(*(
        layers(
            residual(layer_norm(f"transformer.{i}.0.fn.0"), attention(f"transformer.{i}.0.fn.1")),
            residual(layer_norm(f"transformer.{i}.1.fn.0"), linear(f"transformer.{i}.1.fn.1"),
                     Module(), Module(), linear(f"transformer.{i}.1.fn.4")),
        )
        for i in range(2)
    ))  # fmt: skip
    final = layers(block("final_pointwise.1"), Module(), Module())
    trunk = layers(stem, tower, transformer, Module(), final)
    heads = {species: layers(linear(f"_heads.{species}.0")) for species in ("human", "mouse")}
    module = Module(_trunk=trunk, _heads=heads)
    tf.train.Checkpoint(module=module).write(str(folder / "enformer"))
    (folder / "checkpoint").unlink(missing_ok=True)
    golden = np.load(GOLDENS_FOLDER / "enformer_pytorch" / "golden.npz")
    assert golden["step"] == 1
    write(folder, int(golden["length"]), coverage=golden["coverage"])


if __name__ == "__main__":
    basenji("keras_basenji_2020", lambda x: GELU()(x))
    basenji("keras_basenji_2022", lambda x: tf.nn.gelu(x, approximate=True))
    bpnet("keras_bpnet")
    enformer("sonnet_enformer")
