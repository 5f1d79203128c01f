"""A make-believe genome, its coverage tracks and its peaks, from seeds; writes what demo/ commits.

Two steps that know nothing of each other. `simulate_genome` writes DNA: a background whose GC
content drifts and which has lost most of its CpGs, and in it enhancers, CTCF sites and genes.
`simulate_tracks` and `simulate_binding` read DNA, as a cell would: they find the motifs, whoever
put them there, and work out the expected coverage in bins, and the reads of four factors at each
base. Both are thus functions of the letters alone, which a network can learn, and the other strand
has the same values, mirrored. Coordinates are 0-based, half-open.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seqcov_models.sequence import LETTERS, UNKNOWN, Codes, encode, reverse_complement
from seqcov_models.tracks.table import Track, write_tracks

Floats = npt.NDArray[np.float64]
Coverage = npt.NDArray[np.float32]
Ints = npt.NDArray[np.int64]
Genome = dict[str, str]

DEMO = Path(__file__).resolve().parent
BIN = 32
DEMO_SEED, TRAINING_SEED = 2025, 2024
DEMO_CONTIGS = {
    "chrA": 330_017,
    "chrB": 260_123,
    "chrC": 180_045,
    "chrShort": 21_355,  # shorter than the network's window
    "chrTiny": 21,  # shorter than a bin
}
TRAINING_CONTIGS = {f"train{number}": 1_000_003 for number in range(1, 33)}

MOTIFS = {  # letter frequencies in tenths, rows A, C, G, T, after the well-known consensus
    "CTCF": ("119009041000402", "991650000009082", "000401967990600", "000050002000026"),
    "GATA": ("2709099145", "5000000112", "2090000853", "1300900000"),
    "AP-1": ("500900090", "100050904", "409050001", "090009005"),
    "GC box": ("1001000310", "0000900007", "7998099680", "2000000003"),
    "CCAAT": ("4400990162", "1099000501", "5500000447", "0000009000"),
    "TATA": ("009097964", "400000000", "400000005", "190903040"),
    "Inr": ("0091400", "5802044", "0004001", "5203655"),  # transcription starts at its third base
    "poly(A)": ("980999", "000000", "000000", "019000"),
    "GU-rich": ("00000000", "10000011", "09090011", "80909978"),
}
CELLS = {"GATA": "GATA cells", "AP-1": "AP-1 cells"}  # which factor opens enhancers, in which cells

TRACKS = [  # identifier, strand pair, description
    ("DEMO0001", 0, "DNASE:GATA cells"),
    ("DEMO0002", 1, "DNASE:AP-1 cells"),
    ("DEMO0003", 2, "CHIP:CTCF:GATA cells"),
    ("DEMO0004", 3, "CHIP:H3K4me3:GATA cells"),
    ("DEMO0005+", 5, "CAGE:GATA cells"),
    ("DEMO0005-", 4, "CAGE:GATA cells"),
    ("DEMO0006+", 7, "RNA:GATA cells"),
    ("DEMO0006-", 6, "RNA:GATA cells"),
]
STRAND_PAIR = [pair for _, pair, _ in TRACKS]


class Factor(NamedTuple):
    """How a factor's sites look in ChIP-nexus, where reads begin at the edges of what it covers.

    For a site on strand +: reads on + begin `upstream` bp before the motif's first base, those on −
    `downstream` bp behind its last one, `ratio` times as many. `helpers`: the motifs whose sites
    near by it needs; without any it binds alone.
    """

    motif: str
    height: float  # reads at the edge's base
    upstream: int
    downstream: int
    ratio: float
    helpers: tuple[str, ...] = ()


FACTORS = {
    "CTCF": Factor("CTCF", 40, 9, 5, 0.7),
    "GATA": Factor("GATA", 50, 7, 4, 0.8, ("GATA",)),
    "AP-1": Factor("AP-1", 25, 6, 6, 1.0, ("AP-1", "GATA")),  # a palindrome: on both strands
    "Sp1": Factor("GC box", 60, 5, 8, 1.2, ("GC box", "CCAAT")),
}
STRANDS = 2
SHARP, SHOULDER, SHOULDER_HEIGHT = 1.5, 40, 0.06  # of the edge: bp, bp, part of its height
BACKGROUND = 0.03  # reads of a base and strand

SMOOTHING, APART, CALLED = 50, 300, 40  # bp, bp between summits, reads within `SMOOTHING` bp

# --- writing DNA ---------------------------------------------------------------------------------


def background(rng: np.random.Generator, length: int) -> Codes:
    """DNA between the elements: 34–54 % GC, drifting over 20 kb, a quarter of its CpGs left."""
    knots = rng.uniform(0.34, 0.54, length // 20_000 + 2)
    gc = np.interp(np.arange(length) / 20_000, np.arange(len(knots)), knots)
    is_gc, second = rng.random(length) < gc, rng.random(length) < 0.5
    codes = np.where(is_gc, 1 + second, 3 * second).astype(np.uint8)
    cpg = np.flatnonzero((codes[:-1] == 1) & (codes[1:] == 2))
    fate = rng.random(len(cpg))
    codes[cpg[fate < 0.375]] = 3  # deaminated here: TpG
    codes[cpg[(fate >= 0.375) & (fate < 0.75)] + 1] = 0  # or on the other strand: CpA
    return codes


def plant(
    rng: np.random.Generator, codes: Codes, index: int, name: str, flip: bool = False
) -> None:
    """Write an instance of a motif, drawn letter by letter, at `index`, if `flip` on strand −."""
    frequencies = np.array([[int(digit) for digit in row] for row in MOTIFS[name]], float)
    below = np.cumsum(frequencies / frequencies.sum(0), 0) < rng.random(frequencies.shape[1])
    word = below.sum(0).astype(np.uint8)
    codes[index : index + len(word)] = reverse_complement(word) if flip else word


def plant_enhancer(rng: np.random.Generator, codes: Codes, factor: str) -> None:
    """Two to four sites of a factor in 240 bp, either way round."""
    for slot in rng.permutation(6)[: rng.integers(2, 5)]:
        plant(rng, codes, int(40 * slot + rng.integers(0, 28)), factor, rng.random() < 0.5)


def plant_gene(rng: np.random.Generator, codes: Codes) -> None:
    """A gene on strand +: upstream boxes, TATA, Inr at 300, and a terminator 300 bp from the end.

    One in three carries an enhancer in its first kilobase.
    """
    for slot in rng.permutation(5)[: rng.integers(1, 5)]:
        box = "GC box" if rng.random() < 0.6 else "CCAAT"
        plant(rng, codes, 60 + 35 * slot + rng.integers(0, 24), box, rng.random() < 0.5)
    plant(rng, codes, 300 - 31, "TATA")
    plant(rng, codes, 300 - 2, "Inr")
    if rng.random() < 1 / 3:
        index = rng.integers(500, 1_000)
        plant_enhancer(rng, codes[index : index + 240], "GATA" if rng.random() < 0.5 else "AP-1")
    plant(rng, codes, len(codes) - 300, "poly(A)")
    plant(rng, codes, len(codes) - 300 + int(rng.integers(18, 26)), "GU-rich")


def contig(rng: np.random.Generator, length: int) -> Codes:
    """A contig: elements one after the other, a third of a kilobase to two kilobases apart."""
    codes = background(rng, length)
    index = 300
    while True:
        kind = rng.choice(["gene", "GATA", "AP-1", "CTCF"], p=[0.4, 0.25, 0.2, 0.15])
        size = {"gene": int(rng.integers(2_000, 8_000)) + 600, "CTCF": 40}.get(kind, 240)
        if index + size > length:
            return codes
        element = codes[index : index + size]
        if kind == "gene":
            plant_gene(rng, element)
        elif kind == "CTCF":
            plant(rng, element, 10, "CTCF")
        else:
            plant_enhancer(rng, element, kind)
        if rng.random() < 0.5:
            element[:] = reverse_complement(element)
        index += size + int(rng.integers(300, 2_000))


def as_assembled(rng: np.random.Generator, codes: Codes, gaps: bool) -> str:
    """Letters with what assemblies have: lower case over a third, IUPAC letters, Ns if `gaps`.

    The Ns are 1,537 bp at the contig's start and 6 kb in its middle.
    """
    letters = np.frombuffer(LETTERS.encode(), np.uint8)[codes]
    unsure = np.flatnonzero(rng.random(len(letters)) < 1 / 4_000)
    letters[unsure] = np.frombuffer(b"RYSWKM", np.uint8)[rng.integers(0, 6, len(unsure))]
    if gaps:
        middle = len(letters) // 2
        letters[:1_537] = letters[middle : middle + 6_000] = ord("N")
    for _ in range(len(letters) // 3_000):  # so many repeats, each of 0.1 to 2 kb
        start = rng.integers(0, len(letters))
        letters[start : start + rng.integers(100, 2_000)] |= 0x20
    return letters.tobytes().decode()


def simulate_genome(seed: int, contigs: dict[str, int]) -> Genome:
    """Letters of each contig of the given lengths; the first has gaps."""
    rng = np.random.default_rng(seed)
    return {
        name: as_assembled(rng, contig(rng, length), gaps=number == 0)
        for number, (name, length) in enumerate(contigs.items())
    }


# --- reading DNA ---------------------------------------------------------------------------------


def occupancy(codes: Codes, name: str) -> Floats:
    """How well each base starts a motif on strand +, from 0 (not at all) to 1, in whole steps.

    The log-odds are rounded to tenths of a bit: sums of integers are the same on every machine.
    """
    frequencies = np.array([[int(digit) + 0.2 for digit in row] for row in MOTIFS[name]])
    odds = 4 * frequencies / frequencies.sum(0)
    table = np.array([[round(10 * math.log2(odd)) for odd in row] for row in odds], np.int16)
    best = int(table.max(0).sum())
    table = np.vstack([table, np.full(table.shape[1], -1_000, np.int16)])  # an unknown base
    width, found = table.shape[1], np.zeros(len(codes))
    if len(codes) < width:
        return found
    score = np.zeros(len(codes) - width + 1, np.int16)
    for column in range(width):
        score += table[:, column][codes[column : column + len(score)]]
    found[: len(score)] = np.clip((score - 0.6 * best) / (0.25 * best), 0, 1)
    return found


def either_strand(codes: Codes, name: str) -> Floats:
    """Occupancy of a motif by its middle, on the strand where it is better."""
    width = len(MOTIFS[name][0])
    plus, minus = (
        np.roll(occupancy(strand, name), width // 2)
        for strand in (codes, reverse_complement(codes))
    )
    return np.maximum(plus, minus[::-1])


def lay(spikes: Floats, shape: Floats) -> Floats:
    """Return the sum of one `shape` per spike, of its height, with its middle at the spike."""
    reach = len(shape) // 2
    out = np.zeros(len(spikes) + 2 * reach)
    for position in np.flatnonzero(spikes):
        out[position : position + len(shape)] += spikes[position] * shape
    return out[reach : reach + len(spikes)]


def bell(distance: Floats, sigma: float) -> Floats:
    """A bell of height 1 and of standard deviation `sigma` bp, at each distance from its middle."""
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2))


def spread(spikes: Floats, sigma: float) -> Floats:
    """Return the sum of one bell per spike, of its height and standard deviation `sigma` bp."""
    reach = math.ceil(4 * sigma)
    return lay(spikes, bell(np.arange(-reach, reach + 1.0), sigma))


def enhancer(sites: Floats) -> Floats:
    """Activity from 0 to 1 of a factor's sites: they help each other, one alone does little."""
    density = spread(sites, 80) ** 2
    return density / (density + 1.5)


