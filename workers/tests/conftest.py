"""Fixtures that several tests share."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from harness import DiskLog

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # engines on few cores must not spin while they wait


@pytest.fixture(scope="session")
def tiny_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model directory of the tiny world's architecture and tokenizer, hardly trained: it writes, but can't count."""
    folder = tmp_path_factory.mktemp("models") / "tiny"
    command = [sys.executable, "-m", "rrr_demos.tiny", "--out", str(folder), "--steps", "30"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=120)
    return folder


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> DiskLog:
    """What is synced to the disk and renamed from here on."""
    return DiskLog(monkeypatch)
