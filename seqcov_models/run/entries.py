"""Divide the entries of a config whose weights have names into one model per name."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from glob import has_magic
from pathlib import Path
from typing import Any

from seqcov_models.checkpoints.sources import ADDRESSES, match_paths
from seqcov_models.errors import SeqcovError

NAME = "{name}"
"""What stands for the names of models in a pattern of weights."""
NAME_LENGTH = 60
"""Maximum length of the name of a model, which is the name of a folder."""


@dataclass(frozen=True)
class Model:
    """A model that the config asks for.

    Attributes:
        name: Its name, which is also the name of its folder: atac_K562.
        entry: The key of its entry in the config: atac.
        label: Its name among the models of the entry: K562; that of a single model is its key.
        settings: Its settings, as those of an entry with a single model.
    """

    name: str
    entry: str
    label: str
    settings: Mapping[str, Any]

    @property
    def location(self) -> str:
        """Where the config names the model."""
        location = f"models.{self.entry}"
        return location if self.name == self.entry else f"{location}.weights.{self.label}"


def list_models(entries: Mapping[str, Mapping[str, Any]]) -> dict[str, Model]:
    """Return all models of a config by name, in its order.

    Args:
        entries: The config's section `models`, with all defaults.

    Returns:
        One model per entry. An entry whose weights have names stands for one model per name, all
        with the entry's other settings.

    Raises:
        SeqcovError: If a pattern of weights has no matches, a name is not one of a model, or two
            models have the same name.

    Example:
        >>> list(list_models({"atac": {"weights": {"K562": "a.h5", "HepG2": "b.h5"}}}))
        ['atac_K562', 'atac_HepG2']
    """
    models: dict[str, Model] = {}
    for key, entry in entries.items():
        weights = entry["weights"]
        if isinstance(weights, str) and NAME in weights:
            try:
                weights = match_names(weights)
            except SeqcovError as error:
                raise SeqcovError(f"models.{key}: {error}") from None
        if not isinstance(weights, Mapping):
            members = [Model(key, key, key, entry)]
        else:
            members = [
                Model(f"{key}_{label}", key, label, {**entry, "weights": source})
                for label, source in weights.items()
            ]
        for model in members:
            _check_name(model, models)
            models[model.name] = model
    return models


def match_names(pattern: str) -> dict[str, str]:
    """Return the weights of several models by their names, from the names of files or folders.

    Args:
        pattern: A pattern of local weights in which "{name}" stands for the names.

    Returns:
        The pattern with each of the names that exist, in alphabetical order.

    Raises:
        SeqcovError: If there are none, or the pattern is not clear.
    """
    advice = "write the names, as in weights: {K562: …, HepG2: …}"
    local, _, member = pattern.partition("::")
    if pattern.startswith(ADDRESSES) or NAME in member:
        raise SeqcovError(
            f"weights {pattern}: {NAME} can only be in the path of a file or folder on this"
            f" machine; {advice}"
        )
    parts = Path(local).parts
    (index,) = (number for number, part in enumerate(parts) if NAME in part)
    before, _, behind = parts[index].partition(NAME)
    if has_magic(before + behind) or "**" in parts[:index]:
        raise SeqcovError(
            f"weights {pattern}: it is not clear which part of a path is the name; leave out the"
            f" other patterns in and before {parts[index]}, or {advice}"
        )
    matches = [path.parts[index] for path in match_paths(Path(local.replace(NAME, "*")))]
    names = {part.removeprefix(before).removesuffix(behind) for part in matches}
    if not names:
        raise SeqcovError(
            f"weights {pattern}: nothing matches this pattern; correct it, or {advice}"
        )
    return {name: pattern.replace(NAME, name) for name in sorted(names)}


def suggest_name(text: str) -> str:
    """Return an allowed name of a model that resembles a text; "" if there is none.

    Args:
        text: The text.
    """
    return re.sub(r"[^A-Za-z0-9-]+", "_", text).strip("_-")[:NAME_LENGTH]


def _check_name(model: Model, models: Mapping[str, Model]) -> None:
    """Raise SeqcovError if a model does not have a name of its own that a folder can have."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_-]*", model.label):
        raise SeqcovError(
            f"{model.location}: a name has letters, digits and the characters _ and -; write the"
            f" names, as in weights: {{{suggest_name(model.label) or 'K562'}: …}}"
        )
    if len(model.name) > NAME_LENGTH:
        raise SeqcovError(
            f"{model.location}: the name of the model, {model.name}, has more than {NAME_LENGTH}"
            f" characters; shorten {model.entry} or {model.label}"
        )
    if other := models.get(model.name):
        raise SeqcovError(
            f"{model.location}: the name of the model, {model.name}, is also that of"
            f" {other.location}; rename one of the two"
        )