def promoter(codes: Codes, boxes: Floats) -> Floats:
    """Strength of each base as a start of transcription of strand +, from 0 to 1.

    It takes an Inr, a TATA 27 to 33 bp upstream and, 35 to 250 bp upstream, boxes.
    """
    strength, tata = np.zeros(len(codes)), occupancy(codes, "TATA")
    inr = np.roll(occupancy(codes, "Inr"), 2)
    for index in np.flatnonzero(inr):
        if index >= 250 and (best := tata[index - 33 : index - 26].max()) > 0:
            upstream = boxes[index - 250 : index - 35].sum()
            strength[index] = inr[index] * best * upstream / (upstream + 1)
    return strength


def transcribe(codes: Codes, start: Floats) -> Floats:
    """Polymerases on each base of strand +: they start at `start`, 12 kb is a half-life for them,
    and at a terminator (poly(A) signal, GU-rich within 16 to 30 bp) they fall off.
    """
    end, downstream = occupancy(codes, "poly(A)"), occupancy(codes, "GU-rich")
    for index in np.flatnonzero(end):
        end[index] *= downstream[index + 16 : index + 30].max(initial=0)
    out, flow, last = np.zeros(len(codes)), 0.0, 0
    for index in [*np.flatnonzero(start + end), len(codes)]:
        fading = 0.5 ** (np.arange(1, index - last + 1) / 12_000)
        out[last:index] = flow * fading
        if index < len(codes):
            flow = (flow * fading[-1] if index > last else flow) * (1 - end[index]) + start[index]
        last = index
    return out


