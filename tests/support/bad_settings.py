"""Configs with one wrong setting, or that cannot be read."""

from pathlib import Path

from snakemake.common.configfile import load_configfile

from seqcov_models.errors import SeqcovError
from support.bad_inputs import Case, Config, command, setting, without

CASES: list[Case] = [
    command("the config does not exist", None),
    command("the config is a folder", None, "estimate", "tiny"),
    command("the config is UTF-16 text", "genome: {name: g}\n".encode("utf-16")),
    command("the config is Latin-1 text", b"genome: {name: caf\xe9}\n"),
    command("the config is indented with a tab", "genome:\n\tname: g\n"),
    command("a bracket of the config is not closed", "genome: {name: g\nmodels: {}\n"),
    command("the config is empty", ""),
    command("the config is a list", "- genome\n- models\n"),
    command("a section of the config has a key twice",
            "prediction:\n  threads: 2\n  blend: mean\n  threads: 4\n"),
    setting("tracks", ["assay:CAGE"]),
    without("genome"),
    without("genome.name"),
    without("genome.fasta"),
    without("models"),
    without("models.tiny.weights"),
    without("models.tiny.architecture"),
    setting("models.tiny.peaks", "genome"),
    setting("models.tiny.stride", 250),
    setting("models.bpnet", {"architecture": "bpnet", "weights": "bpnet", "stride": 41}),
    setting("models.bpnet", {"architecture": "bpnet", "weights": "bpnet", "shifts": [0, 1]}),
    setting("models", {}),
    setting("models", ["tiny"]),
    setting("models.a b", {"architecture": "borzoi", "weights": "tiny"}),
    setting("genome.name", "g" * 61),
    setting("genome.name", 19),
    setting("genome.assembly", "hg 38"),
    setting("genome.fasta", ["a.fa", "b.fa"]),
    setting("genome.fasta", "tiny"),
    setting("output", ""),
    setting("prediction.overlap", 0.95),
    setting("prediction.overlap", -0.5),
    setting("prediction.blend", "linear"),
    setting("prediction.min_acgt", 1.5),
    setting("prediction.precision", "float16"),
    setting("prediction.device", "gpu"),
    setting("prediction.threads", 0),
    setting("prediction.threads", "4"),
    setting("prediction.threads", True),
    setting("prediction.batch_size", "big"),
    setting("prediction.batch_size", 0),
    setting("prediction.windows_per_chunk", "many"),
    setting("prediction.windows_per_chunk", 0),
    setting("prediction.chunk_dtype", "int8"),
    setting("profiles.jobs", 0),
    setting("profiles.counts", "log"),
    setting("profiles.windows", "yes"),
    setting("bigwig.significant_bits", 40),
    setting("bigwig.tracks_per_job", 0),
    setting("models.tiny.species", "fly"),
    setting("models.tiny.scale", "counts"),
    setting("models.tiny.transform", "square"),
    setting("models.tiny.weights", []),
    setting("models.tiny.shifts", []),
    setting("models.tiny.shifts", [0, 0]),
    setting("models.tiny.shifts", 1),
    setting("models.tiny.reverse_complement", "both"),
    setting("models.bpnet.peaks", {}),
    setting('genome.fasta', 'nowhere.fa'),
    setting('genome.name', '../elsewhere'),
    setting('prediction', {'windows_per_chunks': 3}),
    setting('prediction', {'overlap': 0.001}),
    setting('prediction', {'blend': 'taper'}),
    setting('profiles', {'overlap': 'average'}),
    setting('models.tiny.weight', 'tiny'),
    setting('models.tiny.architecture', 'borzio'),
    setting('models.tiny.architecture', 'bpnet'),
    setting('models.bpnet.architecture', 'borzoi'),
    setting('models.tiny.architecture', 'enformer'),
    setting('models.tiny.architecture', 'basenji2'),
    setting('models.tiny.weights', 'nowhere'),
    setting('models.tiny.species', 'mouse'),
    setting('models.tiny.shifts', [0, 21]),
    setting('models.tiny.standard_deviation', True),
    setting('models.tiny.reverse_complement', True),
    setting('models.tiny.scale', 'raw'),
    setting('models.tiny.weights', ['tiny', 'tiny']),
    setting('models.tiny.weights', ['tiny', './tiny/model.h5']),
    setting('models.tiny.weights', '~/tiny'),
    setting('models.tiny.weights', 's3://a/b'),
    setting('models.tiny.shifts', [0, float('nan')]),
    setting('genome.name', 'g\n'),
    setting('genome.assembly', 'hg38\n'),
    setting('genome.fasta', 'https://a.org/g.fa'),
    setting('genome.fasta', '~/g.fa'),
    setting('genome.fasta', 'g{1}.fa'),
    setting('output', '~/results'),
    setting('output', '{genome}'),
    setting('output', 'results\n'),
    setting('models.tiny\n', {}),
    setting('prediction', {'min_acgt': float('nan')}),
    setting('prediction', {'overlap': float('inf')}),
    setting('prediction', {'threads': 2.5}),
    setting('prediction', {'precision': 'tf32', 'device': 'cpu'}),
    setting('models.bpnet.peaks', '~/b.bed'),
    setting('models.bpnet.peaks', {'x': 'a{b}.bed'}),
    setting('models.bpnet.peaks', {'x\n': 'b.bed'}),
    setting('models.bpnet.peaks', {'x': {'model': 'tiny', 'track': 0, 'threshold': float('nan')}}),
    setting('models.bpnet.tracks', 'all'),
    setting('models.bpnet.weights', 'tiny'),
    setting('models.bpnet.peaks', ['b.bed']),
    setting('models.bpnet.peaks', {1: 'b.bed'}),
    setting('models.bpnet.peaks', {'x': 'nowhere.bed'}),
    setting('models.bpnet.peaks', {'model': 'tiny', 'track': 'id0', 'number': 5}),
    setting('models.bpnet.peaks', {'x': {'model': 'bpnet', 'track': 0, 'number': 5}}),
    setting('models.bpnet.peaks', {'x': {'model': 'tiny', 'track': 'id7', 'number': 5}}),
    setting('models.bpnet.peaks', {'x': {'model': 'tiny', 'track': 'assay:CAGE', 'number': 5}}),
    setting('models.bpnet.peaks', {'x': {'model': 'tiny', 'track': 0}}),
    setting('models.bpnet.peaks', {'x': {'model': 'tiny', 'track': 0, 'treshold': 5}}),
]  # fmt: skip


def unreadable(what: str, name: str, content: bytes | None = None) -> Case:
    """Return the case of a file that Snakemake cannot read as `--configfile`."""

    def refused(_: Config) -> None:
        if content is not None:
            Path(name).write_bytes(content)
        try:
            load_configfile(name)
        except Exception as error:
            raise SeqcovError(f"{type(error).__name__}: {error}") from None

    return what, refused


UNREADABLE: list[Case] = [
    unreadable("it does not exist", "hg38.yaml"),
    unreadable("it is a folder", "tiny"),
    unreadable("it is Latin-1 text", "hg38.yaml", b"genome: {name: caf\xe9}\n"),
    unreadable("it is UTF-16 text", "hg38.yaml", "genome: {name: g}\n".encode("utf-16")),
    unreadable("it is not YAML", "hg38.yaml", b"genome: {name: g\nmodels: {}\n"),
    unreadable("it has no keys", "hg38.yaml", b""),
]
