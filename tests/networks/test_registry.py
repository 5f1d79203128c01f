"""The registry of networks: its records agree with the configs and the torch classes."""

import inspect
from pathlib import Path

import pytest

from seqcov_models import networks
from seqcov_models.networks.registry import NETWORKS, Network
from seqcov_models.networks.shared.base import CoverageModel
from seqcov_models.networks.shared.config import ProfileConfig
from seqcov_models.networks.shared.profiles import ProfileModel
from seqcov_models.tracks.units import TRANSFORMS

RECORDS = pytest.mark.parametrize("record", NETWORKS.values(), ids=NETWORKS)


@RECORDS
def test_a_network_has_one_name(record: Network) -> None:
    assert record.name == record.config_class.ARCHITECTURE
    assert NETWORKS[record.name] is record
    assert record.config_class().to_dict()["architecture"] == record.name


@RECORDS
def test_a_record_names_the_class_that_its_config_builds(record: Network) -> None:
    cls = record.load_class()
    assert inspect.isclass(cls)
    assert issubclass(cls, CoverageModel)
    assert cls.__module__ == record.module
    is_profile_network = record.output == "profiles"
    assert issubclass(cls, ProfileModel) == is_profile_network
    assert issubclass(record.config_class, ProfileConfig) == is_profile_network


@RECORDS
def test_the_transforms_of_a_record_exist(record: Network) -> None:
    for head_tracks in (7, *record.published_heads.values()):
        assert record.default_transform(head_tracks) in TRANSFORMS


def test_only_borzois_published_heads_have_a_transform_of_their_own() -> None:
    transforms = {
        (name, tracks): record.default_transform(tracks)
        for name, record in NETWORKS.items()
        for tracks in (7, *record.published_heads.values())
    }
    expected = {key: "new" if key[0] == "borzoi" else "scale" for key in transforms}
    assert transforms == expected | {("borzoi", 7_611): "old", ("borzoi", 2_608): "old"}


def test_every_drawer_is_in_the_registry() -> None:
    folder = Path(networks.__file__).parent
    drawers = {path.parent.name for path in folder.glob("*/network.py")}
    assert drawers == {record.module.split(".")[-2] for record in NETWORKS.values()}
