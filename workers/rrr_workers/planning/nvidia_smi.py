"""What nvidia-smi tells of this machine's GPUs: those that CUDA_VISIBLE_DEVICES leaves in sight."""

import os
import subprocess

MIB = 2**20


def query(fields: str) -> list[list[str]]:
    """A row of values for each GPU. Raises OSError where there is no nvidia-smi, CalledProcessError where it fails."""
    visible = os.environ.get("CUDA_VISIBLE_DEVICES")
    command = ["nvidia-smi", f"--query-gpu={fields}", "--format=csv,noheader,nounits"]
    done = subprocess.run([*command, *(["-i", visible] if visible else [])], capture_output=True, text=True, check=True)
    return [[value.strip() for value in line.split(",")] for line in done.stdout.splitlines()]
