"""Measured bigWigs and files of folds that cannot be compared with predictions."""

from pathlib import Path
from typing import Any

from support.bad_inputs import Case, file, plan
from support.plans import Config, changed

TINY, BPNET = "models.tiny.observed", "models.bpnet.observed"


def measured(what: str, contigs: dict[str, int], setting: str = TINY, **files: Any) -> Case:
    """Return the case of a measured bigWig with these contigs. files: names by track."""

    def refused(config: Config) -> None:
        import pyBigWig

        with pyBigWig.open("m.bw", "w") as bigwig:
            bigwig.addHeader([*contigs.items()])
            bigwig.addEntries([next(iter(contigs))], [1], ends=[2], values=[1.0])
        plan(changed(config, setting, files or {"id1": "m.bw"}))

    return what, refused


def cut(config: Config) -> None:
    """Refuse a measured bigWig that is cut off."""
    import pyBigWig

    with pyBigWig.open("m.bw", "w") as bigwig:
        bigwig.addHeader([("chrI", 2_000)])
        bigwig.addEntries(["chrI"], [1], ends=[2], values=[1.0])
    path = Path("m.bw")
    path.write_bytes(path.read_bytes()[:-1])
    plan(changed(config, TINY, {"id1": "m.bw"}))


GENOME = {"chrI": 2_000, "chrII": 300}
FOLDS: dict[str, Any] = {"models__tiny__folds": "f.bed", "models__tiny__observed": {"id1": "m.bw"}}


def folds(what: str, content: str) -> Case:
    """Return the case of a wrong file of folds."""
    _, make = measured(what, GENOME)
    _, read = file(what, "f.bed", content, **FOLDS)

    def refused(config: Config) -> None:
        make(config)
        read(config)

    return what, refused


CASES: list[Case] = [
    measured("a track of `observed` that the model does not predict", GENOME, id11="m.bw"),
    measured("one measured file for several tracks", GENOME, **{"assay:CHIP": "m.bw"}),
    measured("two measured files for one track", GENOME, id1="m.bw", all="{identifier}.bw"),
    measured("a measured file of a task that a BPNet does not have", GENOME, BPNET, Oct5="m.bw"),
    measured("a measured file that does not exist", GENOME, id1="nowhere.bw"),
    measured("a folder as a measured file", GENOME, id1="tiny"),
    file("a measured file that is a bedGraph", "m.bw", "chrI\t0\t9\t1.5\n", **{
        "models__tiny__observed": {"id1": "m.bw"}
    }),
    file("a measured file that is empty", "m.bw", "", models__tiny__observed={"id1": "m.bw"}),
    ("a measured bigWig that is cut off", cut),
    measured("a measured bigWig with other names of contigs", {"I": 2_000, "II": 300}),
    measured("a measured bigWig of another genome", {"ctg7": 2_000}),
    measured("a measured bigWig of another assembly", {"chrI": 2_001}),
    folds("`folds` without names", "chrI\t0\t100\n"),
    folds("`folds` of another assembly", "chrI\t0\t2001\tfold1\n"),
    folds("`folds` with other names of contigs", "I\t0\t100\tfold1\n"),
    folds("`folds` in which every region has its own name", "".join(
        f"chrI\t{n}\t{n + 1}\tregion{n}\n" for n in range(101)
    )),
]  # fmt: skip
