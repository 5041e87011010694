"""A role without a model, for tests of the protocol: ``python -m dummy_role`` with this folder on PYTHONPATH."""

import asyncio
import ctypes
import os
import subprocess
import sys
import time
from typing import Any

from rrr_workers.config import Config
from rrr_workers.protocol import Call, Role, UserError, WorkerError, serve


class Dummy:
    def __init__(self, child: subprocess.Popen[bytes] | None):
        self._child = child

    def info(self) -> dict[str, Any]:
        return {"child": self._child.pid if self._child else None}

    async def handle(self, call: Call) -> Any:
        match call.method:
            case "echo":
                return call.params
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
            case "worker":
                raise WorkerError("the engine is dead", retryable=True)
        raise KeyError(call.method)

    async def close(self) -> None:
        pass


async def build(config: Config, options: dict[str, Any]) -> Role:
    if options.get("fail"):
        raise UserError("no such thing", cure="name another")
    if options.get("load_s"):
        time.sleep(options["load_s"])  # blocks the loop, as loading a model does
    # A child that ignores the polite signals, as an engine in C code does.
    command = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    return Dummy(subprocess.Popen([sys.executable, "-c", command]) if options.get("child") else None)


if __name__ == "__main__":
    serve("dummy", build)
