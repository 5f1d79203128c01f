"""Simulate a genome, its coverage tracks and its peaks from seeds; write the files of demo/.

Two independent steps. `simulate_genome` writes DNA: a background with drifting GC content and few
CpGs, and in it enhancers, CTCF sites and genes. `simulate_tracks` and `simulate_binding` read DNA:
they find all motifs, planted or not, and compute the expected coverage in bins, and the reads of
four factors at each base. Both are functions of the letters alone, which a network can learn. The
other strand has the same values, mirrored. Coordinates are 0-based half-open.
"""

import argparse
import math
import sys
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from seqcov_models.bigwig.layout import Sizes
from seqcov_models.bigwig.writer import write_bigwig
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
CELLS = {"GATA": "GATA cells", "AP-1": "AP-1 cells"}  # factors that open enhancers, and their cells

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
    """A factor's binding as ChIP-nexus shows it: reads begin at the edges of the covered bases.

    Attributes:
        motif: Name of the motif in `MOTIFS`.
        height: Reads at the edge's base on strand +.
        upstream: Bases from the start of the reads on strand + to the motif's first base.
        downstream: Bases from the motif's last base to the start of the reads on strand −.
        ratio: Reads on strand − per read on strand +.
        helpers: Motifs of which a site must be near; without helpers the factor binds alone.
    """

    motif: str
    height: float
    upstream: int
    downstream: int
    ratio: float
    helpers: tuple[str, ...] = ()


class Gene(NamedTuple):
    """A gene without introns: its interval and strand."""

    start: int
    end: int
    strand: str


FACTORS = {
    "CTCF": Factor("CTCF", 40, 9, 5, 0.7),
    "GATA": Factor("GATA", 50, 7, 4, 0.8, ("GATA",)),
    "AP-1": Factor("AP-1", 25, 6, 6, 1.0, ("AP-1", "GATA")),  # a palindrome: on both strands
    "Sp1": Factor("GC box", 60, 5, 8, 1.2, ("GC box", "CCAAT")),
}
STRANDS = 2
EDGE_WIDTH, SHOULDER_WIDTH = 1.5, 40  # bp
SHOULDER_HEIGHT = 0.06  # share of the edge's height
BACKGROUND = 0.03  # reads per base and strand

SMOOTHING, SUMMIT_DISTANCE = 50, 300  # bp
MIN_READS = 40  # reads within `SMOOTHING` bp of a summit

# --- writing DNA ---------------------------------------------------------------------------------


def draw_background(rng: np.random.Generator, length: int) -> Codes:
    """Draw the DNA between the elements: 34–54 % GC, drifting over 20 kb, a quarter of the CpGs."""
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
    """Write a motif, drawn letter by letter, at `index`; on strand − if `flip`."""
    frequencies = np.array([[int(digit) for digit in row] for row in MOTIFS[name]], float)
    is_below = np.cumsum(frequencies / frequencies.sum(0), 0) < rng.random(frequencies.shape[1])
    word = is_below.sum(0).astype(np.uint8)
    codes[index : index + len(word)] = reverse_complement(word) if flip else word


def plant_enhancer(rng: np.random.Generator, codes: Codes, factor: str) -> None:
    """Write two to four sites of a factor into 240 bp, each on either strand."""
    for slot in rng.permutation(6)[: rng.integers(2, 5)]:
        plant(rng, codes, int(40 * slot + rng.integers(0, 28)), factor, rng.random() < 0.5)


