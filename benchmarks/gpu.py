"""Measure one GPU: errors of each precision, windows per second, host time per window.

    PYTHONPATH=. python benchmarks/gpu.py [--device cuda] [--minutes 9] [--output gpu]

Writes OUTPUT.md and OUTPUT.json and prints the tables. Networks have their published sizes and
random weights; --small shrinks them for a test of this script, also with `--device cpu`.

1. Ceilings: the matrix products of the device in each precision, measured on random numbers.
2. Errors: each network on the device against float32 on the CPU, one window. A share of the range
   is the largest difference over the largest minus the smallest value of the reference.
3. Speed: windows per second of the forward pass, its input and output on the device; batches double
   until memory or speed ends. borzoi-pytorch, enformer-pytorch and borzoi-pytorch's Flashzoi
   run in the same process if they are installed. Their bfloat16 is torch's autocast.
4. Sweep: `predict_chunk` along a random contig as in a job, with 100 tracks and with all of them.
   The share of the host is the wall time beyond that of the same passes, stems shared, whose output
   stays on the device. The single steps are measured on an output of the same size.
5. End to end: the workflow on the CPU and on the device, every value of the bigWigs compared.
   --weights, --architecture and --fasta choose the model and the genome; the default is the demo.

Measurements that do not fit into --minutes are left out and listed below the tables.
"""

import argparse
import json
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from seqcov_models.errors import SeqcovError
from seqcov_models.genome.fasta import Genome, open_fasta
from seqcov_models.networks import registry
from seqcov_models.networks.shared.compute import prepare_network
from seqcov_models.prediction.batch_size import choose_batch_size
from seqcov_models.prediction.batches import ContigWindows
from seqcov_models.prediction.devices import use_precision
from seqcov_models.prediction.ensemble import Ensemble
from seqcov_models.run.chunk_files import chunk_writer
from seqcov_models.run.predict import predict_chunk
from seqcov_models.tiling import Tiling, select_bins, tile

REPOSITORY = Path(__file__).resolve().parent.parent
PRECISIONS = ("float32", "tf32", "bfloat16")
TFLOP = {"Basenji2": 0.233, "Enformer": 3.284, "Borzoi": 4.910}
"""Floating-point operations per window at the published size, in 10^12."""
FLASHZOI = {
    "attention_type": "rotary",
    "attention_head_size": 192,
    "num_key_value_heads": 4,
}
TOWER = {"stem_channels": 24, "conv_tower_channels": (27, 31, 40, 48, 56, 64)}
ATTENTION = {"num_attention_heads": 2, "num_hidden_layers": 2, "intermediate_size": 64}
NETWORKS: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
    "Basenji2": (
        "basenji2", {}, {"sequence_length": 32_768, "num_labels": 50, **TOWER}
    ),
    "Enformer": (
        "enformer", {},
        {"sequence_length": 32_768, "target_length": 128, "num_labels": 50, **TOWER, **ATTENTION},
    ),
    "Borzoi": (
        "borzoi", {},
        {"sequence_length": 32_768, "target_length": 512, "num_labels": 50, **TOWER, **ATTENTION},
    ),
    "Flashzoi": (
        "borzoi", FLASHZOI,
        {"sequence_length": 32_768, "target_length": 512, "num_labels": 50, **TOWER, **ATTENTION,
         "attention_type": "rotary", "attention_head_size": 32, "attention_value_size": 32,
         "num_key_value_heads": 1, "rotary_size": 16},
    ),
    "BPNet": ("bpnet", {}, {}),
}  # fmt: skip
"""Architecture, and the fields that differ from its defaults at full size and with --small."""
BATCH_LIMIT = {"BPNet": 4096}
Errors = dict[str, float]


class Clock:
    """Times calls on one device, until a deadline."""

    def __init__(self, device: str, minutes: float) -> None:
        self.device = torch.device(device)
        self.precisions = [name for name in PRECISIONS if device != "cpu" or name != "tf32"]
        self.deadline = time.monotonic() + 60 * minutes

    @property
    def expired(self) -> bool:
        return time.monotonic() > self.deadline

    def wait(self) -> None:
        """Wait until the device has finished all calls."""
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)

    def seconds(
        self, call: Callable[[], Any], repeats: int = 9, min_seconds: float = 1.5
    ) -> list[float]:
        """Return the seconds per call after a first one: 3 or more, `min_seconds` in sum."""
        call()
        times: list[float] = []
        while len(times) < 3 or (len(times) < repeats and sum(times) < min_seconds):
            self.wait()
            began = time.perf_counter()
            call()
            self.wait()
            times.append(time.perf_counter() - began)
        return times

    def free_memory(self) -> None:
        if self.device.type == "cuda":
            torch.cuda.empty_cache()


