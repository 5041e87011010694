"""Try, reflect, retry with any client: the chat is the one that training saw."""

import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from harness import PACKAGE, TESTS, resolved_config
from rrr_workers.api import Verdict, reflect_retry
from rrr_workers.config import parse_config
from rrr_workers.engines.vllm_args import is_cpu_backend, prepare_environment
from rrr_workers.episode import next_prompt
from rrr_workers.tasks.base import Query
from rrr_workers.tasks.registry import load_task

QUESTION = [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1+1?"}]


class Client:
    """Says ``texts``, one after the other, and keeps the requests."""

    def __init__(self, *texts: str):
        self._texts = list(texts)
        self.requests: list[dict[str, Any]] = []
        self.chat = SimpleNamespace(completions=self)

    def create(self, **request: Any) -> Any:
        self.requests.append(request)
        message = SimpleNamespace(content=self._texts.pop(0))
        return SimpleNamespace(choices=[SimpleNamespace(message=message, finish_reason="stop")])


def ask(client: Client, verify: Any = lambda text: text == "2", **options: Any) -> Any:
    prompts = {"reflection_prompt": "Why?", "retry_prompt": "Again."}
    return reflect_retry(client, "m", QUESTION, verify, **prompts, **options)


def test_the_prompts_are_those_of_the_episode() -> None:
    config = parse_config(resolved_config(task={"name": "countdown", "prompts": {"system": "Be brief."}}))
    loaded = load_task(config.task)
    query = Query("q", {"nums": [3, 5, 7], "target": 26})
    fields = loaded.task.prompt_fields(query)
    texts = ["a", "r", "b", "s", "c"]
    client = Client(*texts)
    reflect_retry(
        client,
        "m",
        next_prompt(loaded, query),
        lambda text: loaded.judge(query, text, "stop"),
        reflection_prompt=loaded.task.prompts.reflection.format_map(fields),
        retry_prompt=loaded.task.prompts.retry.format_map(fields),
        rounds=2,
    )
    asked = [request["messages"] for request in client.requests]
    assert asked == [next_prompt(loaded, query, texts[:count]) for count in range(5)]


def test_it_ends_with_the_first_answer_that_passes() -> None:
    client = Client("1", "I was careless.", "2", "never said")
    done = ask(client, rounds=3)
    assert (done.answer, done.passed) == ("2", True)
    assert [(each.text, each.passed, each.reflection) for each in done.tries] == [
        ("1", False, None),
        ("2", True, "I was careless."),
    ]
    assert len(ask(Client("2")).tries) == 1


def test_it_ends_after_its_rounds() -> None:
    done = ask(Client("1", "r", "3", "s", "4"), rounds=2)
    assert (done.answer, done.passed, [each.reflection for each in done.tries]) == ("4", False, [None, "r", "s"])
    assert [each.text for each in ask(Client("1"), rounds=0).tries] == ["1"]


def test_limits_are_those_of_answers_and_reflections_and_the_rest_is_passed_on() -> None:
    client = Client("1", "r", "3")
    ask(client, max_answer_tokens=5, max_reflection_tokens=7, temperature=0.5)
    assert [request["max_tokens"] for request in client.requests] == [5, 7, 5]
    assert {request["temperature"] for request in client.requests} == {0.5}
    bare = Client("2")
    ask(bare)
    assert bare.requests == [{"model": "m", "messages": QUESTION}]


def test_a_verdict_counts_by_what_it_says() -> None:
    wrong = Verdict(False, "wrong", "it makes 1")
    done = ask(Client("1", "r", "3"), lambda _: wrong)
    assert (done.passed, done.tries[0].verdict) == (False, wrong)


@pytest.mark.parametrize("verdict", [None, 1, "yes"])
def test_what_is_no_verdict_is_none(verdict: Any) -> None:
    with pytest.raises(TypeError, match="verify must give True, False or a Verdict"):
        ask(Client("1"), lambda _: verdict)


def test_it_needs_no_engine() -> None:
    code = "import sys, rrr_workers.api; print(sys.modules.keys() & {'torch', 'vllm', 'transformers', 'openai'})"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout == "set()\n"


@pytest.fixture(scope="module")
def server(tiny_model: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a vLLM server that serves the tiny model as docs/using-the-model.md says."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    arguments = ["--served-model-name", "reflecting", "--max-model-len", "256", "--dtype", "float32"]
    quick = ["--enforce-eager", "--kv-cache-memory-bytes", str(2**28), "--host", "127.0.0.1", "--port", str(port)]
    command = [sys.executable, TESTS / "serve_model.py", "--model", tiny_model, *arguments, *quick]
    prepare_environment(1)
    log = tmp_path_factory.mktemp("server") / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(command, stdout=output, stderr=output, start_new_session=True)
    try:
        url = f"http://127.0.0.1:{port}"
        deadline = time.monotonic() + 300
        while not _answers(f"{url}/health"):
            assert process.poll() is None, log.read_text()[-4000:]
            assert time.monotonic() < deadline, log.read_text()[-4000:]
            time.sleep(0.2)
        yield url
    finally:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait(10)


def _answers(url: str) -> bool:
    try:
        return bool(urllib.request.urlopen(url, timeout=5).status == 200)
    except OSError:
        return False


@pytest.mark.skipif(not is_cpu_backend(), reason="the server of the test is one for CPUs")
def test_the_lines_of_the_documentation_on_a_real_server(server: str) -> None:
    page = (PACKAGE.parent / "docs" / "using-the-model.md").read_text()
    (code,) = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    assert "http://localhost:8000" in code
    code = code.replace("http://localhost:8000", server)
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE)}
    done = subprocess.run([sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    result, *tries = done.stdout.splitlines()
    assert result.startswith(("passed ", "failed "))
    assert tries[0].startswith("None -> ")
    assert len(tries) == (1 if tries[0].endswith(" True") else 2)