def plant_gene(rng: np.random.Generator, codes: Codes) -> None:
    """Write a gene on strand +: boxes, TATA, Inr at base 300, a terminator 300 bp from the end.

    One gene in three has an enhancer in its first kilobase.
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


def draw_contig(rng: np.random.Generator, length: int) -> tuple[Codes, list[Gene]]:
    """Draw a contig and its genes: elements one after the other, 0.3 to 2 kb apart."""
    codes, genes = draw_background(rng, length), list[Gene]()
    index = 300
    while True:
        kind = rng.choice(["gene", "GATA", "AP-1", "CTCF"], p=[0.4, 0.25, 0.2, 0.15])
        size = {"gene": int(rng.integers(2_000, 8_000)) + 600, "CTCF": 40}.get(kind, 240)
        if index + size > length:
            return codes, genes
        element = codes[index : index + size]
        if kind == "gene":
            plant_gene(rng, element)
        elif kind == "CTCF":
            plant(rng, element, 10, "CTCF")
        else:
            plant_enhancer(rng, element, kind)
        is_minus = rng.random() < 0.5
        if is_minus:
            element[:] = reverse_complement(element)
        if kind == "gene":
            genes.append(Gene(index + 300, index + size - 300, "-" if is_minus else "+"))
        index += size + int(rng.integers(300, 2_000))


def add_assembly_features(rng: np.random.Generator, codes: Codes, gaps: bool) -> str:
    """Return letters as in an assembly: a third in lower case, IUPAC letters, Ns if `gaps`.

    The Ns are 1,537 bp at the contig's start and 6 kb in its middle.
    """
    letters = np.frombuffer(LETTERS.encode(), np.uint8)[codes]
    ambiguous = np.flatnonzero(rng.random(len(letters)) < 1 / 4_000)
    letters[ambiguous] = np.frombuffer(b"RYSWKM", np.uint8)[rng.integers(0, 6, len(ambiguous))]
    if gaps:
        middle = len(letters) // 2
        letters[:1_537] = letters[middle : middle + 6_000] = ord("N")
    for _ in range(len(letters) // 3_000):  # repeats of 0.1 to 2 kb
        start = rng.integers(0, len(letters))
        letters[start : start + rng.integers(100, 2_000)] |= 0x20
    return letters.tobytes().decode()


def simulate_genome(seed: int, contigs: dict[str, int]) -> Genome:
    """Return the letters of each contig, by name; the first contig has gaps."""
    rng = np.random.default_rng(seed)
    return {
        name: add_assembly_features(rng, draw_contig(rng, length)[0], gaps=number == 0)
        for number, (name, length) in enumerate(contigs.items())
    }


def simulate_genes(seed: int, contigs: dict[str, int]) -> dict[str, list[Gene]]:
    """Return the genes of each contig of `simulate_genome`, by name, from Inr to poly(A)."""
    rng, genes = np.random.default_rng(seed), dict[str, list[Gene]]()
    for number, (name, length) in enumerate(contigs.items()):
        codes, genes[name] = draw_contig(rng, length)
        letters = add_assembly_features(rng, codes, gaps=number == 0).upper()
        genes[name] = [gene for gene in genes[name] if "NN" not in letters[gene.start : gene.end]]
    return genes


# --- reading DNA ---------------------------------------------------------------------------------


def score_motif(codes: Codes, name: str) -> Floats:
    """Score each base as the start of a motif on strand +, from 0 to 1, shape (bases,).

    The log-odds are rounded to tenths of a bit: sums of integers are the same on every machine.
    """
    frequencies = np.array([[int(digit) + 0.2 for digit in row] for row in MOTIFS[name]])
    odds = 4 * frequencies / frequencies.sum(0)
    table = np.array([[round(10 * math.log2(ratio)) for ratio in row] for row in odds], np.int16)
    best = int(table.max(0).sum())
    table = np.vstack([table, np.full(table.shape[1], -1_000, np.int16)])  # an unknown base
    width, scores = table.shape[1], np.zeros(len(codes))
    if len(codes) < width:
        return scores
    log_odds = np.zeros(len(codes) - width + 1, np.int16)
    for column in range(width):
        log_odds += table[:, column][codes[column : column + len(log_odds)]]
    scores[: len(log_odds)] = np.clip((log_odds - 0.6 * best) / (0.25 * best), 0, 1)
    return scores


def score_both_strands(codes: Codes, name: str) -> Floats:
    """Score each base as the middle of a motif on either strand, the better one, from 0 to 1."""
    width = len(MOTIFS[name][0])
    plus, minus = (
        np.roll(score_motif(strand, name), width // 2)
        for strand in (codes, reverse_complement(codes))
    )
    return np.maximum(plus, minus[::-1])


def place_shapes(spikes: Floats, shape: Floats) -> Floats:
    """Return the sum of one `shape` per spike, of its height, with its middle at the spike."""
    reach = len(shape) // 2
    total = np.zeros(len(spikes) + 2 * reach)
    for position in np.flatnonzero(spikes):
        total[position : position + len(shape)] += spikes[position] * shape
    return total[reach : reach + len(spikes)]


def compute_bell(distance: Floats, sigma: float) -> Floats:
    """Return a bell of height 1 and standard deviation `sigma` bp at distances from its middle."""
    return np.asarray(np.exp(-0.5 * (distance / sigma) ** 2))


def smooth_spikes(spikes: Floats, sigma: float) -> Floats:
    """Return the sum of one bell per spike, of its height and standard deviation `sigma` bp."""
    reach = math.ceil(4 * sigma)
    return place_shapes(spikes, compute_bell(np.arange(-reach, reach + 1.0), sigma))


def compute_activity(sites: Floats) -> Floats:
    """Return the activity, 0 to 1, of a factor's sites: neighbours raise it more than linearly."""
    density = smooth_spikes(sites, 80) ** 2
    return density / (density + 1.5)


