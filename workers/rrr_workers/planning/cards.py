"""GPUs: what their data sheets say, and which of them a plan is for.

Imports neither torch nor pydantic: scripts/gpu_check reads the table without them.
"""

import re
import subprocess
from dataclasses import dataclass, replace

from rrr_workers.errors import UserError
from rrr_workers.planning.nvidia_smi import MIB, query

GIB = 2**30
_MOST = 4096  # GPUs


@dataclass(frozen=True)
class Gpu:
    """``flops``: operations a second in bfloat16, dense. ``bandwidth``: bytes a second of its memory. ``link``: bytes a
    second to the other GPUs of the machine, one way (NVLink, else PCIe)."""

    name: str  # for --gpus
    pattern: str  # of the name that nvidia-smi tells
    gib: int
    flops: float
    bandwidth: float
    link: float
    sheet: str


#: As NVIDIA's data sheets have them (sheet: its title). Of several GPUs of one size the first is meant by a size alone.
GPUS = (
    Gpu("h100", r"H100 80GB HBM3", 80, 989e12, 3350e9, 450e9, "H100 Tensor Core GPU, column SXM"),
    Gpu("h100-pcie", r"H100 PCIe", 80, 756e12, 2000e9, 64e9, "H100 Tensor Core GPU, column PCIe"),
    Gpu("a100", r"A100-SXM4-80GB", 80, 312e12, 2039e9, 300e9, "A100 Tensor Core GPU, column 80GB SXM"),
    Gpu("a100-pcie", r"A100 80GB PCIe", 80, 312e12, 1935e9, 32e9, "A100 Tensor Core GPU, column 80GB PCIe"),
    Gpu("h200", r"H200(?! NVL)", 141, 989e12, 4800e9, 450e9, "H200 Tensor Core GPU, column SXM"),
    Gpu("l40s", r"L40S", 48, 362e12, 864e9, 32e9, "L40S GPU"),
    Gpu("a100-40", r"A100[ -].*40GB", 40, 312e12, 1555e9, 300e9, "A100 Tensor Core GPU, first edition"),
    Gpu("l4", r"L4", 24, 121e12, 300e9, 32e9, "L4 Tensor Core GPU"),
    Gpu("4090", r"RTX 4090(?! D)", 24, 165e12, 1008e9, 32e9, "Ada GPU architecture whitepaper, GeForce RTX 4090"),
)


def find_gpu(told: str) -> Gpu | None:
    """By the name that nvidia-smi tells. None for a GPU that isn't in the table."""
    return next((gpu for gpu in GPUS if re.search(rf"\b{gpu.pattern}(?!\w)", told)), None)


@dataclass(frozen=True)
class Hardware:
    """``gpus`` of ``card`` bytes in each of ``nodes`` machines; ``gpu``: what they are, where the table has them."""

    gpu: Gpu | None
    card: int
    gpus: int
    nodes: int
    why: str  # what says so

    @property
    def total(self) -> int:
        return self.gpus * self.nodes

    @property
    def room(self) -> int:
        """Bytes of a GPU that a plan fills: less than there are, as no formula knows all that allocators lose."""
        return min(self.card * 95 // 100, self.card - 2 * GIB)


def parse_hardware(text: str, used: int, nodes: int = 1) -> Hardware:
    """``8x80`` (GiB), ``4xh100``, or a card alone, of which the config uses ``used``. Raises :class:`UserError`."""
    match = re.fullmatch(r"(?:(\d+)x)?([\w.-]+)", text.strip().lower())
    count, card = (match[1], match[2]) if match else (None, "")
    gpu = next((each for each in GPUS if card == each.name), None)
    gpu = gpu or next((each for each in GPUS if card == str(each.gib)), None)
    gib = gpu.gib if gpu else int(card) if card.isdecimal() else 0
    gpus = int(count) if count else -(-used // nodes)
    if not 4 <= gib <= 1024 or not 1 <= gpus * nodes <= _MOST:
        known = ", ".join(each.name for each in GPUS)
        raise UserError(
            f"--gpus {text}: no such GPUs",
            cure=f"write how many there are and the GiB of each, such as 8x80, or one of {known}, such as 4xh100",
        )
    return Hardware(gpu, gib * GIB, gpus, nodes, f"--gpus {text}")


def find_hardware(used: int, nodes: int = 1) -> Hardware:
    """The GPUs that nvidia-smi sees, or as many of 80 GiB as the config uses, where it sees none."""
    try:
        found = [(name, int(memory) * MIB) for name, memory in query("name,memory.total")]
    except (OSError, subprocess.CalledProcessError):
        found = []
    if not found:
        why = "as many as the config uses, as nvidia-smi sees none here: --gpus names others"
        return replace(parse_hardware("80", used, nodes), why=why)
    name, memory = min(found, key=lambda each: each[1])
    return Hardware(find_gpu(name), memory, len(found), nodes, f"nvidia-smi: {len(found)} x {name}")