def matmul_rates(clock: Clock, size: int) -> dict[str, float]:
    """Return the TFLOP per second of a square matrix product of random numbers, by precision."""
    rates = {}
    for precision in clock.precisions:
        dtype = torch.bfloat16 if precision == "bfloat16" else torch.float32
        a, b = (torch.randn(size, size, device=clock.device).to(dtype) for _ in range(2))
        use_precision(precision, clock.device)
        with torch.inference_mode():
            # ten products per measurement, so that the time to start them is negligible
            times = clock.seconds(lambda a=a, b=b: [a @ b for _ in range(10)])
        rates[precision] = 10 * 2 * size**3 / statistics.median(times) / 1e12
    return rates


@torch.no_grad()
def randomise(model: nn.Module, seed: int = 1) -> None:
    """Draw weights that carry the signal through all layers, and norms that differ by channel."""
    draw = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Conv1d | nn.Linear):
            gain = 2.0 if isinstance(module, nn.Conv1d) else 1.0
            deviation = (gain / module.weight[0].numel()) ** 0.5
            module.weight.normal_(0, deviation, generator=draw)
        elif isinstance(module, nn.BatchNorm1d):
            assert module.running_mean is not None
            assert module.running_var is not None
            module.weight.uniform_(0.7, 1.3, generator=draw)
            module.bias.normal_(0, 0.1, generator=draw)
            module.running_mean.normal_(0, 0.1, generator=draw)
            module.running_var.uniform_(0.7, 1.3, generator=draw)


def build(name: str, small: bool, tracks: int | None = None) -> Any:
    """Return a network of seqcov with random weights on the CPU, with `tracks` tracks."""
    from seqcov_models.checkpoints.load import build as build_network

    architecture, full, reduced = NETWORKS[name]
    config = registry.NETWORKS[architecture].config_class.from_dict(reduced if small else full)
    torch.manual_seed(0)  # biases keep torch's initialisation
    model = build_network(config).eval()
    randomise(model)
    if tracks is not None and tracks < len(model.tracks):
        model.select_tracks(range(tracks))
    return model


def draw_codes(model: Any, windows: int, seed: int = 2) -> np.ndarray[Any, np.dtype[np.uint8]]:
    """Return random windows as codes, with some unknown bases."""
    draw = np.random.default_rng(seed)
    shape = (windows, model.geometry.window)
    return draw.choice(5, shape, p=[0.247, 0.247, 0.247, 0.247, 0.012]).astype(np.uint8)


def move_to_device(model: Any, precision: str, clock: Clock) -> Any:
    """Return `model` on the device as a prediction in `precision` uses it."""
    return prepare_network(model.to(clock.device), precision)


def bind_forward(model: Any, codes: Tensor) -> Callable[[], Tensor]:
    return lambda: model.postprocess(model(codes, output_contexts=False))[0]


def compare(reference: Tensor, values: Tensor) -> Errors:
    """Return the largest difference as a share of the range, and the mean relative difference."""
    reference, values = reference.double(), values.double()
    difference = (values - reference).abs()
    if not difference.isfinite().all():
        return {"largest": np.inf, "mean": np.inf}
    if not difference.any():  # also if all values are the same, as a track of unknown bases may be
        return {"largest": 0.0, "mean": 0.0}
    # the range of a contig of one bin is 0: its value is used instead
    value_range = float(reference.max() - reference.min()) or float(reference.abs().max())
    return {
        "largest": float(difference.max()) / value_range if value_range else np.inf,
        "mean": float(difference.mean() / reference.abs().mean()),
    }


def measure_errors(name: str, small: bool, clock: Clock) -> dict[str, Errors]:
    """Return the errors of each precision on the device against float32 on the CPU."""
    model = build(name, small)
    codes = torch.from_numpy(draw_codes(model, 1))
    use_precision("float32", clock.device)
    with torch.inference_mode():
        reference = bind_forward(model, codes)().float()
    errors = {}
    for precision in clock.precisions:
        # a fresh copy, since a precision may change the weights in place
        model = move_to_device(build(name, small), precision, clock)
        use_precision(precision, clock.device)
        with torch.inference_mode():
            errors[precision] = compare(
                reference, bind_forward(model, codes.to(clock.device))().float().cpu()
            )
        del model
        clock.free_memory()
    return errors