def score_promoters(codes: Codes, boxes: Floats) -> Floats:
    """Score each base as a start of transcription on strand +, from 0 to 1.

    A start needs an Inr, a TATA 27 to 33 bp upstream and boxes 35 to 250 bp upstream.
    """
    strength, tata = np.zeros(len(codes)), score_motif(codes, "TATA")
    inr = np.roll(score_motif(codes, "Inr"), 2)
    for index in np.flatnonzero(inr):
        if index >= 250 and (best := tata[index - 33 : index - 26].max()) > 0:
            upstream = boxes[index - 250 : index - 35].sum()
            strength[index] = inr[index] * best * upstream / (upstream + 1)
    return strength


def transcribe(codes: Codes, start: Floats) -> Floats:
    """Return the polymerases on each base of strand +.

    They begin at `start`, halve every 12 kb, and leave at a terminator: a poly(A) signal with a
    GU-rich element 16 to 30 bp behind it.
    """
    end, downstream = score_motif(codes, "poly(A)"), score_motif(codes, "GU-rich")
    for index in np.flatnonzero(end):
        end[index] *= downstream[index + 16 : index + 30].max(initial=0)
    polymerases, flow, last = np.zeros(len(codes)), 0.0, 0
    for index in [*np.flatnonzero(start + end), len(codes)]:
        fading = 0.5 ** (np.arange(1, index - last + 1) / 12_000)
        polymerases[last:index] = flow * fading
        if index < len(codes):
            flow = (flow * fading[-1] if index > last else flow) * (1 - end[index]) + start[index]
        last = index
    return polymerases


def simulate_tracks(letters: str) -> Coverage:
    """Compute the expected coverage of a contig, shape (bins, tracks): sums over a bin's bases.

    The last bin may be shorter than 32 bp. Unknown bases have a coverage of 0.
    """
    codes = encode(letters)
    minus = reverse_complement(codes)
    activity = {factor: compute_activity(score_both_strands(codes, factor)) for factor in CELLS}
    ctcf = score_both_strands(codes, "CTCF")
    boxes = score_both_strands(codes, "GC box") + score_both_strands(codes, "CCAAT")
    # strand − is strand + of the reverse complement, flipped
    promoters = [score_promoters(codes, boxes), score_promoters(minus, boxes[::-1])[::-1]]
    promoting = smooth_spikes(promoters[0] + promoters[1], 100)
    marked = smooth_spikes(promoters[0] + promoters[1], 400)

    distance = np.arange(-5_000, 5_001)
    effect = 0.5 ** (np.abs(distance) / 1_000) / 200  # of an enhancer's base on a promoter
    enhancers = np.pad(activity["GATA"], 5_000)
    starts = [np.zeros(len(codes)), np.zeros(len(codes))]
    for start, strength in zip(starts, promoters, strict=True):
        for index in np.flatnonzero(strength):
            start[index] = strength[index] * (0.3 + enhancers[index : index + 10_001] @ effect)
    rna = [transcribe(codes, starts[0]), transcribe(minus, starts[1][::-1])[::-1]]

    dnase = [
        0.03 + 1.2 * activity[factor] + 0.8 * promoting + 0.5 * smooth_spikes(ctcf, 70)
        for factor in CELLS
    ]
    tracks = [
        *dnase,
        0.02 + 2.0 * smooth_spikes(ctcf, 60) + 0.1 * dnase[0],
        0.02 + 1.5 * marked / (marked + 0.5),
        *(4.0 * smooth_spikes(start, 40) for start in starts),
        *(0.8 * strand for strand in rna),
    ]
    coverage = np.where(codes == UNKNOWN, 0, tracks)
    coverage = np.pad(coverage, ((0, 0), (0, -len(codes) % BIN)))
    bins: Floats = coverage.reshape(len(tracks), -1, BIN).sum(2).T
    return bins.astype(np.float32)


