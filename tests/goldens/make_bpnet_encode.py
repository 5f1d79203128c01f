"""Write the golden of a BPNet of ChIP-seq, as ENCODE and JASPAR publish them, with Keras.

In the environment of `make_chrombpnet.py`, in the repository's root:

    PYTHONPATH=tests python -m goldens.make_bpnet_encode

Layers and names follow kundajelab/bpnet-refactor, `bpnet/model/arch.py`, which is not in a package
registry. The window and depths are the published ones, with 8 filters and random weights.
"""

import shutil

import numpy as np
import tensorflow as tf

from goldens.common import GOLDENS_FOLDER, one_hot_array, windows, write
from goldens.make_chrombpnet import LENGTH, PROFILE, randomise

K = tf.keras.layers
FOLDER = GOLDENS_FOLDER / "keras_bpnet_encode"


def build(filters, layers):
    """Build the network with two control tracks."""
    sequence = K.Input((LENGTH, 4), name="sequence")
    x = K.Conv1D(filters, 21, padding="valid", name="main_conv_0")(sequence)
    for layer in range(1, layers + 1):
        y = K.Conv1D(filters, 3, padding="valid", dilation_rate=2**layer,
                     name=f"main_dil_conv_{layer}")(K.ReLU()(x))  # fmt: skip
        x = K.add([y, K.Cropping1D(x.shape[1] // 2 - y.shape[1] // 2)(x)], name=f"main_add_{layer}")
    x = K.ReLU()(x)
    profile = K.Conv1D(2, 75, padding="valid", name="main_profile_head")(x)
    profile = K.Cropping1D(profile.shape[1] // 2 - PROFILE // 2)(profile)
    counts = K.Dense(1, name="main_counts_head")(K.GlobalAveragePooling1D()(x))
    profile_control = K.Input((PROFILE, 2), name="profile_bias_input_0")
    counts_control = K.Input((2,), name="counts_bias_input_0")
    profile = K.concatenate([profile, profile_control], axis=-1)
    total = K.Lambda(lambda x: tf.math.reduce_logsumexp(x, axis=-1, keepdims=True))(counts_control)
    outputs = [
        K.Conv1D(2, 1, name="profile_predictions")(profile),
        K.Dense(1, name="logcounts_predictions")(K.concatenate([counts, total], axis=-1)),
    ]
    return tf.keras.Model([sequence, profile_control, counts_control], outputs)


def main():
    """Write the golden; controls are zero, as in every prediction without an experiment."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    model = build(8, 8)
    randomise(model, 7)
    model.save(FOLDER / "BP000001.1_model.h5")
    zeros = [np.zeros((1, PROFILE, 2), np.float32), np.zeros((1, 2), np.float32)]
    inputs = [one_hot_array(windows(LENGTH, 1), 0.0), *zeros]
    logits, counts = (value.numpy() for value in model(inputs))
    shares = np.exp(logits - logits.max())
    coverage = shares / shares.sum() * (np.exp(counts) - 2)
    write(FOLDER, LENGTH, coverage=coverage, logits=logits, counts=counts)


if __name__ == "__main__":
    main()