def sweep(clock: Clock, forward: Callable[[int], Callable[[], Any]], limit: int) -> dict[str, Any]:
    """Return the best windows per second over batches that double, its batch, range and memory."""
    best: dict[str, Any] = {"rate": 0.0}
    batch = 1
    while batch <= limit and not clock.expired:
        if clock.device.type == "cuda":
            torch.cuda.reset_peak_memory_stats(clock.device)
        try:
            times = clock.seconds(forward(batch))
        except torch.OutOfMemoryError:
            clock.free_memory()
            break
        rates = [batch / seconds for seconds in times]
        rate = statistics.median(rates)
        used = total = 0
        if clock.device.type == "cuda":
            used = torch.cuda.max_memory_allocated(clock.device)
            total = torch.cuda.get_device_properties(clock.device).total_memory
        gain = rate / best["rate"] if best["rate"] else 2.0
        if gain > 1:
            best = {
                "rate": rate, "low": min(rates), "high": max(rates), "batch": batch,
                "gigabytes": used / 1e9,
            }  # fmt: skip
        if gain < 1.03 or 2 * used > 0.95 * total > 0:
            break
        batch *= 2
    return best


def measure_speed(name: str, small: bool, precision: str, clock: Clock) -> dict[str, Any]:
    """Return the windows per second of a network of seqcov."""
    model = move_to_device(build(name, small), precision, clock)

    def forward(batch: int) -> Callable[[], Tensor]:
        return bind_forward(model, torch.from_numpy(draw_codes(model, batch)).to(clock.device))

    use_precision(precision, clock.device)
    with torch.inference_mode():
        return sweep(clock, forward, BATCH_LIMIT.get(name, 32) if not small else 2)


def _enformer_pytorch(small: bool) -> tuple[nn.Module, int, bool]:
    from enformer_pytorch import Enformer

    if small:
        return Enformer.from_hparams(dim=384, depth=1, heads=2, target_length=128), 32_768, False
    return Enformer.from_hparams(dim=1536), 196_608, False


def _borzoi_pytorch(small: bool, flashed: bool = False) -> tuple[nn.Module, int, bool]:
    from borzoi_pytorch import Borzoi

    if small:
        sizes = {"dim": 512, "depth": 1, "heads": 4, "bins_to_return": 512}  # its smallest
        return Borzoi.from_hparams(flashed=flashed, **sizes), 32_768, True
    return Borzoi.from_hparams(dim=1536, flashed=flashed), 524_288, True


PEERS: dict[tuple[str, str], Callable[[bool], tuple[nn.Module, int, bool]]] = {
    ("Enformer", "enformer-pytorch"): _enformer_pytorch,
    ("Borzoi", "borzoi-pytorch"): _borzoi_pytorch,
    ("Flashzoi", "borzoi-pytorch"): lambda small: _borzoi_pytorch(small, flashed=True),
}
"""Function that returns the module, its window and whether channels come first, by network."""


def measure_peer_speed(
    network: str, project: str, small: bool, precision: str, clock: Clock
) -> dict[str, Any]:
    """Return the windows per second of another project's network, or why it was not measured."""
    try:
        module, window, channels_first = PEERS[network, project](small)
        module = module.eval().to(clock.device)
    except (ImportError, RuntimeError, AttributeError, TypeError, OSError) as error:
        return {"reason": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}
    draw = torch.Generator().manual_seed(3)

    def forward(batch: int) -> Callable[[], Any]:
        codes = torch.randint(4, (batch, window), generator=draw)
        letters = nn.functional.one_hot(codes, 4).float().to(clock.device)
        letters = letters.transpose(1, 2).contiguous() if channels_first else letters

        def call() -> Any:
            with torch.autocast(clock.device.type, torch.bfloat16, enabled=precision == "bfloat16"):
                return module(letters)

        return call

    try:
        # bfloat16 of another project is autocast; tf32 is the same as in seqcov
        with torch.inference_mode():
            tf32 = precision == "tf32"
            torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = tf32
            return sweep(clock, forward, 1 if small else 16)
    except (RuntimeError, TypeError, AttributeError) as error:
        return {"reason": f"{type(error).__name__}: {str(error).partition(chr(10))[0]}"}


