"""Write the golden of ChromBPNet with its authors' own code: three files, and what they predict.

In an environment of its own, in the repository's root:

    pip install tensorflow-cpu==2.15.1 tensorflow-probability==0.23.0 "numpy<2"
    pip install --no-deps chrombpnet==1.0.1
    PYTHONPATH=tests python -m goldens.make_chrombpnet

The files have the published window, depths and kernels, and 12 and 6 filters with random weights.
"""

import argparse
import shutil

import numpy as np
import tensorflow as tf
from chrombpnet.training.models import bpnet_model, chrombpnet_with_bias_model

from goldens.common import GOLDENS_FOLDER, one_hot_array, windows, write

FOLDER = GOLDENS_FOLDER / "keras_chrombpnet"
LENGTH, PROFILE = 2_114, 1_000


def randomise(model, seed):
    """Give every weight a random value that keeps logits within a few units, counts around 3."""
    rng = np.random.default_rng(seed)
    for weight in model.weights:
        shape = tuple(weight.shape)
        scale = 0.6 * np.prod(shape[:-1]) ** -0.5 if len(shape) > 1 else 0.1
        centre = 3.0 if "logcount" in weight.name and len(shape) == 1 else 0.0
        weight.assign(rng.normal(centre, scale, shape).astype(np.float32))


def build(module, filters, layers, **params):
    """Build a network as `chrombpnet train` does."""
    arguments = argparse.Namespace(seed=1234, learning_rate=0.001)
    params |= {"filters": filters, "n_dil_layers": layers, "counts_loss_weight": 1.0}
    params |= {"inputlen": LENGTH, "outputlen": PROFILE}
    return module.getModelGivenModelOptionsAndWeightInits(arguments, params)


def main():
    """Write the golden."""
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir()
    bias_path = FOLDER / "bias_model_scaled.h5"
    bias = build(bpnet_model, 6, 4)
    randomise(bias, 5)
    bias.save(bias_path)
    full = build(chrombpnet_with_bias_model, 12, 8, bias_model_path=str(bias_path))
    randomise(full.get_layer("model_wo_bias"), 6)
    full.save(FOLDER / "chrombpnet.h5")
    chrombpnet_with_bias_model.save_model_without_bias(full, str(FOLDER / "chrombpnet"))
    nobias = tf.keras.models.load_model(FOLDER / "chrombpnet_nobias.h5", compile=False)
    letters = one_hot_array(windows(LENGTH, 1), 0.0)
    outputs = {}
    for name, model in (("", full), ("nobias_", nobias), ("bias_", bias)):
        logits, counts = (value.numpy() for value in model(letters))
        outputs |= {f"{name}logits": logits, f"{name}counts": counts}
    shares = np.exp(outputs["logits"] - outputs["logits"].max())
    coverage = shares / shares.sum() * np.exp(outputs["counts"])
    write(FOLDER, LENGTH, coverage=coverage[..., None], **outputs)


if __name__ == "__main__":
    main()