def simulate_tracks(letters: str) -> Coverage:
    """Expected coverage of a contig, shape (bins, tracks): per bin, the sum over its bases.

    The last bin may be shorter than 32 bp. Unknown bases have no coverage.
    """
    codes = encode(letters)
    other = reverse_complement(codes)
    open_by = {factor: enhancer(either_strand(codes, factor)) for factor in CELLS}
    ctcf = either_strand(codes, "CTCF")
    boxes = either_strand(codes, "GC box") + either_strand(codes, "CCAAT")
    # strand − is strand + of the other strand's letters, read backwards
    promoters = [promoter(codes, boxes), promoter(other, boxes[::-1])[::-1]]
    promoting = spread(promoters[0] + promoters[1], 100)
    marked = spread(promoters[0] + promoters[1], 400)

    near = np.arange(-5_000, 5_001)
    help_of = 0.5 ** (np.abs(near) / 1_000) / 200  # of an enhancer's base, by its distance
    padded = np.pad(open_by["GATA"], 5_000)
    starts = [np.zeros(len(codes)), np.zeros(len(codes))]
    for start, strength in zip(starts, promoters, strict=True):
        for index in np.flatnonzero(strength):
            start[index] = strength[index] * (0.3 + padded[index : index + 10_001] @ help_of)
    rna = [transcribe(codes, starts[0]), transcribe(other, starts[1][::-1])[::-1]]

    dnase = [
        0.03 + 1.2 * open_by[factor] + 0.8 * promoting + 0.5 * spread(ctcf, 70) for factor in CELLS
    ]
    tracks = [
        *dnase,
        0.02 + 2.0 * spread(ctcf, 60) + 0.1 * dnase[0],
        0.02 + 1.5 * marked / (marked + 0.5),
        *(4.0 * spread(start, 40) for start in starts),
        *(0.8 * strand for strand in rna),
    ]
    coverage = np.where(codes == UNKNOWN, 0, tracks)
    coverage = np.pad(coverage, ((0, 0), (0, -len(codes) % BIN)))
    bins: Floats = coverage.reshape(len(tracks), -1, BIN).sum(2).T
    return bins.astype(np.float32)