def measure_sweep(
    name: str, small: bool, tracks: int | None, precision: str, clock: Clock
) -> dict[str, Any]:
    """Return milliseconds per window along a contig: device alone, wall, steps of the host."""
    model = build(name, small, tracks)
    ensemble, size = Ensemble([model]).to(str(clock.device)), model.geometry
    batch = choose_batch_size(ensemble, precision)
    windows = max(2, batch) * 4
    draw = np.random.default_rng(4)
    letters = draw.choice(np.frombuffer(b"ACGT", np.uint8), windows * size.core)
    tiling = Tiling.from_overlap(size)
    with tempfile.TemporaryDirectory() as folder:
        fasta = Path(folder, "genome.fa")
        fasta.write_bytes(b">contig\n" + letters.tobytes() + b"\n")
        opened = open_fasta(fasta, folder)
        selected = select_bins(opened.contigs, size.bin, None, [])
        segments = tile(opened.contigs, tiling, selected)
        genome = Genome(opened)
        margin = ensemble.stem_margin(size.core)

        def read(numbers: range, sweep: object) -> ContigWindows:
            starts = [number * size.core - size.context for number in numbers]
            fetch = partial(genome.fetch, "contig")
            return ContigWindows.read(fetch, starts, size.window, margin or 0, sweep)

        def predict() -> Any:
            return predict_chunk(
                ensemble, tiling, genome, segments, selected, Path(folder, "chunk.npy"),
                batch_size=batch, precision=precision,
            )  # fmt: skip

        def predict_on_device() -> None:
            for part in batches:
                ensemble.compute_coverage(part if margin is not None else part.codes, precision)

        use_precision(precision, clock.device)
        device = []
        with torch.inference_mode():
            for _ in range(3):  # the first chooses kernels and takes memory
                numbers, sweep = range(windows), object()
                batches = [read(numbers[i : i + batch], sweep) for i in numbers[::batch]]
                clock.wait()
                began = time.perf_counter()
                predict_on_device()
                clock.wait()
                device.append((time.perf_counter() - began) / windows)
            output = ensemble.compute_coverage(batches[0].codes, precision)
        predict()
        clock.wait()
        began = time.perf_counter()
        seconds = predict()
        clock.wait()
        wall = (time.perf_counter() - began) / windows
        genome.close()
        steps = _measure_steps(output, Path(folder), clock)
    alone = min(device[1:])
    return {
        "windows per second": 1 / wall, "tracks": len(model.tracks), "batch": batch,
        "device": 1e3 * alone, "wall": 1e3 * wall, "host share": max(0.0, 1 - alone / wall),
        **{step: 1e3 * value / windows for step, value in vars(seconds).items()},
        **{step: 1e3 * value / batch for step, value in steps.items()},
    }  # fmt: skip


def _measure_steps(output: Tensor, folder: Path, clock: Clock) -> dict[str, float]:
    """Return the seconds of each step that a batch (windows, bins, tracks) may need on the host."""
    batch, bins, tracks = output.shape
    host = output.cpu().numpy()
    transposed = np.ascontiguousarray(host.transpose(0, 2, 1))
    unknown = np.zeros((bins, 1), np.float32)

    def write(values: Any) -> None:
        with chunk_writer(folder / "steps.npy", tracks + 1, bins * batch) as writer:
            for index, window in enumerate(values):
                writer(index * bins, window, unknown)

    calls: dict[str, Callable[[], Any]] = {
        "copy to the host": lambda: output.cpu(),
        "finite, host": lambda: np.isfinite(host).all(),
        "finite, device": lambda: bool(torch.isfinite(output).all()),
        "transpose, host": lambda: np.ascontiguousarray(host.transpose(0, 2, 1)),
        "transpose, device": lambda: output.transpose(1, 2).contiguous(),
        "write by bin": lambda: write(host),
        "write by track": lambda: write(transposed.transpose(0, 2, 1)),
    }
    if clock.device.type == "cuda":
        pinned = torch.empty(output.shape, pin_memory=True)
        calls["copy, pinned"] = lambda: pinned.copy_(output, non_blocking=True)
    return {
        name: statistics.median(clock.seconds(call, min_seconds=0.5))
        for name, call in calls.items()
    }


