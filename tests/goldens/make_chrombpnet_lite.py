"""Write the goldens of chrombpnet-lite: the network of accessibility, and the bias alone.

In an environment of its own, in the repository's root:

    pip install tensorflow-cpu==2.15.1 "numpy<2"
    PYTHONPATH=tests python -m goldens.make_chrombpnet_lite

chrombpnet-lite (Surag Nair, Kundaje lab) is not on PyPI. The layers are those of its `bpnet_seq`,
of which copies are public; the names are those that bpnet-lite's `from_chrombpnet_lite` reads.
"""

import shutil

import numpy as np
import tensorflow as tf

from goldens.common import GOLDENS_FOLDER, one_hot_array, windows, write

K = tf.keras.layers
LENGTH, FILTERS, LAYERS = 300, 8, 4


def build(suffix, **settings):
    """Return the network, whose layers end in `suffix`."""
    x = sequence = K.Input((LENGTH, 4))

    def convolve(number, filters, kernel, activation=None, dilation=1):
        return K.Conv1D(
            filters, kernel, padding="same", activation=activation, dilation_rate=dilation,
            name=f"conv1d_{number}{suffix}",
        )  # fmt: skip

    x = convolve(1, FILTERS, 25, "relu")(x)
    for layer in range(1, LAYERS + 1):
        x = K.Add()([convolve(1 + layer, FILTERS, 3, "relu", 2**layer)(x), x])
    profile = K.Flatten()(convolve(LAYERS + 2, 1, 25)(x))
    counts = K.Dense(1, name=f"logcounts{suffix}")(K.GlobalAveragePooling1D()(x))
    return tf.keras.Model(sequence, [profile, counts], **settings)


def wrap(network):
    """Return the network of accessibility with predictions of the bias as more inputs."""
    sequence, profile = K.Input((LENGTH, 4)), K.Input((LENGTH,))
    counts = K.Input((1,))
    outputs = network(sequence)
    total = K.Concatenate()([outputs[1], counts])
    total = K.Lambda(lambda x: tf.reduce_logsumexp(x, -1, keepdims=True))(total)
    return tf.keras.Model([sequence, profile, counts], [K.Add()([outputs[0], profile]), total])


def golden(name, network, saved, seed):
    """Write a golden: `saved` to its file, and what `network`, which is part of it, predicts."""
    folder = GOLDENS_FOLDER / name
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    rng = np.random.default_rng(seed)
    for weight in network.weights:
        shape = tuple(weight.shape)
        scale = np.prod(shape[:-1]) ** -0.5 if len(shape) > 1 else 0.3
        weight.assign(rng.normal(0, scale, shape).astype(np.float32))
    saved.save(folder / "model.h5", save_format="h5", include_optimizer=False)
    logits, counts = (value.numpy() for value in network(one_hot_array(windows(LENGTH, 1), 0.0)))
    shares = np.exp(logits - logits.max())
    write(folder, LENGTH, coverage=(shares / shares.sum() * np.exp(counts))[..., None])


if __name__ == "__main__":
    bias = build("")
    golden("keras_chrombpnet_lite_bias", bias, bias, 7)
    accessibility = build("_1", name="model_1")
    golden("keras_chrombpnet_lite", accessibility, wrap(accessibility), 8)
