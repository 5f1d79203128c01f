"""Faults of machines: devices, disks, rights, and clusters."""

import errno
import os
import re
import stat
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from seqcov_models.browsers.igv_js import find_igv_js
from seqcov_models.errors import SeqcovError
from seqcov_models.files import make_cache_folder, write_atomically
from seqcov_models.locks import begin_run
from seqcov_models.prediction.devices import Device, lease, use_precision
from seqcov_models.run.chunk_files import chunk_writer
from seqcov_models.run.costs import check_space, check_writable
from seqcov_models.run.coverage_plan import CoveragePlan
from seqcov_models.run.estimate import check_gpu
from seqcov_models.run.peak_sets import count_peaks
from seqcov_models.run.planner import plan_run
from seqcov_models.run.slurm import Nodes, Request, end_jobs, find_unmet, read_configuration
from support.bad_inputs import Case, plan, setting
from support.plans import Config, changed, complete, set_free_space

PatchedRefused = Callable[[Config, pytest.MonkeyPatch], object]


def patched(what: str, refused: PatchedRefused) -> Case:
    """Return the case of a machine that is changed for it."""

    def with_patch(config: Config) -> None:
        with pytest.MonkeyPatch.context() as patch:
            refused(config, patch)

    return what, with_patch


def without_gpu(visible: str | None) -> PatchedRefused:
    """Return the function that demands a GPU where torch sees none."""

    def refused(_: Config, patch: pytest.MonkeyPatch) -> None:
        for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
            patch.delenv(name, raising=False)
        if visible is not None:
            patch.setenv("CUDA_VISIBLE_DEVICES", visible)
        patch.setattr(torch.cuda, "is_available", lambda: False)
        patch.setattr(torch.version, "cuda", "12.8")
        Device("cuda")

    return refused


