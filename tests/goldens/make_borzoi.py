"""Write the goldens of Borzoi's relatives: small networks of Keras layers with random weights.

In an environment of its own, in the repository's root:

    pip install tensorflow-cpu==2.15.1 "numpy<2"
    PYTHONPATH=tests python -m goldens.make_borzoi

The layers are those of Borzoi Prime and of Borzuki's micro networks (calico/borzoi-paper
`extensions/`), in the order in which calico/baskerville creates them: Keras then numbers them as in
the published files. baskerville itself is not on PyPI. The attention is written from its paper's
formulas, with the shift of Transformer-XL.
"""

import json
import shutil

import numpy as np
import tensorflow as tf

from goldens.common import GOLDENS_FOLDER, one_hot_array, randomise, windows, write

K = tf.keras.layers
LENGTH = 1024

PRIME = [
    {"name": "conv_dna", "filters": 6, "kernel_size": 15, "norm_type": None,
     "activation": "linear", "pool_size": 2},
    {"name": "res_tower", "filters_init": 8, "filters_end": 14, "divisible_by": 2,
     "kernel_size": 5, "num_convs": 1, "pool_size": 2, "repeat": 4},
    {"name": "transformer_tower", "key_size": 5, "heads": 2, "num_position_features": 8,
     "dropout": 0.2, "mha_l2_scale": 1e-8, "l2_scale": 1e-8, "kernel_initializer": "he_normal",
     "qkv_width": 1, "repeat": 2},
    *[{"name": "unet_conv", "kernel_size": 3, "upsample_conv": True}] * 3,
    {"name": "Cropping1D", "cropping": 20},
]  # fmt: skip
MICRO = [
    {"name": "conv_dna", "filters": 6, "kernel_size": 11, "norm_type": None,
     "activation": "linear", "pool_size": 2},
    {"name": "res_tower", "filters_init": 6, "filters_end": 10, "divisible_by": 2,
     "kernel_size": 5, "num_convs": 1, "pool_size": 2, "repeat": 3},
    {"name": "transformer_tower", "dense_expansion": 1.5, "key_size": 3, "heads": 2,
     "num_position_features": 8, "dropout": 0.1, "attention_dropout": 0.01, "mha_l2_scale": 1e-8,
     "l2_scale": 1e-8, "kernel_initializer": "he_normal", "repeat": 2},
    *[{"name": "unet_conv", "kernel_size": 3}] * 2,
]  # fmt: skip


class MultiheadAttention(K.Layer):
    """Attention with central-mask features of the distance, key minus query."""

    def __init__(self, width, heads, key, features, **settings):
        super().__init__(**settings)
        self.heads, self.key, self.features = heads, key, features
        for name, size in (("q", heads * key), ("k", heads * key), ("v", width)):
            setattr(self, name, K.Dense(size, use_bias=False, name=f"{name}_layer"))
        self.embedding = K.Dense(width, name="embedding_layer")
        self.r_k = K.Dense(heads * key, use_bias=False, name="r_k_layer")
        size = (1, heads, 1, key)
        self.r_w_bias = self.add_weight(f"{self.name}/r_w_bias", size)
        self.r_r_bias = self.add_weight(f"{self.name}/r_r_bias", size)

    def split(self, x):
        """Return (batch, positions, heads × size) as (batch, heads, positions, size)."""
        return tf.stack(tf.split(x, self.heads, -1), 1)

    def encode_distances(self, length):
        """Return the features of the distances 1 - length … length - 1."""
        distances = np.arange(1 - length, length)
        half = self.features // 2
        widths = np.power(length + 1, np.arange(1, half + 1) / half) - 1
        masks = (widths > np.abs(distances)[:, None]).astype(np.float32)
        return np.concatenate([masks, np.sign(distances)[:, None] * masks], 1)[None]

    def call(self, x):
        length = x.shape[1]
        query = self.split(self.q(x)) / np.sqrt(self.key)
        relative = self.split(self.r_k(tf.constant(self.encode_distances(length), tf.float32)))
        logits = tf.matmul(query + self.r_r_bias, relative, transpose_b=True)
        # Row i shall begin at the distance -i: with one column more, rows of another length do
        logits = tf.pad(logits, ((0, 0), (0, 0), (0, 0), (1, 0)))
        logits = tf.reshape(logits, (-1, self.heads, 2 * length, length))[:, :, 1:]
        logits = tf.reshape(logits, (-1, self.heads, length, 2 * length - 1))[..., :length]
        logits += tf.matmul(query + self.r_w_bias, self.split(self.k(x)), transpose_b=True)
        values = tf.matmul(tf.nn.softmax(logits), self.split(self.v(x)))
        return self.embedding(tf.concat(tf.unstack(values, self.heads, 1), -1))


