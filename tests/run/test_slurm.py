"""Slurm as a site may have set it up; its programs are stand-ins here."""

from pathlib import Path

import pytest

from seqcov_models.errors import SeqcovError
from seqcov_models.run.slurm import (
    Request,
    end_jobs,
    find_jobs,
    find_unmet,
    has_accounting,
    job_age,
    name_prefix,
    parse_minutes,
    read_configuration,
    read_nodes,
)
from support.programs import Program

SINFO = """\
cpu|2|16000|(null)|7-00:00:00
gpu|32|256000|gpu:a100:4(S:0-1),shard:8|4:00:00
gpu|64|512000|gpu:h100:8(S:0-3)|4:00:00
mig|16|64000|gpu:1g.10gb:7,gpu:3g.40gb:2|infinite
big|96|2000000|craynetwork:4|30:00
"""


def test_accounting_is_what_sacct_answers(program: Program) -> None:
    program("sacct", "echo 'Slurm accounting storage is disabled' >&2; exit 1")
    assert not has_accounting()
    program("sacct", "exit 0")
    assert has_accounting()


def test_the_age_of_forgotten_jobs_follows_from_the_configuration(program: Program) -> None:
    program("scontrol", "echo 'MinJobAge               = 60 sec'")
    assert job_age(read_configuration()) == 60
    program("scontrol", "echo 'Configuration data as of today'")
    assert job_age(read_configuration()) == 300


def test_a_controller_that_is_down_is_named_in_one_line(program: Program) -> None:
    program("scontrol", "echo 'slurm_load_ctl_conf error:'; echo 'no\nanswer' >&2; exit 1")
    with pytest.raises(SeqcovError, match=r"^Slurm does not answer \(scontrol: no answer\); start"):
        read_configuration()


def test_a_machine_without_slurm_is_named_in_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    with pytest.raises(SeqcovError, match=r"^Slurm does not answer \(scontrol: .*No such file"):
        read_configuration()


@pytest.mark.parametrize(
    ("limit", "minutes"),
    [
        ("7-00:00:00", 10080),
        ("1-02:03:00", 1563),
        ("4:00:00", 240),
        ("30:00", 30),
        ("infinite", None),
    ],
)
def test_time_limits(limit: str, minutes: int | None) -> None:
    assert parse_minutes(limit) == minutes


UNMET = {
    "fits": (Request("r", ("gpu",), 64, 512_000, 8, "", 240), None),
    "no partition given": (Request("r", (), 96, 2_000_000, 0, "", 30), None),
    "one of two partitions": (Request("r", ("cpu", "gpu"), 64, 1000, 1, "", 200), None),
    "MIG": (Request("r", ("mig",), 1, 1000, 7, "1g.10gb", 100_000), None),
    "CPUs": (
        Request("r", ("cpu",), 8, 1000, 0, "", 60),
        "rule r asks for 8 CPUs, but the nodes of partition cpu have at most 2; set max-threads: 2",
    ),
    "memory": (
        Request("r", ("cpu",), 1, 20_000, 0, "", 60),
        "rule r asks for 20,000 MB of memory, but partition cpu has at most 16,000 per job; set"
        " mem_mb under set-resources: r",
    ),
    "GPUs": (
        Request("r", ("cpu",), 1, 1000, 1, "", 60),
        "rule r asks for GPUs: 1, but partition cpu has at most 0 per job; set slurm_partition",
    ),
    "type of GPU": (
        Request("r", ("gpu",), 1, 1000, 5, "a100", 60),
        "rule r asks for GPUs of type a100: 5, but partition gpu has at most 4",
    ),
    "time": (
        Request("r", ("gpu",), 1, 1000, 1, "", 300),
        "rule r asks for 300 minutes, but partition gpu has at most 240 per job; set runtime under",
    ),
    "partition": (
        Request("r", ("gpus",), 1, 1000, 1, "", 60),
        "Slurm has no partition 'gpus'; set slurm_partition in the profile to one of big, cpu, gpu",
    ),
    "at once": (
        Request("r", ("gpu",), 64, 1000, 4, "a100", 60),
        "no node of partition gpu has 64 CPUs, 1,000 MB and 4 GPUs at once",
    ),
}


@pytest.mark.parametrize("case", UNMET)
def test_what_no_node_has_is_named_with_the_key_to_set(case: str, program: Program) -> None:
    program("sinfo", f"cat <<'END'\n{SINFO}END")
    request, message = UNMET[case]
    unmet = find_unmet(request, read_nodes())
    assert (unmet is None) if message is None else (unmet is not None and message in unmet)


def test_jobs_are_found_by_the_folder_that_they_write_into(
    program: Program, tmp_path: Path
) -> None:
    folder, other = tmp_path / "results", tmp_path / "others"
    prefix = name_prefix("", folder)
    assert prefix == name_prefix("", folder / ".." / "results") != name_prefix("", other)
    assert len(name_prefix("p" * 50, folder)) == 50  # as many as the executor allows
    program("squeue", f"echo '17 {prefix}_a'; echo '18 {name_prefix('', other)}_b'; echo '19 x y'")
    assert find_jobs(prefix) == ["17"]


def test_jobs_that_are_cancelled_but_do_not_end_are_named(program: Program, tmp_path: Path) -> None:
    program("scancel", f"echo $@ > {tmp_path}/cancelled")
    program("squeue", "echo 17; echo 5")
    with pytest.raises(
        SeqcovError, match=r"jobs 17 of an earlier run .* `squeue -j 17` lists none"
    ):
        end_jobs(["17", "18"], patience=0.05, poll=0.01)
    assert (tmp_path / "cancelled").read_text() == "--quiet 17 18\n"
    program("squeue", "echo 5")
    end_jobs(["17", "18"])