def footprint(factor: Factor) -> list[Floats]:
    """Reads of a site on strand + about the first base of its motif, on strand + and on −.

    Both rise sharply at an edge of what the factor covers, and have a low shoulder outside of it.
    """
    reach = 5 * SHOULDER
    offsets = np.arange(-reach, reach + 1.0)
    outside = (
        -offsets - factor.upstream,
        offsets - (len(MOTIFS[factor.motif][0]) - 1) - factor.downstream,
    )
    return [
        height * (bell(bp, SHARP) + SHOULDER_HEIGHT * np.exp(-bp / SHOULDER) * (bp > 0))
        for bp, height in zip(outside, (factor.height, factor.height * factor.ratio), strict=True)
    ]


def bound(codes: Codes, factor: Factor, helped: Floats) -> Floats:
    """Reads of a factor at its sites on strand +, (bases, strands); `helped`: from 0 to 1, by the
    motif's middle.
    """
    middle = len(MOTIFS[factor.motif][0]) // 2
    sites = occupancy(codes, factor.motif) * np.roll(helped, -middle)
    return np.stack([lay(sites, shape) for shape in footprint(factor)], 1)


def simulate_binding(letters: str) -> Coverage:
    """Expected 5' ends of reads at each base of a contig, shape (bases, tasks, strands).

    The tasks are `FACTORS`, the strands + and −. Unknown bases have no reads.
    """
    codes = encode(letters)
    other = reverse_complement(codes)
    binding = np.full((len(codes), len(FACTORS), STRANDS), BACKGROUND)
    for task, factor in enumerate(FACTORS.values()):
        helpers = [either_strand(codes, name) for name in factor.helpers]
        helped = enhancer(np.sum(helpers, 0)) if helpers else np.ones(len(codes))
        binding[:, task] += bound(codes, factor, helped)
        binding[:, task] += bound(other, factor, helped[::-1])[::-1, ::-1]
    binding[codes == UNKNOWN] = 0
    return binding.astype(np.float32)


