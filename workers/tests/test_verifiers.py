"""Property tests of the verifiers against independent oracles; scripts/check_verifiers.py is the million-fold run."""

import importlib.util
import json
import random
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from oracle_calls import Bad, read, tagged
from rrr_workers.tasks.bounded_json import JsonError, decode, freeze

_SCRIPT = Path(__file__).parents[2] / "scripts" / "check_verifiers.py"


def _script() -> Any:
    spec = importlib.util.spec_from_file_location("check_verifiers", _SCRIPT)
    assert spec
    assert spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


CHECK = _script()


@pytest.mark.parametrize("name", CHECK.CASES)
def test_generated_completions_get_the_right_verdict_in_time(name: str) -> None:
    found = CHECK.check(name, 5_000, seed=7)
    assert found["wrong"] == 0, found["wrong_examples"]
    assert found["slowest_ms"] < CHECK.LIMIT_MS, found["slowest"]
    assert len(found["kinds"]) >= 6
    assert found["kinds"]["passed"] > 500


@pytest.mark.parametrize("name", CHECK.CASES)
@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 2**64), noise=st.text(max_size=40), at=st.floats(0, 1))
def test_noise_anywhere_in_a_completion_never_gets_a_wrong_verdict(name: str, seed: int, noise: str, at: float) -> None:
    task, query, case, _ = CHECK.CASES[name](random.Random(seed), {})
    cut = int(at * len(case.completion))
    case.completion = case.completion[:cut] + noise + case.completion[cut:]
    verdict = task.judge(query, case.completion, case.finish_reason)
    oracle = CHECK.oracle_countdown if name == "countdown" else CHECK.oracle_calls
    assert verdict.kind in oracle.expected_kinds(case)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    max_leaves=20,
)


@given(JSON, JSON)
def test_decoded_values_are_equal_exactly_when_the_oracle_says_so(one: Any, other: Any) -> None:
    texts = json.dumps(one), json.dumps(other, ensure_ascii=False)
    assert (freeze(decode(texts[0])) == freeze(decode(texts[1]))) == (tagged(one) == tagged(other))
    assert freeze(decode(texts[0])) == freeze(decode(json.dumps(one, indent=1, ensure_ascii=False)))


@given(st.text(alphabet='[]{}",:0123456789.eE+-truefalsn\\u \n٣\ud800', max_size=30))
def test_the_decoder_accepts_what_the_oracle_accepts(text: str) -> None:
    try:
        value, end = read(text, 0)
        accepted = end == len(text)
    except Bad:
        accepted = False
    if accepted:
        frozen = freeze(decode(text))
        assert (frozen == freeze(decode(json.dumps("5")))) == (value == ("str", "5"))
    else:
        with pytest.raises(JsonError):
            decode(text)
