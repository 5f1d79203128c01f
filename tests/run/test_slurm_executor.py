"""The executor for Slurm without Snakemake around it; Slurm's programs are stand-ins here."""

import asyncio
import logging
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import snakemake_executor_plugin_slurm as plugin

from seqcov_models.run.slurm import Request, name_prefix
from seqcov_models.run.slurm_executor import Executor, prepare_slurm, request_of_job
from support.programs import Program


@pytest.fixture
def executor(monkeypatch: pytest.MonkeyPatch) -> Executor:
    """Return an executor as Snakemake has prepared it; its own reports are in `reports`."""
    executor = Executor.__new__(Executor)
    executor.ended, executor.written, executor.missing, executor.earlier = set(), set(), {}, {}
    executor.is_silent, executor.is_cancelled = False, threading.Event()
    executor.run_uuid, executor.logger = "seqcov_x", logging.getLogger("slurm")
    executor.wait, executor.lock, executor.active_jobs = True, threading.Lock(), []
    executor.reports = []
    monkeypatch.setattr(Executor, "get_status_command", lambda _: "squeue")
    for name in ("report_job_success", "report_job_error"):
        monkeypatch.setattr(
            plugin.Executor, name,
            lambda self, info, *_, name=name, **words: self.reports.append((name, info, words)),
        )  # fmt: skip
    return executor


class Job(SimpleNamespace):
    """A job of Snakemake."""

    __hash__ = object.__hash__


def submit(executor: Executor, monkeypatch: pytest.MonkeyPatch, *output: Path) -> Any:
    """Submit a job with these outputs; return what the executor knows about it."""
    monkeypatch.setattr(plugin.Executor, "run_job", lambda *_: None)
    job = Job(output=list(map(str, output)))
    executor.run_job(job)
    return SimpleNamespace(job=job, external_jobid="17")


@pytest.mark.parametrize(("is_made", "report"), [(True, "success"), (False, "error")])
def test_new_outputs_tell_whether_a_forgotten_job_has_succeeded(
    is_made: bool,
    report: str,
    program: Program,
    executor: Executor,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    program("squeue", "true")
    (tmp_path / "earlier").write_text("of an earlier run, which Snakemake has not deleted yet")
    info = submit(executor, monkeypatch, tmp_path / "earlier")
    assert not executor.is_forgotten("17", executor.known_jobs())
    assert executor.is_forgotten("17", executor.known_jobs())
    if is_made:
        (tmp_path / "earlier").unlink()
        (tmp_path / "earlier").write_text("of this run")
    executor.report_forgotten(info)
    ((name, reported, _),) = executor.reports
    assert (name, reported) == (f"report_job_{report}", info)
    assert executor.ended == {"17"}


def test_no_job_is_lost_while_slurm_does_not_answer(
    program: Program, executor: Executor, caplog: pytest.LogCaptureFixture
) -> None:
    program("squeue", "echo 'Unable to contact slurm controller' >&2; exit 1")

    async def ask() -> list[Any]:
        return [info async for info in executor.check_active_jobs([job])]

    job = SimpleNamespace(external_jobid="17")
    assert asyncio.run(ask()) == asyncio.run(ask()) == [job]
    program("squeue", "echo 17")
    assert executor.known_jobs() == {"17"}
    assert [record.message for record in caplog.records] == [
        "Slurm does not answer (squeue: Unable to contact slurm controller); start again when it"
        " does. Its jobs go on; asking again until it answers.",
        "Slurm answers again.",
    ]


def test_the_end_of_a_job_is_asked_for_soon_after_its_outputs(
    program: Program, executor: Executor, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    program("squeue", "echo 17")
    info = submit(executor, monkeypatch, tmp_path / "output")
    executor.active_jobs = [info]
    executor.next_seconds_between_status_checks = 180
    waited = list[float]()

    async def wait(seconds: float) -> None:
        waited.append(seconds)
        if len(waited) == 20:
            (tmp_path / "output").touch()

    monkeypatch.setattr(asyncio, "sleep", wait)
    asyncio.run(executor.sleep())
    assert sum(waited) == 24
    assert executor.next_seconds_between_status_checks == 5
    executor.next_seconds_between_status_checks = 60  # it has not ended: ask as rarely as before
    waited.clear()
    asyncio.run(executor.sleep())
    assert sum(waited) == 61


@pytest.mark.parametrize(
    ("resources", "request_"),
    [
        ({"mem_mb": 500, "runtime": 10}, Request("r", (), 3, 500, 0, "", 10)),
        ({"slurm_partition": "a,b", "gpu": 2}, Request("r", ("a", "b"), 3, 0, 2, "", 0)),
        ({"gpu": 1, "gpu_model": "a100"}, Request("r", (), 3, 0, 1, "a100", 0)),
        ({"gres": "gpu:1g.10gb:2"}, Request("r", (), 3, 0, 2, "1g.10gb", 0)),
        ({"gres": "gpu:4"}, Request("r", (), 3, 0, 4, "", 0)),
        ({"gres": "gpu:h100"}, Request("r", (), 3, 0, 1, "h100", 0)),
        ({"gpu": 2, "cpus_per_gpu": 8, "mem_mb_per_cpu": 10}, Request("r", (), 16, 160, 2, "", 0)),
        ({"mem_mb": "<TBD>"}, Request("r", (), 3, 0, 0, "", 0)),
    ],
)
def test_what_a_job_asks_for(resources: dict[str, Any], request_: Request) -> None:
    job = SimpleNamespace(rule=SimpleNamespace(name="r"), threads=3, resources=resources)
    assert request_of_job(job) == request_


def test_without_accounting_squeue_is_asked_before_slurm_forgets(
    program: Program, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    prefix = name_prefix("seqcov", tmp_path)
    program("scontrol", "echo 'MinJobAge = 30 sec'")
    program("sacct", "exit 1")
    program("squeue", f"[ -e {tmp_path}/ended ] || echo '17 {prefix}_a'")
    program("scancel", f"touch {tmp_path}/ended")
    settings = SimpleNamespace(
        status_command="sacct", init_seconds_before_status_checks=15, jobname_prefix="seqcov"
    )
    workflow = SimpleNamespace(
        executor_settings=settings, executor_plugin=SimpleNamespace(executor=None)
    )
    prepare_slurm(workflow, tmp_path)
    assert (settings.status_command, settings.init_seconds_before_status_checks) == ("squeue", 10)
    assert settings.jobname_prefix == prefix
    assert workflow.executor_plugin.executor is Executor
    assert "earlier run that was killed: 17." in capsys.readouterr().err