def built_without_gpus(_: Config, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(torch.cuda, "is_available", lambda: False)
    patch.setattr(torch.version, "cuda", None)
    patch.setattr(torch.version, "hip", None)
    patch.setattr(torch.backends.mps, "is_available", lambda: False)
    Device("cuda")


def linked_lock(_: Config) -> None:
    Path("locks").mkdir()
    Path("locks/GPU-0.lock").symlink_to("thesis.txt")
    lease(["GPU-0"], Path("locks"))


def tf32_without_gpu(config: Config, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("seqcov_models.run.estimate.has_gpu", lambda: False)
    run = plan_run(complete(changed(config, "prediction", {"precision": "tf32"})))
    check_gpu(run, count_peaks(run.profiles))


def without_igv_js(_: Config, patch: pytest.MonkeyPatch) -> None:
    patch.setattr("importlib.util.find_spec", lambda name: None)
    find_igv_js()


DEVICES: list[Case] = [
    setting("prediction", {"precision": "tf32", "device": "cpu"}),
    patched("`precision: tf32`, `device: auto` and no GPU, without a cluster", tf32_without_gpu),
    ("tf32 on a processor", lambda _: use_precision("tf32", torch.device("cpu"))),
    patched("`device: cuda`, and torch is built without GPUs", built_without_gpus),
    patched("`device: cuda` on a machine without a GPU", without_gpu(None)),
    patched("`device: cuda`, and CUDA_VISIBLE_DEVICES is empty", without_gpu("")),
    patched("`device: cuda`, and CUDA_VISIBLE_DEVICES names a GPU that is not there",
            without_gpu("7")),
    ("the lock of a GPU is a link that somebody planted", linked_lock),
]  # fmt: skip


def blocked(what: str, name: str) -> Case:
    """Return the case of a file that has the name of a folder of the results."""

    def refused(config: Config) -> None:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("a file")
        plan(config)

    return what, refused


def too_small(config: Config, patch: pytest.MonkeyPatch) -> None:
    set_free_space(patch, 5_000)
    run = plan_run(complete(changed(config, "models", {"tiny": config["models"]["tiny"]})))
    check_space(run, {})


def full_disk(number: int, while_writing: bool) -> PatchedRefused:
    """Return the function that writes a chunk or another file onto a full disk."""

    def refused(_: Config, patch: pytest.MonkeyPatch) -> None:
        def fail(*_: object) -> None:
            raise OSError(number, os.strerror(number))

        set_free_space(patch, 5_000)
        if while_writing:
            with write_atomically(Path("tracks.tsv")) as part:
                part.write_text("half")
                fail()
        patch.setattr(os, "posix_fallocate", fail)
        with chunk_writer(Path("0.npy"), 10, 1_000):
            pass

    return refused


def without_permission(config: Config, patch: pytest.MonkeyPatch) -> None:
    patch.setattr(os, "access", lambda path, mode: False)
    plan(config)


def logs_are_a_file(_: Config) -> None:
    Path("logs").touch()
    check_writable(Path("logs"), "log folder")


def locked(_: Config) -> None:
    import fcntl

    Path("results").mkdir()
    with Path("results/.lock").open("w") as holder:
        fcntl.flock(holder, fcntl.LOCK_EX)
        begin_run(Path("results"))


def linked(_: Config) -> None:
    Path("results").mkdir()
    Path("results/.lock").symlink_to("thesis.txt")
    begin_run(Path("results"))


def without_cache(_: Config, patch: pytest.MonkeyPatch) -> None:
    Path("home").touch()
    Path("tmp").mkdir()
    Path(f"tmp/seqcov-{os.getuid()}").mkdir()
    Path(f"tmp/seqcov-{os.getuid()}").chmod(0o777)
    patch.setenv("XDG_CACHE_HOME", "home/cache")
    patch.setattr("tempfile.tempdir", "tmp")
    try:
        make_cache_folder()
    except SeqcovError as error:
        raise SeqcovError(str(error).replace(f"-{os.getuid()}", "-1000")) from None


def future(what: str, name: str) -> Case:
    """Return the case of an input that is dated in the future."""

    def refused(config: Config) -> None:
        os.utime(name, (4_000_000_000, 4_000_000_000))
        try:
            plan(config)
        except SeqcovError as error:  # the time zone is that of the machine
            raise SeqcovError(
                re.sub(r"2096-\S+ \S+,", "2096-10-02 07:06:40,", str(error))
            ) from None

    return what, refused


def damaged_plan(_: Config) -> None:
    Path("plan.json").write_text("{")
    CoveragePlan.load("plan.json")


PACKAGES: list[Case] = [patched("igv-notebook is not installed", without_igv_js)]

DISKS: list[Case] = [
    patched("the disk is too small for the run", too_small),
    patched("the disk is full when a chunk begins", full_disk(errno.ENOSPC, False)),
    patched("the quota is used up when a chunk begins", full_disk(errno.EDQUOT, False)),
    patched("the disk becomes full while a file is written", full_disk(errno.ENOSPC, True)),
    patched("a file is larger than `ulimit -f` allows", full_disk(errno.EFBIG, True)),
    patched("no permission to write the results", without_permission),
    blocked("the results folder is a file", "results"),
    blocked("the genome's folder is a file", "results/g"),
    blocked("a model's folder is a file", "results/g/tiny"),
    ("the folder of the logs is a file", logs_are_a_file),
    ("another run writes into the results", locked),
    ("the lock of the results is a link that somebody planted", linked),
    patched("no folder of the user's own for caches and locks", without_cache),
    ("a document of the plan is damaged", damaged_plan),
    future("the FASTA is dated in the future", "g.fa"),
    future("the weights are dated in the future", "tiny/model.h5"),
    future("a file of peaks is dated in the future", "b.bed"),
]


def program(name: str, script: str, refused: Callable[[], object]) -> PatchedRefused:
    """Return the function that calls something while a program of Slurm is a script."""

    def call(_: Config, patch: pytest.MonkeyPatch) -> None:
        Path("bin").mkdir()
        for other in ("scancel", name):
            Path("bin", other).write_text(f"#!/bin/sh\n{script if other == name else ''}\n")
            Path("bin", other).chmod(stat.S_IRWXU)
        patch.setenv("PATH", f"{Path('bin').absolute()}:{os.environ['PATH']}")
        refused()

    return call


def request(what: str, **amounts: int | str | tuple[str, ...]) -> Case:
    """Return the case of a rule that asks for more than any node has."""

    def refused(_: Config) -> None:
        values = {"rule": "predict_coverage", "partitions": ("gpu",), "cpus": 1, "memory": 1_000,
                  "gpus": 0, "gpu_type": "", "minutes": 10} | amounts  # fmt: skip
        nodes = [
            Nodes("gpu", 2, 16_000, {"a100": 4}, 240),
            Nodes("cpu", 64, 512_000, {}, None),
        ]
        raise SeqcovError(find_unmet(Request(**values), nodes) or "it fits")  # type: ignore[arg-type]

    return what, refused


CLUSTERS: list[Case] = [
    request("`threads: 8`, and the nodes have 2 CPUs", cpus=8),
    request("more memory than a node has", memory=64_000),
    request("more GPUs than a node has", gpus=8),
    request("a type of GPU that no node has", gpus=1, gpu_type="h100"),
    request("a longer time than the partition allows", minutes=600),
    request("a partition that does not exist", partitions=("gpus",)),
    patched("Slurm's controller is down",
            program("scontrol", "echo 'Unable to contact slurm controller' >&2; exit 1",
                    read_configuration)),
    patched("jobs of a killed run do not end",
            program("squeue", "echo 12", lambda: end_jobs(["12"], patience=0.01, poll=0.02))),
]  # fmt: skip
