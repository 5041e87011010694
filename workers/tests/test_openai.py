"""The openai engine against a small HTTP server that misbehaves on demand."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from harness import WorkerProcess, resolved_config
from rrr_workers.config import Config, parse_config
from rrr_workers.engines.base import PromptTooLong, Refused, SamplingParams, Unanswerable
from rrr_workers.engines.openai import OpenAIEngine
from rrr_workers.episode import next_prompt
from rrr_workers.errors import CallFailed, UserError
from rrr_workers.tasks.function_calling.task import FunctionCalling
from rrr_workers.tasks.loaded import LoadedTask

PARAMS = SamplingParams(temperature=0.7, top_p=0.9, max_tokens=16, seed=7)
MESSAGES = [{"role": "user", "content": "1, 2 -> 3"}]
ANSWER = {
    "id": "x",
    "object": "chat.completion",
    "created": 0,
    "model": "m",
    "choices": [
        {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "<answer>1+2</answer>"}}
    ],
    "usage": {"prompt_tokens": 11, "completion_tokens": 5, "total_tokens": 16},
}


class Endpoint(ThreadingHTTPServer):
    """Answers chat completions; ``script`` holds the (status, body) of the next replies, then ANSWER follows."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.script: list[tuple[int, Any]] = []
        self.requests: list[tuple[dict[str, Any], str | None]] = []
        self.models_status = 200
        threading.Thread(target=self.serve_forever, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"


class Handler(BaseHTTPRequestHandler):
    server: Endpoint

    def log_message(self, *_: object) -> None:
        pass

    def do_GET(self) -> None:
        if not self.path.startswith("/v1/"):
            return self._reply(404, {"detail": "Not Found"})
        models = {"object": "list", "data": [{"id": "m", "object": "model", "created": 0, "owned_by": "us"}]}
        self._reply(self.server.models_status, models)

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.requests.append((body, self.headers["authorization"]))
        self._reply(*(self.server.script.pop(0) if self.server.script else (200, ANSWER)))

    def _reply(self, status: int, body: Any) -> None:
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.send_header("retry-after-ms", "1")
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    server = Endpoint()
    yield server
    server.shutdown()
    server.server_close()


def make_config(*urls: str, **section: Any) -> Config:
    openai = {"base_urls": list(urls), "api_key_env": "RRR_TEST_KEY", "max_retries": 3, "tools": "text", **section}
    return parse_config(resolved_config(engine={"name": "openai", "openai": openai}))


async def test_a_request_carries_everything(endpoint: Endpoint, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RRR_TEST_KEY", "secret-key")
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    done = await engine.generate(MESSAGES, PARAMS)
    assert (done.text, done.tokens, done.prompt_tokens, done.finish_reason) == ("<answer>1+2</answer>", 5, 11, "stop")
    ((body, authorization),) = endpoint.requests
    assert authorization == "Bearer secret-key"
    assert body == {
        "model": "m",
        "messages": MESSAGES,
        "temperature": 0.7,
        "top_p": 0.9,
        "max_tokens": 16,
        "seed": 7,
    }
    assert "secret" not in json.dumps(engine.info())
    await engine.close()


@pytest.mark.parametrize("status", [429, 500, 503])
async def test_passing_faults_are_retried_here(endpoint: Endpoint, status: int) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [(status, {"error": {"message": "busy"}})] * 2
    assert (await engine.generate(MESSAGES, PARAMS)).tokens == 5
    assert len(endpoint.requests) == 3
    endpoint.script = [(status, {"error": {"message": "busy"}})] * 4
    with pytest.raises(CallFailed, match=f"keeps failing: HTTP {status}") as caught:
        await engine.generate(MESSAGES, PARAMS)
    assert (caught.value.type, caught.value.retryable) == ("call", True)
    await engine.close()


async def test_a_refused_request_is_the_user_s(endpoint: Endpoint) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [(400, {"error": {"message": "no such parameter"}})]
    with pytest.raises(UserError, match=r"HTTP 400: .*no such parameter") as caught:
        await engine.generate(MESSAGES, PARAMS)
    assert not isinstance(caught.value, PromptTooLong)
    assert len(endpoint.requests) == 1
    endpoint.script = [(400, {"error": {"message": "This model's maximum context length is 9 tokens."}})]
    with pytest.raises(PromptTooLong, match="context length is 9"):
        await engine.generate(MESSAGES, PARAMS)
    await engine.close()


def reply(finish_reason: str | None = "stop", **message: Any) -> dict[str, Any]:
    """A reply with one choice."""
    choice = {"index": 0, "finish_reason": finish_reason, "message": {"role": "assistant", **message}}
    return {**ANSWER, "choices": [choice]}


TOO_LONG = [
    (
        400,
        {"error": {"message": "The maximum context length is 9 tokens.", "code": "context_length_exceeded"}},
    ),
    (
        400,
        {"object": "error", "message": "The input (99 tokens) is longer than the model's context length."},
    ),
    (
        400,
        {"error": {"message": "exceeds the available context size", "type": "exceed_context_size_error"}},
    ),
    (422, {"error": "`inputs` tokens + `max_new_tokens` must be <= 9", "error_type": "validation"}),
    (400, {"error": {"message": "prompt is too long: 99 tokens > 9 maximum"}}),
    (400, {"message": "Prompt contains 99 tokens, too large for model with 9 maximum context length"}),
    (200, {"error": {"code": 400, "message": "This endpoint's maximum context length is 9 tokens."}}),
]
REFUSED = [
    (200, reply("content_filter", content="I")),
    (200, reply(None, content="I")),
    (200, reply("error", content="")),
    (200, {**ANSWER, "choices": []}),
    (400, {"error": {"message": "Rejected.", "code": "content_policy_violation"}}),
    (
        400,
        {"error": {"message": "Filtered by our content management policy", "code": "content_filter"}},
    ),
    (200, {"error": {"code": 403001, "message": "flagged by moderation"}}),
]


@pytest.mark.parametrize(
    ("odd", "error"), [*((odd, PromptTooLong) for odd in TOO_LONG), *((odd, Refused) for odd in REFUSED)]
)
async def test_an_odd_reply_leaves_its_query_out(
    endpoint: Endpoint, odd: tuple[int, Any], error: type[Unanswerable]
) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [odd]
    with pytest.raises(error) as caught:
        await engine.generate(MESSAGES, PARAMS)
    assert endpoint.url in str(caught.value)
    assert (await engine.generate(MESSAGES, PARAMS)).tokens == 5
    await engine.close()


@pytest.mark.parametrize(
    ("odd", "message"),
    [
        ((200, reply("tool_calls", content=None)), "gave tool calls in place of text"),
        ((200, {**reply(content="1"), "usage": None}), "doesn't count tokens"),
        ((404, {"error": {"message": "no such model"}}), "HTTP 404: .*no such model"),
        ((403, {"error": {"message": "no"}}), "refuses the key"),
    ],
)
async def test_what_every_request_would_meet_is_the_user_s(
    endpoint: Endpoint, odd: tuple[int, Any], message: str
) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [odd]
    with pytest.raises(UserError, match=message) as caught:
        await engine.generate(MESSAGES, PARAMS)
    assert not isinstance(caught.value, Unanswerable)
    assert endpoint.url in str(caught.value)
    assert caught.value.cure
    await engine.close()


async def test_a_busy_server_under_status_200_may_be_asked_again(endpoint: Endpoint) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [(200, {"error": {"code": 502, "message": "Provider returned error"}})]
    with pytest.raises(CallFailed, match=r"keeps failing: HTTP 502: Provider returned error") as caught:
        await engine.generate(MESSAGES, PARAMS)
    assert caught.value.retryable
    await engine.close()


async def test_native_tools_go_in_a_field_of_their_own_and_calls_come_back_as_text(endpoint: Endpoint) -> None:
    task = FunctionCalling({"format": "hermes"})
    tool = {"name": "f", "description": "", "parameters": {"x": {"type": "int"}}}
    row = {"query": "Do it.", "tools": [tool], "answers": [{"name": "f", "arguments": {"x": 1}}]}
    query = task.normalise(row)
    task.use_endpoint_tools()
    prompt = next_prompt(LoadedTask(task, task), query)
    assert [each["content"] for each in prompt] == ["Do it."]

    engine = await OpenAIEngine.start(make_config(endpoint.url, tools="native"), "m", 0)

    async def answer(*calls: tuple[str, str], content: str | None = None) -> str:
        told = [
            {"id": str(index), "type": "function", "function": {"name": name, "arguments": arguments}}
            for index, (name, arguments) in enumerate(calls)
        ]
        endpoint.script = [(200, reply("tool_calls", content=content, tool_calls=told))]
        return (await engine.generate(prompt, PARAMS, task.tools(query))).text

    assert task.judge(query, await answer(("f", '{"x": 1}')), "stop").passed
    assert endpoint.requests[-1][0]["tools"] == task.tools(query)
    kinds = {
        task.judge(query, await answer(*calls), "stop").kind
        for calls in [[("f", '{"x": 1}'), ("f", '{"x": 1}')], [("f", '{"x": ')], [("g", "{}")]]
    }
    assert kinds == {"wrong_number_of_calls", "not_parsable", "unknown_tool"}
    await engine.close()


@pytest.mark.parametrize("field", ["reasoning_content", "reasoning"])
@pytest.mark.parametrize(
    ("finish_reason", "content", "text"),
    [
        ("stop", "so: 3", "<think>hm</think>so: 3"),
        ("stop", None, "<think>hm</think>"),
        ("length", None, "<think>hm"),
        ("length", "so", "<think>hm</think>so"),
        ("eos_token", "so", "<think>hm</think>so"),
    ],
)
async def test_reasoning_stands_before_the_answer(
    endpoint: Endpoint, field: str, finish_reason: str, content: str | None, text: str
) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [(200, reply(finish_reason, content=content, **{field: "hm"}))]
    done = await engine.generate(MESSAGES, PARAMS)
    assert (done.text, done.finish_reason) == (text, "length" if finish_reason == "length" else "stop")
    await engine.close()


async def test_answers_without_any_text_end_the_run(endpoint: Endpoint) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    endpoint.script = [(200, reply(content=None, thoughts="hm"))] * 20
    for _ in range(19):
        assert (await engine.generate(MESSAGES, PARAMS)).text == ""
    with pytest.raises(UserError, match=r"the first 20 answers of .* are empty, though it counted tokens"):
        await engine.generate(MESSAGES, PARAMS)
    await engine.close()


async def test_some_empty_answers_end_nothing(endpoint: Endpoint) -> None:
    engine = await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    await engine.generate(MESSAGES, PARAMS)
    endpoint.script = [(200, reply(content=""))] * 30
    for _ in range(30):
        await engine.generate(MESSAGES, PARAMS)
    await engine.close()


async def test_a_wrong_endpoint_is_found_at_start(endpoint: Endpoint) -> None:
    with pytest.raises(UserError, match="serves no model 'other'") as caught:
        await OpenAIEngine.start(make_config(endpoint.url, model="other"), "m", 0)
    assert caught.value.cure == "set engine.openai.model to one of: m"
    endpoint.models_status = 401
    with pytest.raises(UserError, match="refuses the key") as caught:
        await OpenAIEngine.start(make_config(endpoint.url), "m", 0)
    assert "RRR_TEST_KEY" in (caught.value.cure or "")
    endpoint.models_status = 404
    await (await OpenAIEngine.start(make_config(endpoint.url), "anything", 0)).close()
    endpoint.models_status = 200
    with pytest.raises(UserError, match="is not where the endpoint is") as caught:
        await OpenAIEngine.start(make_config(endpoint.url.removesuffix("/v1")), "m", 0)
    assert caught.value.cure == f"write {endpoint.url} in engine.openai.base_urls"
    with pytest.raises(UserError, match=r"nothing answers at http://127\.0\.0\.1:9/v1"):
        await OpenAIEngine.start(make_config("http://127.0.0.1:9/v1", max_retries=0), "m", 0)


async def test_workers_share_the_endpoints_out(endpoint: Endpoint) -> None:
    config = make_config("http://127.0.0.1:9/v1", endpoint.url, max_retries=0)
    for index in (1, 3):
        engine = await OpenAIEngine.start(config, "m", index)
        assert endpoint.url in engine.info()["base_url"]
        await engine.close()
    with pytest.raises(UserError, match="nothing answers"):
        await OpenAIEngine.start(config, "m", 2)


def test_a_sampler_process_never_tells_the_key(endpoint: Endpoint, tmp_path: Path) -> None:
    config = make_config(endpoint.url).model_dump()
    with WorkerProcess("rrr_workers.roles.sampler", tmp_path / "log", {"RRR_TEST_KEY": "secret-key"}) as worker:
        worker.start(config, {"model": "m", "index": 0})
        assert worker.read_until("ready")["info"]["engine"] == "openai"
        query = {"id": "ab", "index": 0, "fields": {"nums": [1, 2], "target": 3}}
        worker.call(1, "sample_failures", {"query": query, "max_draws": 3, "failures_per_query": 1, "keep": "any"})
        value = worker.read_until("result")["value"]
        assert value["kinds"] == {"passed": 3}
        assert (value["prompt_tokens"], value["completion_tokens"]) == (33, 15)
        endpoint.script = [(500, {"error": {"message": "down"}})] * 9
        params = {
            "query": query,
            "decoding": "greedy",
            "purpose": "eval",
            "failed_answer": None,
            "retry": {"kind": "reflect", "rounds": 1, "gated": True},
        }
        worker.call(2, "episode", params)
        frames = [worker.read()]
        assert frames[0]
        assert (frames[0]["type"], frames[0]["id"]) == ("error", 2)
        assert (frames[0]["error"]["type"], frames[0]["error"]["retryable"]) == ("call", True)
        endpoint.script = []
        worker.call(3, "episode", params)  # the worker lives on
        frames.append(worker.read_until("result"))
    assert "secret" not in (tmp_path / "log").read_text() + json.dumps(frames)
    assert endpoint.requests[0][0]["seed"] != endpoint.requests[1][0]["seed"]
    assert endpoint.requests[-1][0]["temperature"] == 0