def compare_runs(arguments: argparse.Namespace, clock: Clock) -> dict[str, Any]:
    """Run the workflow on the CPU and on the device in each precision; compare all bigWigs."""
    with tempfile.TemporaryDirectory() as folder:
        runs = {"cpu, float32": ("cpu", "float32")}
        runs |= {
            f"{arguments.device}, {precision}": (arguments.device, precision)
            for precision in clock.precisions
        }
        values = {}
        for name, (device, precision) in runs.items():
            outcome = _read_bigwigs(
                arguments, Path(folder, f"{device}-{precision}"), device, precision
            )
            if isinstance(outcome, str):
                return {"reason": outcome}
            values[name] = outcome
    reference = values.pop("cpu, float32")
    comparison: dict[str, Any] = {"bigWigs": len(reference)}
    for name, files in values.items():
        if files.keys() != reference.keys():
            return {"reason": f"{name}: other bigWigs than on the CPU"}
        pairs = [
            (torch.from_numpy(reference[key]), torch.from_numpy(files[key])) for key in reference
        ]
        if any(not torch.equal(a.isnan(), b.isnan()) for a, b in pairs):
            return {"reason": f"{name}: bigWigs have values at other bases than on the CPU"}
        errors = [compare(a[~a.isnan()], b[~b.isnan()]) for a, b in pairs]
        comparison[name] = {
            "largest": max(error["largest"] for error in errors),
            "mean": statistics.mean(error["mean"] for error in errors),
        }
    return comparison


def _read_bigwigs(
    arguments: argparse.Namespace, folder: Path, device: str, precision: str
) -> dict[str, Any] | str:
    """Run the workflow; return every base of its bigWigs by name and contig, or an error."""
    try:
        import pyBigWig
    except ImportError as error:
        return str(error)
    folder.mkdir()
    model = {"architecture": arguments.architecture, "weights": str(arguments.weights.resolve())}
    config = {
        "genome": {"name": "genome", "fasta": str(arguments.fasta.resolve())},
        "models": {"model": model},
        "prediction": {"device": device, "precision": precision, "threads": arguments.threads},
    }
    (folder / "run.yaml").write_text(json.dumps(config))
    command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
    command += ["--cores", str(arguments.threads), "--configfile", "run.yaml", "--quiet"]
    command += ["--until", "write_coverage_bigwigs"]
    completed = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if completed.returncode:
        return f"the workflow failed in {precision} on {device}: {completed.stderr.strip()[-300:]}"
    values = {}
    for path in sorted(folder.glob("results/**/*.bw")):
        with pyBigWig.open(str(path)) as file:
            for contig, length in file.chroms().items():
                key = f"{path.relative_to(folder)} {contig}"
                values[key] = np.asarray(file.values(contig, 0, length, numpy=True))
    return values or "the workflow wrote no bigWigs"


