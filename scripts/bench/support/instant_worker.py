"""A worker without a model that answers as fast as a process can: for the orchestrator's benchmark.

It speaks the real protocol, one line a frame, but parses no call: the id is found in its text. `prepare` writes as many
training queries as the config's data.rows says; `sample_failures` gives every query the same failure.
"""

import json
import os
import re
import sys
from pathlib import Path

_READ_BYTES = 1 << 16
_WRITE_ROWS = 10_000
_CALL = re.compile(rb'\{"type":"call","id":(\d+),')
_VERDICT = {"passed": False, "kind": "missed_target", "detail": "makes 57"}
_FAILURE = {
    "completion": "<think>First 44 and 19, then the rest.</think>\n<answer>44 + 19 - 35</answer>",
    "tokens": 41,
    "finish_reason": "stop",
    "verdict": _VERDICT,
    "draw": 1,
}
_SAMPLED = {
    "draws": 2,
    "wasted_draws": 0,
    "prompt_tokens": 120,
    "completion_tokens": 80,
    "kinds": {"passed": 1, "missed_target": 1},
    "failures": [_FAILURE],
}
_RESULT = b'{"type":"result","id":%s,"value":' + json.dumps(_SAMPLED).encode() + b"}\n"


def main() -> None:
    send({"type": "hello", "protocol": 2, "role": "instant", "pid": os.getpid(), "versions": {}})
    start = json.loads(os.read(0, _READ_BYTES))
    send({"type": "ready", "info": {}})
    if sys.argv[-1] == "rrr_workers.roles.prepare":
        call = json.loads(os.read(0, _READ_BYTES))
        value = prepare(Path(call["params"]["output"]), start["config"]["data"]["rows"])
        send({"type": "result", "id": call["id"], "value": value})
    elif sys.argv[-1] == "rrr_workers.roles.hub":
        call = json.loads(os.read(0, _READ_BYTES))
        send({"type": "result", "id": call["id"], "value": {"repos": []}})
    rest = b""
    while chunk := os.read(0, _READ_BYTES):
        calls, _, rest = (rest + chunk).rpartition(b"\n")
        write(b"".join(_RESULT % number for number in _CALL.findall(calls)))


def prepare(output: Path, rows: int) -> dict[str, object]:
    output.mkdir(parents=True, exist_ok=True)
    with (output / "train.jsonl").open("w") as file:
        for begin in range(0, rows, _WRITE_ROWS):
            file.writelines(
                f'{{"id":"{index:016x}","index":{index},"fields":{{"numbers":[44,19,35],"target":98}}}}\n'
                for index in range(begin, min(rows, begin + _WRITE_ROWS))
            )
    (output / "test.jsonl").write_text('{"id":"test","index":0,"fields":{"numbers":[44,19,35],"target":98}}\n')
    counts = {"read": rows + 1, "train": rows, "test": 1, "unused": 0, "duplicates": 0, "skipped": 0}
    return {**counts, "skipped_examples": [], "prompts": {"question": "?"}}


def send(frame: dict[str, object]) -> None:
    write(json.dumps(frame).encode() + b"\n")


def write(lines: bytes) -> None:
    view = memoryview(lines)
    while view:
        view = view[os.write(1, view) :]


if __name__ == "__main__":
    main()
