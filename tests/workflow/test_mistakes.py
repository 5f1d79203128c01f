"""Mistakes a user can make: each found before anything is predicted, with a message that helps."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import pytest

from support.runs import save_calico, snakemake

pytestmark = pytest.mark.workflow

Config = dict[str, Any]
Mistake = Callable[[Config, Path], None]


def model(config: Config) -> Config:
    entry: Config = config["models"]["tiny"]
    return entry


def missing_fasta(config: Config, folder: Path) -> None:
    config["genome"]["fasta"] = "nowhere.fa"


def empty_fasta(config: Config, folder: Path) -> None:
    (folder / "genome.fa").write_text("")


def no_fasta(config: Config, folder: Path) -> None:
    (folder / "genome.fa").write_text("chr1\t5\nACGT\n")


def doubled_contig(config: Config, folder: Path) -> None:
    (folder / "genome.fa").write_text(">chr1\nACGT\n>chr2\nACGT\n>chr1\nACGT\n")


def region_outside(config: Config, folder: Path) -> None:
    config["genome"]["regions"] = ["chrI:1,900-2,100"]


def region_on_unknown_contig(config: Config, folder: Path) -> None:
    config["genome"]["regions"] = ["chr1:1-100"]


def misspelt_contig(config: Config, folder: Path) -> None:
    config["genome"]["regions"] = ["scafold_2"]


def bad_bed(config: Config, folder: Path) -> None:
    (folder / "loci.bed").write_text("# loci\nchrI\t10\t20\nchrI\tten\t20\n")
    config["genome"]["regions"] = ["loci.bed"]


def bed_on_unknown_contig(config: Config, folder: Path) -> None:
    (folder / "loci.bed").write_text("1\t10\t20\n")
    config["genome"]["exclude"] = ["loci.bed"]


def nothing_left(config: Config, folder: Path) -> None:
    config["genome"] |= {"regions": ["chrI:101-200"], "exclude": ["chrI"]}


def selector_without_match(config: Config, folder: Path) -> None:
    model(config)["tracks"] = ["ENCFF2", "DNASE:livre"]


def missing_weights(config: Config, folder: Path) -> None:
    model(config)["weights"] = "nowhere"


def unknown_architecture(config: Config, folder: Path) -> None:
    model(config)["architecture"] = "borzio"


def wrong_architecture(config: Config, folder: Path) -> None:
    params = {"name": "dilated_residual", "filters": 4}
    path = folder / "model" / "params.json"
    values = json.loads(path.read_text())
    values["model"]["trunk"] = [{"name": "conv_block", "filters": 4}, params]
    path.write_text(json.dumps(values))


def truncated_h5(config: Config, folder: Path) -> None:
    path = folder / "model" / "model.h5"
    path.write_bytes(path.read_bytes()[:-1_000])


def params_of_other_weights(config: Config, folder: Path) -> None:
    path = folder / "model" / "params.json"
    values = json.loads(path.read_text())
    values["model"]["trunk"][1]["repeat"] = 3
    path.write_text(json.dumps(values))


def narrower_weights(config: Config, folder: Path) -> None:
    with h5py.File(folder / "model" / "model.h5", "r+") as file:
        name = "model_weights/conv1d_1/conv1d_1/kernel:0"
        kernel = file[name][:, :, :3]
        del file[name]
        file[name] = kernel


def head_of_other_species(config: Config, folder: Path) -> None:
    model(config)["species"] = "mouse"


def table_of_other_head(config: Config, folder: Path) -> None:
    (folder / "model" / "targets.txt").write_text("\tidentifier\n0\tENCFF1\n")


def output_is_a_file(config: Config, folder: Path) -> None:
    (folder / "occupied").write_text("")
    config["output"] = "occupied/results"


def misspelt_key(config: Config, folder: Path) -> None:
    config["prediction"] = {"windows_per_chunks": 3}


def misspelt_model_key(config: Config, folder: Path) -> None:
    model(config)["weight"] = model(config).pop("weights")


def name_that_leaves_the_folder(config: Config, folder: Path) -> None:
    config["genome"]["name"] = "../elsewhere"


def folds_of_other_heads(config: Config, folder: Path) -> None:
    save_calico(folder / "other", tracks=3)
    model(config)["weights"] = ["model", "other"]


def folds_of_other_widths(config: Config, folder: Path) -> None:
    save_calico(folder / "other", width=5)
    model(config)["weights"] = ["model", "other"]


def one_way_strand_pair(config: Config, folder: Path) -> None:
    table = "\tidentifier\tstrand_pair\n0\tE1+\t1\n1\tE1-\t1\n"
    (folder / "model" / "targets.txt").write_text(table)


def overlap_below_one_bin(config: Config, folder: Path) -> None:
    config["prediction"] = {"overlap": 0.001}


def blend_without_overlap(config: Config, folder: Path) -> None:
    config["prediction"] = {"blend": "taper"}


def shift_beyond_the_crop(config: Config, folder: Path) -> None:
    model(config)["shifts"] = [0, 33]


def deviation_of_one(config: Config, folder: Path) -> None:
    model(config)["standard_deviation"] = True


def both_strands_of_unknown_pairs(config: Config, folder: Path) -> None:
    model(config)["reverse_complement"] = True


def tracks_without_brackets(config: Config, folder: Path) -> None:
    model(config)["tracks"] = "assay:CHIP"


def region_without_brackets(config: Config, folder: Path) -> None:
    config["genome"]["regions"] = "chrI"


def raw_without_columns(config: Config, folder: Path) -> None:
    model(config)["scale"] = "raw"


MISTAKES: list[tuple[Mistake, str]] = [
    (missing_fasta, r"FASTA nowhere\.fa: no such file"),
    (empty_fasta, r"FASTA genome\.fa: the file is empty"),
    (no_fasta, r"FASTA genome\.fa does not begin with '>'"),
    (doubled_contig, r"FASTA genome\.fa: contig 'chr1' appears twice"),
    (region_outside, r"region chrI:1,900-2,100: ends at 2,100, but chrI has 2,000 bp"),
    (region_on_unknown_contig, r"no contig 'chr1'; this FASTA calls it 'chrI'"),
    (misspelt_contig, r"'scafold_2' is not a contig, .*; similar names: scaffold_2"),
    (bad_bed, r"BED loci\.bed, line 3: .* does not begin with contig, start, end"),
    (bed_on_unknown_contig, r"BED loci\.bed, line 1: no contig '1'; .* calls it 'chrI'"),
    (nothing_left, r"genome\.exclude leaves nothing of genome\.regions"),
    (selector_without_match, r"'DNASE:livre' does not match any track; .*DNASE:liver.*assay:CHIP"),
    (missing_weights, r"models\.tiny: weights nowhere: no such file or folder"),
    (unknown_architecture, r"models\.tiny\.architecture: 'borzio' is not one of: .*borzoi"),
    (wrong_architecture, r"params\.json describes 'basenji2', asked for is 'borzoi'"),
    (truncated_h5, r"model\.h5: not a complete HDF5 file: .*truncated"),
    (params_of_other_weights, r"does not fit its params\.json: .*missing: .*conv1d_3/kernel"),
    (narrower_weights, r"stem\.tower\.0\.conv\.weight is \(3, 4, 3\), not \(4, 4, 3\)"),
    (head_of_other_species, r"no head for species 'mouse'; heads in this file: human"),
    (table_of_other_head, r"targets\.txt: 1 rows, but the human head has 2 tracks"),
    (output_is_a_file, r"output occupied/results: .*occupied is a file, not a folder"),
    (misspelt_key, r"prediction: unknown key 'windows_per_chunks'.*'windows_per_chunk'"),
    (misspelt_model_key, r"models\.tiny: unknown key 'weight'; did you mean 'weights'\?"),
    (folds_of_other_heads, r"weights other: 3 tracks, but the first fold has 2"),
    (folds_of_other_widths, r"weights other: the network differs from the first fold's"),
    (one_way_strand_pair, r"strand_pair of E1\+ is E1-, but the pair of E1- is another"),
    (overlap_below_one_bin, r"overlap 0\.001 has no effect: it is less than one of the 24 bins"),
    (blend_without_overlap, r"blend 'taper' has no effect without overlap"),
    (shift_beyond_the_crop, r"shifts: 33 bp is more than the 32 bp that the network crops"),
    (
        deviation_of_one,
        r"standard_deviation: it needs more than one prediction per window",
    ),
    (
        both_strands_of_unknown_pairs,
        r"no track table says which tracks are strand pairs; name one",
    ),
    (tracks_without_brackets, r"models\.tiny\.tracks: 'assay:CHIP' does not fit: .*or a list of"),
    (region_without_brackets, r"genome\.regions: write a list: \[chrI\]"),
    (raw_without_columns, r"scale: raw needs the column 'scale', which the track table lacks"),
    (name_that_leaves_the_folder, r"genome\.name: '\.\./elsewhere' does not match"),
]


@pytest.mark.parametrize(
    ("mistake", "message"), MISTAKES, ids=lambda case: getattr(case, "__name__", "")
)
def test_is_found_before_prediction(mistake: Mistake, message: str, tmp_path: Path) -> None:
    save_calico(tmp_path / "model")
    contigs = {"chrI": 2_000, "scaffold_2": 500}
    with (tmp_path / "genome.fa").open("w") as fasta:
        for name, length in contigs.items():
            fasta.write(f">{name}\n{'ACGTTGCA' * (length // 8)}{'A' * (length % 8)}\n")
    config: Config = {
        "genome": {"name": "g", "fasta": "genome.fa"},
        "models": {"tiny": {"architecture": "borzoi", "weights": "model"}},
    }
    mistake(config, tmp_path)
    done = snakemake(tmp_path, config)
    assert done.returncode != 0
    assert re.search(message, done.stderr), done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.glob("logs/g/predict*/*")), "something was predicted"
    assert not list(tmp_path.rglob("*.bw"))


def test_the_same_run_without_a_mistake_is_planned(tmp_path: Path) -> None:
    save_calico(tmp_path / "model")
    (tmp_path / "genome.fa").write_text(">chrI\n" + "ACGTTGCA" * 250 + "\n")
    entry = {"architecture": "borzoi", "weights": "model", "tracks": ["ENCFF2"]}
    config = {"genome": {"name": "g", "fasta": "genome.fa"}, "models": {"tiny": entry}}
    done = snakemake(tmp_path, config, "--until", "check_checkpoint")
    assert done.returncode == 0, done.stderr
    assert "1 of 2 tracks" in done.stderr