class Peak(NamedTuple):
    """An interval, its summit, and the reads of both strands within `SMOOTHING` bp of that."""

    start: int
    end: int
    summit: int
    reads: float


def call_peaks(reads: Coverage) -> list[Peak]:
    """The peaks of a task's reads, (bases, strands), in order: `APART` bp or more between summits.

    Both strands' reads are smoothed. A summit is the highest base within `APART` bp, `CALLED` or
    more; its peak is what has a quarter of `CALLED` around it, up to half of `APART` at each side.
    """
    # in thousandths of reads: sums of integers are the same on every machine
    each = np.rint(1_000.0 * reads).astype(np.int64).sum(1)
    tent = SMOOTHING - np.abs(np.arange(1 - SMOOTHING, SMOOTHING))
    smooth: Ints = np.convolve(each, tent)[SMOOTHING - 1 :][: len(each)] // SMOOTHING
    high, low = smooth >= 1_000 * CALLED, smooth < 250 * CALLED
    beyond = np.pad(smooth, APART - 1, constant_values=-1)
    around = np.lib.stride_tricks.sliding_window_view(beyond, 2 * APART - 1)
    rises = np.diff(smooth, prepend=-1) > 0
    peaks = []
    for summit in np.flatnonzero(high & rises).tolist():
        if around[summit].argmax() == APART - 1:  # of bases as high as one another the first
            first = max(0, summit - APART // 2)
            before, behind = low[first:summit], low[summit : summit + APART // 2]
            start = first + int(np.flatnonzero(before).max(initial=-1)) + 1
            end = summit + int(np.flatnonzero(behind).min(initial=len(behind)))
            peaks.append(Peak(start, end, summit, int(smooth[summit]) / 1_000))
    return peaks


def tracks_table() -> list[Track]:
    """The tracks with the columns of calico's tables: sums of 32 bp, neither scaled nor clipped."""
    return [
        Track(
            row, row, identifier, description, "",
            {
                "file": f"{identifier}.w5", "clip": "65504", "clip_soft": "65504", "scale": "1",
                "sum_stat": "sum", "strand_pair": str(pair),
            },
        )
        for row, (identifier, pair, description) in enumerate(TRACKS)
    ]  # fmt: skip


def write_fasta(path: Path, genome: Genome) -> None:
    """A FASTA of 80 columns."""
    with path.open("w", encoding="ascii", newline="\n") as handle:
        for name, letters in genome.items():
            handle.write(f">{name}\n")
            handle.writelines(
                f"{letters[index : index + 80]}\n" for index in range(0, len(letters), 80)
            )


def write_peaks(path: Path, task: str, peaks: dict[str, list[Peak]]) -> None:
    """A task's peaks of each contig as narrowPeak: the tenth column is the summit, from the start.

    The score is the summit's part of the highest one's reads, of 1,000. P and q values there are
    none: −1.
    """
    highest = max(peak.reads for called in peaks.values() for peak in called)
    number = 0
    with path.open("w", encoding="ascii", newline="\n") as handle:
        for contig, called in peaks.items():
            for start, end, summit, reads in called:
                number += 1
                name, score = f"{task}_peak_{number}", round(1_000 * reads / highest)
                fields = (
                    contig,
                    start,
                    end,
                    name,
                    score,
                    ".",
                    f"{reads:.3f}",
                    -1,
                    -1,
                    summit - start,
                )
                handle.write("\t".join(map(str, fields)) + "\n")


def main() -> None:
    """Write genome.fa, simulated/ and peaks/ of the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write to (demo/)")
    out: Path = parser.parse_args().out
    genome = simulate_genome(DEMO_SEED, DEMO_CONTIGS)
    (out / "simulated").mkdir(parents=True, exist_ok=True)
    write_fasta(out / "genome.fa", genome)
    write_tracks(out / "simulated" / "targets.txt", tracks_table())
    for name, letters in genome.items():
        # not compressed: other versions of zlib would write other bytes
        np.save(out / "simulated" / f"{name}.npy", simulate_tracks(letters).astype(np.float16))
    (out / "peaks").mkdir(exist_ok=True)
    binding = {name: simulate_binding(letters) for name, letters in genome.items()}
    for task, factor in enumerate(FACTORS):
        peaks = {name: call_peaks(reads[:, task]) for name, reads in binding.items()}
        write_peaks(out / "peaks" / f"{factor}.narrowPeak", factor, peaks)


if __name__ == "__main__":
    main()