def build_footprint(factor: Factor) -> list[Floats]:
    """Return the reads of a site on strand + around the first base of its motif, per strand.

    They rise sharply at the edges of the covered bases, and have a low shoulder outside.
    """
    reach = 5 * SHOULDER_WIDTH
    offsets = np.arange(-reach, reach + 1.0)
    outside = (
        -offsets - factor.upstream,
        offsets - (len(MOTIFS[factor.motif][0]) - 1) - factor.downstream,
    )
    return [
        height
        * (compute_bell(bp, EDGE_WIDTH) + SHOULDER_HEIGHT * np.exp(-bp / SHOULDER_WIDTH) * (bp > 0))
        for bp, height in zip(outside, (factor.height, factor.height * factor.ratio), strict=True)
    ]


def place_reads(codes: Codes, factor: Factor, support: Floats) -> Floats:
    """Return the reads of a factor at its sites on strand +, shape (bases, strands).

    `support` is the effect of the helpers, from 0 to 1, at the middle of a motif.
    """
    middle = len(MOTIFS[factor.motif][0]) // 2
    sites = score_motif(codes, factor.motif) * np.roll(support, -middle)
    return np.stack([place_shapes(sites, shape) for shape in build_footprint(factor)], 1)


def simulate_binding(letters: str) -> Coverage:
    """Compute the expected 5' ends of reads at each base of a contig.

    Returns an array of shape (bases, tasks, strands). The tasks are `FACTORS`, the strands + and −.
    Unknown bases have 0 reads.
    """
    codes = encode(letters)
    minus = reverse_complement(codes)
    binding = np.full((len(codes), len(FACTORS), STRANDS), BACKGROUND)
    for task, factor in enumerate(FACTORS.values()):
        helpers = [score_both_strands(codes, name) for name in factor.helpers]
        support = compute_activity(np.sum(helpers, 0)) if helpers else np.ones(len(codes))
        binding[:, task] += place_reads(codes, factor, support)
        binding[:, task] += place_reads(minus, factor, support[::-1])[::-1, ::-1]
    binding[codes == UNKNOWN] = 0
    return binding.astype(np.float32)


class Peak(NamedTuple):
    """An interval, its summit, and the reads within `SMOOTHING` bp of it, of both strands."""

    start: int
    end: int
    summit: int
    reads: float


