"""Devices: which one a process gets, and that no two processes get the same GPU."""

import os
import subprocess
import sys
import threading
import types
from dataclasses import dataclass
from pathlib import Path

import pytest
import torch

from seqcov_models.errors import SeqcovError
from seqcov_models.prediction.devices import Device, lease, name_gpus, use_precision
from support.data import REPOSITORY


def test_the_cpu_is_not_locked(tmp_path: Path) -> None:
    device = Device("cpu", tmp_path)
    assert (device.name, device.lock) == ("cpu", None)
    device.close()
    assert list(tmp_path.iterdir()) == []


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


@dataclass
class Driver:
    """What torch tells of GPUs: a name and the memory that is used per GPU; a stand-in."""

    folder: Path
    gpus: dict[str, int]
    failure: str = ""

    def is_available(self) -> bool:
        return bool(self.gpus)

    def device_count(self) -> int:
        return len(self.gpus)

    def get_device_properties(self, gpu: int) -> types.SimpleNamespace:
        return types.SimpleNamespace(uuid=list(self.gpus)[gpu])

    def mem_get_info(self, gpu: int) -> tuple[int, int]:
        if self.failure:
            raise RuntimeError(self.failure)
        return 80_000_000_000 - list(self.gpus.values())[gpu] * 10**6, 80_000_000_000

    def lease(self, kind: str = "auto") -> Device:
        return Device(kind, self.folder / "locks")


@pytest.fixture
def driver(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Driver:
    """Let torch and nvidia-smi see the GPUs of a stand-in."""
    driver = Driver(tmp_path, {})
    for name in ("is_available", "device_count", "get_device_properties", "mem_get_info"):
        monkeypatch.setattr(torch.cuda, name, getattr(driver, name))
    for name in ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)
    smi = tmp_path / "bin/nvidia-smi"
    smi.parent.mkdir()
    smi.write_text(f"#!/bin/sh\ncat {tmp_path}/smi.txt\n")
    smi.chmod(0o700)
    monkeypatch.setenv("PATH", str(smi.parent), prepend=":")
    monkeypatch.setattr(torch.version, "cuda", "13.0")
    return driver


def test_locks_of_gpus_lie_in_a_folder_of_the_user(
    driver: Driver, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.gpus = {"1-2-3": 0}
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(tmp_path))
    device = Device("auto")
    device.close()
    assert device.name == "cuda:0"
    assert (tmp_path / "seqcov/devices/1-2-3.lock").is_file()


def test_of_several_gpus_that_with_least_used_memory_is_taken_first(driver: Driver) -> None:
    driver.gpus = {"a": 70_000, "b": 3, "c": 40_000}
    smi = "".join(f"GPU-{name}, {used}\n" for name, used in driver.gpus.items())
    (driver.folder / "smi.txt").write_text(smi)
    devices = [driver.lease(kind) for kind in ("auto", "cuda", "auto")]
    assert [device.name for device in devices] == ["cuda:1", "cuda:2", "cuda:0"]
    for device in devices:
        device.close()


def test_without_nvidia_smi_gpus_are_taken_in_order(driver: Driver) -> None:
    driver.gpus = {"a": 0, "b": 0}  # the stand-in of nvidia-smi fails: its file is missing
    first, second = driver.lease(), driver.lease()
    assert (first.name, second.name) == ("cuda:0", "cuda:1")
    first.close()
    second.close()


def test_memory_that_a_stranger_uses_is_in_the_log(
    driver: Driver, caplog: pytest.LogCaptureFixture
) -> None:
    driver.gpus = {"a": 71_000}
    driver.lease().close()
    assert "GPU 0 (a): other programs use 71.0 of its 80.0 GB" in caplog.text
    caplog.clear()
    driver.gpus = {"a": 500}
    driver.lease().close()
    assert not caplog.text


def test_a_gpu_that_a_stranger_holds_for_itself_is_refused_in_one_line(driver: Driver) -> None:
    driver.gpus = {"a": 0}
    driver.failure = "CUDA error: all CUDA-capable devices are busy or unavailable\nCompile with"
    with pytest.raises(SeqcovError) as caught:
        driver.lease()
    assert str(caught.value) == (
        "GPU 0 (a) cannot be used: CUDA error: all CUDA-capable devices are busy or unavailable. If"
        " another program holds it, wait for that, or choose other GPUs with CUDA_VISIBLE_DEVICES"
    )
    driver.failure = ""
    driver.lease("cuda").close()  # its lock was released


def test_two_parts_of_one_gpu_have_two_locks(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.gpus = {"a": 0}
    parts = ["MIG-aa", "MIG-GPU-a/1/0"]
    devices = []
    for part in parts:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", part)
        devices.append(driver.lease())
    locks = sorted(file.name for file in (driver.folder / "locks").iterdir())
    assert locks == ["MIG-GPU-a-1-0.lock", "MIG-aa.lock"]
    for device in devices:
        device.close()


def test_gpus_without_a_uuid_are_named_by_their_number_on_the_machine(
    driver: Driver, monkeypatch: pytest.MonkeyPatch
) -> None:
    driver.gpus = {"a": 0, "b": 0}
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda gpu: types.SimpleNamespace())
    assert name_gpus() == ["gpu-0", "gpu-1"]
    monkeypatch.setenv("HIP_VISIBLE_DEVICES", "3,5")
    assert name_gpus() == ["gpu-3", "gpu-5"]


NO_GPU = {
    "no GPU": (None, "13.0", "torch sees no GPU on this machine; use auto or cpu", False),
    "hidden": ("", "13.0", "because CUDA_VISIBLE_DEVICES is empty; use auto or cpu", False),
    "not there": ("0,1", "13.0", "although '0,1' should be visible; use auto or cpu", True),
    "built for CPUs": (
        "0", None, "this torch is built without GPUs; install torch with CUDA or ROCm", True,
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", NO_GPU)
def test_without_a_gpu_cuda_is_refused_with_the_reason_and_auto_is_the_cpu(
    case: str,
    driver: Driver,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    visible, build, reason, is_expected = NO_GPU[case]
    monkeypatch.setattr(torch.version, "cuda", build)
    if visible is not None:
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    with pytest.raises(SeqcovError, match=f"^device cuda: .*{reason}"):
        driver.lease("cuda")
    assert driver.lease("auto").name == "cpu"
    assert ("the CPU computes" in caplog.text) == is_expected


def test_apple_gpus_are_not_used(driver: Driver, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "cuda", None)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: True)
    with pytest.raises(
        SeqcovError, match=r"Apple's GPUs \(mps\) are not supported; use auto or cpu"
    ):
        driver.lease("cuda")
    assert driver.lease("auto").name == "cpu"


def test_a_cpu_does_not_compute_in_tf32() -> None:
    with pytest.raises(SeqcovError, match="tf32 needs a GPU, but the CPU computes; use float32"):
        use_precision("tf32", torch.device("cpu"))
