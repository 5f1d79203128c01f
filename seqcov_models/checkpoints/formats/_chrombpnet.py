"""The two networks of a ChromBPNet as every project stores them: accessibility and bias."""

from collections.abc import Callable, Mapping
from typing import Any

from seqcov_models.checkpoints.format import name_source
from seqcov_models.checkpoints.infer import infer_fields
from seqcov_models.checkpoints.keymap import KeyMap, Row, Shapes
from seqcov_models.errors import SeqcovError
from seqcov_models.networks.chrombpnet.config import ChromBPNetConfig
from seqcov_models.networks.shared.config import count_layers

ACCESSIBILITY, BIAS = "accessibility", "bias"
BranchKeys = Callable[[str, Shapes], Mapping[str, Row]]
"""Returns the key map of one of the two networks, by the names that `BPNetConfig` uses."""
TASKS = {
    frozenset((ACCESSIBILITY, BIAS)): "chrombpnet",
    frozenset((ACCESSIBILITY,)): "chrombpnet_nobias",
    frozenset((BIAS,)): "bias",
}
"""What a file with these networks predicts, as chrombpnet's own bigWigs are called."""


def list_branches(shapes: Shapes, separator: str) -> list[str]:
    """Return which of the two networks an array belongs to, accessibility first."""
    prefixes = {name.partition(separator)[0] for name in shapes}
    return [branch for branch in (ACCESSIBILITY, BIAS) if branch in prefixes]


def join_keys(branches: list[str], branch_keys: BranchKeys, shapes: Shapes) -> KeyMap:
    """Return the key map of a file: the first network's names, then the bias network's."""
    rows = dict(branch_keys(branches[0], shapes))
    for branch in branches[1:]:
        rows |= {f"bias.{name}": row for name, row in branch_keys(branch, shapes).items()}
    return rows


def infer_config(
    branches: list[str], branch_keys: BranchKeys, shapes: Shapes, source: str, **values: Any
) -> ChromBPNetConfig:
    """Return the config of a file from its shapes and from `values`, which no shape tells.

    Raises SeqcovError for shapes that are not those of a ChromBPNet.
    """
    fields, *bias = (
        _branch_fields(branch_keys(branch, shapes), shapes, source) for branch in branches
    )
    for sizes in bias:
        for name in ("stem_kernel_size", "dilated_kernel_size", "profile_kernel_size"):
            if sizes.get(name, fields.get(name)) != fields.get(name):
                raise SeqcovError(
                    f"{source}: {name} is {fields.get(name)} in the network of accessibility and"
                    f" {sizes[name]} in that of the bias; they must be equal"
                )
    values = {
        "tasks": (TASKS[frozenset(branches)],),
        "bias_hidden_size": bias[0]["hidden_size"] if bias else 0,
        "bias_num_dilated_layers": bias[0]["num_dilated_layers"] if bias else 0,
        **fields,
        **values,
    }
    with name_source(source):
        return ChromBPNetConfig.from_dict(values)


def _branch_fields(rows: Mapping[str, Row], shapes: Shapes, source: str) -> dict[str, Any]:
    """Return the sizes of one network; its last layer counts, even if one before it is missing."""
    layers = count_layers("model.trunk.convs.", rows)
    return infer_fields("chrombpnet", rows, shapes, source) | {"num_dilated_layers": layers}
