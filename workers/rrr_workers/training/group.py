"""The ranks of one training: processes that share every batch, one a GPU.

Whoever starts them (the guardian, or srun on a cluster) says who is who by torchrun's variables: RANK, WORLD_SIZE,
LOCAL_RANK, LOCAL_WORLD_SIZE, MASTER_ADDR, MASTER_PORT. They meet at a ``TCPStore`` that rank 0 holds. Rank 0 owns the
pipe to the command line; through the store it hands on what it was asked, and learns why another rank failed.

A rank that fails holds still until it is killed: its peers' connections stay, so that none of them reports a broken
connection in place of the cause. An error that nobody classified may be just that, so it waits for the cause first.
On several nodes no guardian has all ranks in its hands: each rank ends by itself once rank 0 is gone.
"""

import contextlib
import json
import os
import socket
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future
from datetime import timedelta
from typing import Any, NoReturn

import psutil
import torch
from torch import distributed
from torch.distributed import DistNetworkError, PrefixStore, Store, TCPStore  # type: ignore[attr-defined]

from rrr_workers.errors import BugError, CallFailed, RrrError, UserError, WorkerFailed
from rrr_workers.runtime.frames import ErrorInfo, error_info
from rrr_workers.runtime.guardian import STORE_FD
from rrr_workers.training.checkpoints import let_cpu_ranks_load

_CALL, _FAILURE = "rrr/call", "rrr/failure"
_SETTLE_S = 3.0
_SETTLE_NODES_S = 8.0  # Slurm takes seconds to end a step in which a task has died
_POLL_S = 0.2
_HOLD_S = 60.0
_ERRORS: dict[str, type[RrrError]] = {"user": UserError, "bug": BugError, "worker": WorkerFailed, "call": CallFailed}


def rank() -> int:
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    return int(os.environ.get("WORLD_SIZE", "1"))


def local_world_size() -> int:
    return int(os.environ.get("LOCAL_WORLD_SIZE", "1"))


def lead(task: Mapping[str, Any], work: Callable[[], dict[str, Any]], backend: str, wait_s: float) -> dict[str, Any]:
    """On rank 0: hand ``task`` (plain JSON) to the other ranks and do ``work`` with them. Returns what ``work`` does.

    ``wait_s``: how long ranks may take to meet. Raises what ``work`` raises, or the error of the rank that failed, at
    once: ``work``'s thread is then left behind, as it may wait for that rank for ever.
    """
    if world_size() == 1:
        return work()
    store = _hold_store(wait_s)
    store.set(_CALL, json.dumps(task))
    _join(store, backend, wait_s)
    done: Future[dict[str, Any]] = Future()
    threading.Thread(target=_run, args=(work, done), name="rank 0", daemon=True).start()
    failures = store.clone()  # type: ignore[attr-defined]  # a connection of its own
    while not done.done():
        _raise_failure_of(failures)
        time.sleep(_POLL_S)
    error = done.exception()
    if error is not None and not isinstance(error, RrrError):
        time.sleep(_settle_s())
        _raise_failure_of(failures)
    return done.result()


def follow(work: Callable[[Mapping[str, Any]], object], backend: str, wait_s: float) -> NoReturn:
    """On another rank: do ``work`` on the task that rank 0 hands over, then end the process."""
    store = TCPStore(*_address(), world_size(), timeout=timedelta(seconds=wait_s), wait_for_workers=False)
    if _on_several_nodes():
        threading.Thread(target=_end_with_rank_0, name="rank 0's end", daemon=True).start()
    try:
        task = json.loads(store.get(_CALL))
        _join(store, backend, wait_s)
        work(task)
    except Exception as error:  # noqa: BLE001 - the boundary: rank 0 reports it
        info = error_info(error)
        if not isinstance(error, RrrError):
            time.sleep(_settle_s())
        store.compare_set(_FAILURE, "", json.dumps({"rank": rank(), "error": info}))
        time.sleep(_HOLD_S)
        os._exit(1)
    sys.stderr.flush()
    os._exit(0)


def sum_over_ranks(*numbers: float) -> list[float]:
    """Each of ``numbers`` summed over the ranks, in float64. Every rank must call it equally often."""
    return _reduce(numbers, distributed.ReduceOp.SUM)


def least_over_ranks(*numbers: float) -> list[float]:
    """The least of each of ``numbers`` on any rank, in float64. Every rank must call it equally often."""
    return _reduce(numbers, distributed.ReduceOp.MIN)


def _reduce(numbers: Sequence[float], operation: Any) -> list[float]:
    if world_size() == 1:
        return list(numbers)
    reduced = torch.tensor(numbers, dtype=torch.float64)
    distributed.all_reduce(reduced, operation)  # on the CPU: never in the way of what a GPU runs
    values: list[float] = reduced.tolist()
    return values


def _hold_store(wait_s: float) -> TCPStore:
    host, port = _address()
    descriptor = os.environ.pop(STORE_FD, None)
    try:
        return TCPStore(
            host,
            port,
            world_size(),
            is_master=True,
            timeout=timedelta(seconds=wait_s),
            wait_for_workers=False,
            master_listen_fd=int(descriptor) if descriptor else None,
        )
    except DistNetworkError as error:
        raise UserError(
            f"the ranks of the training can't meet at {host}:{port}: {error}", cure="set MASTER_PORT to a free port"
        ) from error


def _end_with_rank_0() -> None:
    """Wait until rank 0 is gone, which the peers of a collective may never notice."""
    with contextlib.suppress(OSError), socket.create_connection(_address()) as connection:
        connection.recv(1)  # the store says nothing to who asks nothing
    os._exit(0)  # it was rank 0's to report


def _join(store: TCPStore, backend: str, wait_s: float) -> None:
    """Make the process group that accelerate and vLLM then use."""
    if interface := _interface_to(_address()[0]):
        # By default gloo takes the one that the machine's own name leads to, if to any: often it is the loopback.
        os.environ.setdefault("GLOO_SOCKET_IFNAME", interface)
    let_cpu_ranks_load()
    group_store = PrefixStore("rrr/group", store)
    distributed.init_process_group(
        backend, store=group_store, rank=rank(), world_size=world_size(), timeout=timedelta(seconds=wait_s)
    )


def _settle_s() -> float:
    """How long to wait for the cause of an error that may be another rank's."""
    return _SETTLE_NODES_S if _on_several_nodes() else _SETTLE_S


def _on_several_nodes() -> bool:
    return local_world_size() < world_size()


def _address() -> tuple[str, int]:
    return os.environ["MASTER_ADDR"], int(os.environ["MASTER_PORT"])


def _interface_to(host: str) -> str | None:
    """The network interface by which this machine reaches ``host``, or which is ``host``'s own."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.connect((host, 1))  # sends nothing
        address = probe.getsockname()[0]
    found = psutil.net_if_addrs().items()
    return next((name for name, addresses in found if address in [each.address for each in addresses]), None)


def _run(work: Callable[[], dict[str, Any]], done: "Future[dict[str, Any]]") -> None:
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - handed on to who waits
        done.set_exception(error)


def _raise_failure_of(store: Store) -> None:
    if not store.check([_FAILURE]):
        return
    failure = json.loads(store.get(_FAILURE))
    info: ErrorInfo = failure["error"]
    error = _ERRORS[info["type"]](f"rank {failure['rank']}: {info['message']}", cure=info.get("cure"))
    error.retryable = info["retryable"]
    raise error
