"""Devices: which one a process gets, and that no two processes get the same GPU."""

import os
import subprocess
import sys
import threading
import types
from pathlib import Path

import pytest
import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.prediction.devices import Device, lease, use_precision
from support.data import REPOSITORY


def test_the_cpu_is_not_locked(tmp_path: Path) -> None:
    device = Device("cpu", tmp_path)
    assert (device.name, device.lock) == ("cpu", None)
    device.close()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_cuda_is_refused_and_auto_is_the_cpu(tmp_path: Path) -> None:
    with pytest.raises(SeqcovError, match="cuda"):
        Device("cuda", tmp_path)
    assert Device("auto", tmp_path).name == "cpu"


def test_leases_hold_different_devices_until_one_is_released(tmp_path: Path) -> None:
    names = ["gpu-a", "gpu-b", "gpu-c"]
    handles, numbers = zip(*(lease(names, tmp_path) for _ in names), strict=True)
    assert sorted(numbers) == [0, 1, 2]
    handles[1].close()
    new_handle, number = lease(names, tmp_path, poll=0.01)
    assert number == numbers[1]
    for handle in (handles[0], handles[2], new_handle):
        handle.close()


CROWD = """
import os, sys, time
from pathlib import Path
from seqcov_models.prediction.devices import lease
folder = Path(sys.argv[1])
for child in range(8):
    if os.fork() == 0:
        for turn in range(3):
            handle, number = lease(["a", "b", "c"], folder, poll=0.001)
            busy = folder / f"busy-{number}"
            os.close(os.open(busy, os.O_CREAT | os.O_EXCL))  # fails where another is there
            time.sleep(0.005)
            busy.unlink()
            (folder / f"done-{child}-{turn}").touch()
            handle.close()
        os._exit(0)
codes = [os.wait()[1] for _ in range(8)]
print("codes", set(codes), flush=True)
handle, number = lease(["a"], folder)
print("held", flush=True)
time.sleep(60)
"""


def test_processes_never_share_a_device_and_a_killed_holder_frees_it(tmp_path: Path) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", CROWD, str(tmp_path)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=REPOSITORY,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
    ) as crowd:
        assert crowd.stdout is not None
        assert crowd.stdout.readline() == "codes {0}\n"
        assert len(list(tmp_path.glob("done-*"))) == 24
        assert crowd.stdout.readline() == "held\n"
        waited: list[int] = []

        def wait() -> None:
            handle, number = lease(["a"], tmp_path, poll=0.01)
            handle.close()
            waited.append(number)

        waiting = threading.Thread(target=wait)
        waiting.start()
        waiting.join(0.2)
        assert not waited
        crowd.kill()
        waiting.join(10)
        assert waited == [0]


def test_a_planted_link_as_lock_of_a_gpu_is_refused_and_not_followed(tmp_path: Path) -> None:
    (tmp_path / "thesis.txt").write_text("years of work")
    (tmp_path / "locks").mkdir()
    (tmp_path / "locks/gpu-a.lock").symlink_to(tmp_path / "thesis.txt")
    with pytest.raises(SeqcovError, match=r"locks/gpu-a\.lock: .*symbolic link; delete it"):
        lease(["gpu-a"], tmp_path / "locks")
    assert (tmp_path / "thesis.txt").read_text() == "years of work"


def test_locks_of_gpus_lie_in_a_folder_of_the_user(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    properties = types.SimpleNamespace(uuid="1-2-3")
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 1)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: properties)
    device = Device("auto")
    device.close()
    assert device.name == "cuda:0"
    assert (tmp_path / "seqcov/devices/1-2-3.lock").is_file()


def test_a_cpu_does_not_compute_in_tf32() -> None:
    with pytest.raises(SeqcovError, match="tf32 needs a GPU, but the CPU computes; use float32"):
        use_precision("tf32", torch.device("cpu"))
