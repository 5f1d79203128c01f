"""Print the shares of a run's wall time: python benchmarks/where_time_goes.py CONFIG [CORES].

Runs the workflow in a temporary folder (so paths in CONFIG must be absolute) and adds up the
seconds in its jobs' logs: the model, waiting for sequence, writing chunks, writing bigWigs (the
time in which at least one job writes).
The rest of the wall time is the start of processes: Snakemake, Python, torch, loading weights.
Also prints the peak memory of each kind of job.
"""

import re
import subprocess
import sys
import tempfile
import time
from datetime import datetime
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PEAK = re.compile(r"peak memory (\d+) MB")
LINE = re.compile(r"^(\S+ \S+) INFO (.*\d s)$", re.MULTILINE)


def main(config: Path, cores: str) -> None:
    """Run `config` and print the shares and the peak memory."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "snakemake", "--snakefile", str(REPOSITORY / "Snakefile")]
        command += ["--cores", cores, "--configfile", str(config.resolve()), "--quiet"]
        began = time.perf_counter()
        subprocess.run(command, cwd=folder, check=True, stderr=subprocess.DEVNULL)
        wall = time.perf_counter() - began
        logs = Path(folder, "logs")
        steps = {"model": 0.0, "reading": 0.0, "stitching": 0.0, "writing": 0.0}
        spans = []
        for log in logs.rglob("*.log"):
            for stamp, message in LINE.findall(log.read_text()):
                end = datetime.strptime(stamp, "%Y-%m-%d %H:%M:%S,%f").timestamp()
                seconds = {k: float(v) for k, v in re.findall(r"(\w+) ([\d.]+) s", message)}
                if "bigwigs" in seconds:
                    spans.append((end - seconds["bigwigs"], end))
                for step in steps:
                    steps[step] += seconds.get(step, 0)
        shares = {
            "the model": steps["model"],
            "waiting for sequence": steps["reading"],
            "stitching windows": steps["stitching"],
            "writing chunks": steps["writing"],
            "writing bigWigs": count_seconds(spans),
        }
        shares["processes starting"] = wall - sum(shares.values())
        print(f"| {config.stem}, {cores} cores | seconds | share |\n|---|---|---|")
        for name, seconds in (shares | {"whole run": wall}).items():
            print(f"| {name} | {seconds:.2f} | {seconds / wall:.1%} |")
        for rule in ("predict_coverage", "compress_range", "write_coverage_bigwigs"):
            texts = [log.read_text() for log in logs.rglob(f"*/{rule}/*.log")]
            peaks = [int(peak) for text in texts for peak in PEAK.findall(text)]
            if peaks:
                print(f"peak memory of a {rule} job: {max(peaks)} MB")


def count_seconds(spans: list[tuple[float, float]]) -> float:
    """Return the seconds that at least one of the spans covers."""
    total, reach = 0.0, float("-inf")
    for start, end in sorted(spans):
        total += max(0.0, end - max(start, reach))
        reach = max(reach, end)
    return total


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2] if len(sys.argv) > 2 else "2")