def gelu(x):
    return tf.nn.gelu(x, approximate=True)


def normalise(x):
    return gelu(K.BatchNormalization(momentum=0.9)(x))


def tower_widths(layer):
    """Return the channels of a tower's stages."""
    first, last, unit = (layer[key] for key in ("filters_init", "filters_end", "divisible_by"))
    widths = np.geomspace(first, last, layer["repeat"])
    return [int(np.round(width / unit) * unit) for width in widths]


def transform(x, layer):
    """Apply a block of the transformer."""
    width, dropout = x.shape[-1], layer["dropout"]
    attention = MultiheadAttention(
        width, layer["heads"], layer["key_size"], layer["num_position_features"]
    )
    x = K.Add()([x, K.Dropout(dropout)(attention(K.LayerNormalization()(x)))])
    hidden = K.Dense(int(layer.get("dense_expansion", 2.0) * width))(K.LayerNormalization()(x))
    return K.Add()([x, K.Dropout(dropout)(K.Dense(width)(tf.nn.relu(K.Dropout(dropout)(hidden))))])


def upsample(x, skip, layer):
    """Apply a step of the U-net. Both are normalised before either is made dense."""
    width = x.shape[-1]
    x, skip = K.BatchNormalization(momentum=0.9)(x), K.BatchNormalization(momentum=0.9)(skip)
    x, skip = gelu(x), gelu(skip)
    x = K.Dense(width)(x) if layer.get("upsample_conv") else x
    x = K.Add()([K.UpSampling1D(2)(x), K.Dense(width)(skip)])
    return K.SeparableConv1D(width, layer["kernel_size"], padding="same")(x)


def build(trunk, tracks):
    """Return the network of a params.json."""
    sequence = x = K.Input((LENGTH, 4), name="sequence")
    skips = []
    for layer in trunk:
        match layer["name"]:
            case "conv_dna":
                x = K.Conv1D(layer["filters"], layer["kernel_size"], padding="same")(x)
                x = K.MaxPool1D(2, padding="same")(x)
            case "res_tower":
                for width in tower_widths(layer):
                    x = K.Conv1D(width, layer["kernel_size"], padding="same")(normalise(x))
                    skips.append(x)
                    x = K.MaxPool1D(2, padding="same")(x)
            case "transformer_tower":
                for _ in range(layer["repeat"]):
                    x = transform(x, layer)
            case "unet_conv":
                x = upsample(x, skips.pop(), layer)
            case "Cropping1D":
                x = K.Cropping1D(layer["cropping"])(x)
    x = gelu(x)
    heads = [K.Dense(count, activation="softplus")(x) for count in tracks.values()]
    return tf.keras.Model(sequence, heads[0])  # baskerville saves a file per head


def borzoi(name, trunk, seed, **tracks):
    """Write a golden of the network. tracks: number of tracks by species."""
    folder = GOLDENS_FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    tf.keras.backend.clear_session()
    model = build(trunk, tracks)
    randomise(model, seed)
    model.save(folder / "model0_best.h5", save_format="h5", include_optimizer=False)
    heads = {
        f"head_{species}": {"name": "final", "units": count, "activation": "softplus"}
        for species, count in tracks.items()
    }
    params = {
        "seq_length": LENGTH, "augment_rc": True, "augment_shift": 3, "activation": "gelu",
        "norm_type": "batch-sync", "bn_momentum": 0.9, "kernel_initializer": "lecun_normal",
        "l2_scale": 2e-8, "trunk": trunk, **heads,
    }  # fmt: skip
    (folder / "params.json").write_text(json.dumps({"train": {}, "model": params}) + "\n")
    coverage = model(one_hot_array(windows(LENGTH, 1), 0.0)).numpy()
    write(folder, LENGTH, coverage=coverage)


if __name__ == "__main__":
    borzoi("keras_borzoi_prime", PRIME, 5, human=5, mouse=3)
    borzoi("keras_borzoi_micro", MICRO, 6, human=4, mouse=2)
