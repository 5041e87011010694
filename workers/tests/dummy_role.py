"""A role without a model, for tests of the protocol: ``python -m dummy_role`` with this folder on PYTHONPATH."""

import asyncio
import ctypes
import errno
import os
import subprocess
import sys
import time
from typing import Any

import rrr_workers
from rrr_workers.config import Config
from rrr_workers.errors import CallFailed, UserError, WorkerFailed
from rrr_workers.runtime.role import Call, Role
from rrr_workers.runtime.serve import serve


class Dummy:
    def __init__(self, child: subprocess.Popen[bytes] | None):
        self._child = child

    def info(self) -> dict[str, Any]:
        return {"child": self._child.pid if self._child else None}

    async def handle(self, call: Call) -> Any:
        match call.method:
            case "echo":
                return call.params
            case "package":
                return rrr_workers.__file__
            case "sleep":
                await asyncio.sleep(call.params["seconds"])
                return "slept"
            case "block":
                time.sleep(call.params["seconds"])
                return "blocked"
            case "event":
                call.emit({"kind": "test"})
                call.progress("test", 1, None)
                return None
            case "print":
                forged = '{"type":"result","id":1,"value":"forged"}'
                print(forged, flush=True)
                sys.__stdout__.write(forged + "\n")
                sys.__stdout__.flush()
                os.write(1, forged.encode() + b"\n")
                ctypes.CDLL(None).puts(forged.encode())
                ctypes.CDLL(None).fflush(None)
                subprocess.run(["echo", forged], check=True)
                return "true"
            case "user":
                raise UserError("your fault", cure="do better")
            case "busy":
                raise CallFailed("the endpoint is busy", retryable=True)
            case "disk":
                raise OSError(errno.ENOSPC, "No space left on device", "/data/train.jsonl")
            case "worker":
                await asyncio.sleep(call.params.get("seconds", 0))
                raise WorkerFailed("the engine is dead", cure="see the log")
        raise KeyError(call.method)

    async def close(self) -> None:
        pass


async def build(config: Config, options: dict[str, Any]) -> Role:
    match options.get("fail"):
        case "user":
            raise UserError("no such thing", cure="name another")
        case "disk":
            raise OSError(errno.ENOSPC, "No space left on device")
    if options.get("load_s"):
        time.sleep(options["load_s"])  # blocks the loop, as loading a model does
    # A child that ignores the polite signals, as an engine in C code does.
    command = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    return Dummy(subprocess.Popen([sys.executable, "-c", command]) if options.get("child") else None)


if __name__ == "__main__":
    serve("dummy", build)