def call_peaks(reads: Coverage) -> list[Peak]:
    """Return the peaks of a task's reads, shape (bases, strands), in order.

    The reads of both strands are smoothed. A summit is the highest base within `SUMMIT_DISTANCE` bp
    with at least `MIN_READS`. Its peak reaches as far as the smoothed reads are at least a quarter
    of `MIN_READS`, and at most half of `SUMMIT_DISTANCE` to each side.
    """
    # in thousandths of reads: sums of integers are the same on every machine
    counts = np.rint(1_000.0 * reads).astype(np.int64).sum(1)
    tent = SMOOTHING - np.abs(np.arange(1 - SMOOTHING, SMOOTHING))
    smooth: Ints = np.convolve(counts, tent)[SMOOTHING - 1 :][: len(counts)] // SMOOTHING
    is_high, is_low = smooth >= 1_000 * MIN_READS, smooth < 250 * MIN_READS
    padded = np.pad(smooth, SUMMIT_DISTANCE - 1, constant_values=-1)
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * SUMMIT_DISTANCE - 1)
    rises = np.diff(smooth, prepend=-1) > 0
    peaks = []
    for summit in np.flatnonzero(is_high & rises).tolist():
        if windows[summit].argmax() == SUMMIT_DISTANCE - 1:  # the first of equally high bases
            first = max(0, summit - SUMMIT_DISTANCE // 2)
            left, right = is_low[first:summit], is_low[summit : summit + SUMMIT_DISTANCE // 2]
            start = first + int(np.flatnonzero(left).max(initial=-1)) + 1
            end = summit + int(np.flatnonzero(right).min(initial=len(right)))
            peaks.append(Peak(start, end, summit, int(smooth[summit]) / 1_000))
    return peaks


def build_track_table() -> list[Track]:
    """Return the tracks with the columns of calico's tables: sums over 32 bp, not transformed."""
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
    """Write a FASTA of 80 columns."""
    with path.open("w", encoding="ascii", newline="\n") as handle:
        for name, letters in genome.items():
            handle.write(f">{name}\n")
            handle.writelines(
                f"{letters[index : index + 80]}\n" for index in range(0, len(letters), 80)
            )


def write_genes(path: Path, genes: dict[str, list[Gene]]) -> None:
    """Write genes, by contig, as GTF: one exon each. Their names count along the genome."""
    number = 0
    with path.open("w", encoding="ascii", newline="\n") as handle:
        for contig, contig_genes in genes.items():
            for start, end, strand in contig_genes:
                number += 1
                names = f'gene_id "SIM{number:04}"; gene_name "sim-{number}";'
                transcript = f'{names} transcript_id "SIM{number:04}.1";'
                for feature, text in (("gene", names), ("exon", transcript)):
                    cells = contig, "simulated", feature, start + 1, end, ".", strand, ".", text
                    handle.write("\t".join(map(str, cells)) + "\n")


def write_peaks(path: Path, task: str, peaks: dict[str, list[Peak]]) -> None:
    """Write a task's peaks, by contig, as narrowPeak.

    The score is the share of the highest peak's reads, times 1,000. The p and q values are unknown:
    −1. The tenth column is the summit, counted from the start of the peak.
    """
    highest = max(peak.reads for contig_peaks in peaks.values() for peak in contig_peaks)
    number = 0
    with path.open("w", encoding="ascii", newline="\n") as handle:
        for contig, contig_peaks in peaks.items():
            for start, end, summit, reads in contig_peaks:
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


def write_coverage(path: Path, bin_size: int, values: dict[str, Coverage]) -> None:
    """Write coverage as a laboratory has it. Three digits compress better than seven.

    Other versions of libdeflate write other bytes of the same values.
    """
    runs = ((name, 0, bins.astype(np.float16).astype(np.float32)) for name, bins in values.items())
    write_bigwig(path, DEMO_CONTIGS, bin_size, runs, Sizes(compression=12))


def main() -> None:
    """Write genome.fa, genes.gtf, simulated/ and peaks/ of the demo."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--out", type=Path, default=DEMO, help="folder to write to (demo/)")
    folder: Path = parser.parse_args().out
    genome = simulate_genome(DEMO_SEED, DEMO_CONTIGS)
    (folder / "simulated").mkdir(parents=True, exist_ok=True)
    write_fasta(folder / "genome.fa", genome)
    write_genes(folder / "genes.gtf", simulate_genes(DEMO_SEED, DEMO_CONTIGS))
    write_tracks(folder / "simulated" / "targets.txt", build_track_table())
    coverage = {name: simulate_tracks(letters) for name, letters in genome.items()}
    for number, (identifier, *_) in enumerate(TRACKS):
        values = {name: bins[:, number] for name, bins in coverage.items()}
        write_coverage(folder / "simulated" / f"{identifier}.bw", BIN, values)
    (folder / "peaks").mkdir(exist_ok=True)
    binding = {name: simulate_binding(letters) for name, letters in genome.items()}
    for strand, sign in enumerate("+-"):
        reads_of_ctcf = {name: reads[:, 0, strand] for name, reads in binding.items()}
        write_coverage(folder / "simulated" / f"CTCF{sign}.bw", 1, reads_of_ctcf)
    for task, factor in enumerate(FACTORS):
        peaks = {name: call_peaks(reads[:, task]) for name, reads in binding.items()}
        write_peaks(folder / "peaks" / f"{factor}.narrowPeak", factor, peaks)


if __name__ == "__main__":
    main()