def format_table(header: list[str], rows: list[list[str]]) -> str:
    """Return rows as a table in Markdown."""
    lines = [header, ["---"] * len(header), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def format_number(value: float, digits: int = 3) -> str:
    return f"{value:.{digits}g}"


def format_report(results: dict[str, Any]) -> str:
    """Return all tables as Markdown."""
    rates = results["matmul"]
    parts = [
        f"{results['device']}, torch {results['torch']}, {results['note']}",
        "Measured matrix products, TFLOP per second: "
        + ", ".join(f"{name} {format_number(rate)}" for name, rate in rates.items()),
    ]
    rows = [
        [name, precision, f"{error['largest']:.1e}", f"{error['mean']:.1e}"]
        for name, result in results["errors"].items()
        for precision, error in result.items()
    ]
    parts.append(
        format_table(["network", "precision", "largest, share of range", "mean relative"], rows)
    )
    rows = []
    for key, result in results["speed"].items():
        network, project, precision = key.split("/")
        if result.get("rate"):
            share = TFLOP.get(network, 0) * result["rate"] / rates[precision]
            rows.append([
                network, project, precision, format_number(result["rate"]),
                f"{format_number(result['low'])} to {format_number(result['high'])}",
                str(result["batch"]),
                format_number(result["gigabytes"]),
                f"{share:.0%}" if share and not results["small"] else "–",
            ])  # fmt: skip
        else:
            reason = result.get("reason", "not measured: out of time or memory")
            rows.append([network, project, precision, reason, "–", "–", "–", "–"])
    header = ["network", "project", "precision", "windows per second", "lowest to highest"]
    header += ["batch", "GB", "share of the measured rate"]
    parts.append(format_table(header, rows))
    if results["sweep"]:
        names = [name for name in next(iter(results["sweep"].values())) if name != "host share"]
        rows = [
            [key.replace("/", ", "), f"{result['host share']:.0%}"]
            + [format_number(result[name]) for name in names]
            for key, result in results["sweep"].items()
        ]
        parts.append("A job's sweep along a contig, milliseconds per window:")
        parts.append(format_table(["network", "host share of the wall time", *names], rows))
    comparison = results["end to end"]
    if "reason" in comparison:
        parts.append(f"End to end: not compared: {comparison['reason']}")
    else:
        rows = [
            [name, f"{error['largest']:.1e}", f"{error['mean']:.1e}"]
            for name, error in comparison.items()
            if name != "bigWigs"
        ]
        parts.append(f"End to end, {comparison['bigWigs']} contigs of bigWigs against the CPU's:")
        parts.append(
            format_table(["run", "largest, share of a track's range", "mean relative"], rows)
        )
    if results["left out"]:
        parts.append("Left out for lack of time: " + "; ".join(results["left out"]))
    return "\n\n".join(parts) + "\n"


def find_device_name(device: torch.device) -> str:
    if device.type == "cuda":
        return torch.cuda.get_device_name(device)
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.processor()


def measure(
    arguments: argparse.Namespace, save: Callable[[dict[str, Any]], None]
) -> dict[str, Any]:
    """Return all measurements; call `save` after each, so that an interrupt loses only one."""
    clock = Clock(arguments.device, arguments.minutes)
    small = arguments.small
    results: dict[str, Any] = {
        "device": find_device_name(clock.device), "torch": torch.__version__, "small": small,
        "note": "small networks: a test of the script, not a result" if small else "full size",
        "errors": {}, "speed": {}, "sweep": {}, "end to end": {"reason": "not reached"},
        "left out": [],
    }  # fmt: skip

    @contextmanager
    def step(name: str) -> Iterator[None]:
        began = time.monotonic()
        yield
        clock.free_memory()
        print(f"{name}: {time.monotonic() - began:.1f} s", file=sys.stderr, flush=True)
        save(results)

    def has_time(name: str) -> bool:
        if clock.expired:
            results["left out"].append(name)
        return not clock.expired

    with step("matmul"):
        results["matmul"] = matmul_rates(clock, 512 if small else 8192)
    for name in arguments.networks:
        if has_time(f"errors of {name}"):
            with step(f"errors of {name}"):
                results["errors"][name] = measure_errors(name, small, clock)
    # the most important first: seqcov in bfloat16, the host, the others
    for precision in reversed(clock.precisions):
        for name in arguments.networks:
            key = f"{name}/seqcov/{precision}"
            if has_time(key):
                with step(key):
                    results["speed"][key] = measure_speed(name, small, precision, clock)
        for name in arguments.networks:
            for tracks in (10 if small else 100, None):
                key = f"{name}/{tracks or 'all'} tracks/{precision}"
                if name != "BPNet" and has_time(key):
                    with step(key):
                        results["sweep"][key] = measure_sweep(name, small, tracks, precision, clock)
        for network, project in PEERS:
            key = f"{network}/{project}/{precision}"
            if network in arguments.networks and not arguments.no_peers and has_time(key):
                with step(key):
                    results["speed"][key] = measure_peer_speed(
                        network, project, small, precision, clock
                    )
    if has_time("end to end"):
        with step("end to end"):
            results["end to end"] = compare_runs(arguments, clock)
    return results


def main() -> None:
    """Measure, print and write the tables."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--device", default="cuda", choices=["cuda", "cpu"])
    parser.add_argument("--small", action="store_true", help="small networks, to test the script")
    parser.add_argument("--minutes", type=float, default=9)
    parser.add_argument("--networks", nargs="*", default=list(NETWORKS), choices=list(NETWORKS))
    parser.add_argument("--no-peers", action="store_true", help="leave other projects out")
    parser.add_argument("--output", type=Path, default=Path("gpu"))
    parser.add_argument("--architecture", default="borzoi")
    parser.add_argument("--weights", type=Path, default=REPOSITORY / "demo" / "borzoi")
    parser.add_argument("--fasta", type=Path, default=REPOSITORY / "demo" / "genome.fa")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    arguments = parser.parse_args()
    if arguments.device == "cuda" and not torch.cuda.is_available():
        raise SystemExit("gpu.py: torch sees no GPU here; use --device cpu --small to test")
    torch.set_num_threads(arguments.threads)

    def save(results: dict[str, Any]) -> None:
        arguments.output.with_suffix(".json").write_text(json.dumps(results, indent=2) + "\n")

    try:
        results = measure(arguments, save)
    except SeqcovError as error:
        raise SystemExit(f"gpu.py: {error}") from None
    save(results)
    text = format_report(results)
    arguments.output.with_suffix(".md").write_text(text, encoding="utf-8")
    print(text)


if __name__ == "__main__":
    main()
