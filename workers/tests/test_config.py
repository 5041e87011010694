"""The model of the config: generated from the schema that the command line writes, and never behind it."""

import sys
from pathlib import Path

import pytest

from harness import resolved_config
from rrr_workers.config import parse_config
from rrr_workers.errors import UserError


def test_the_model_is_what_the_schema_makes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parents[1]))
    from generate_config import MODEL, generated

    assert MODEL.read_text(encoding="utf-8") == generated(), "run generate_config.py"
    sys.modules.pop("generate_config")


def test_a_config_of_another_version_is_the_user_s_to_cure() -> None:
    config = resolved_config()
    del config["engine"]
    with pytest.raises(UserError, match=r"engine: Field required\n  workers.engine: Extra inputs") as caught:
        parse_config({**config, "workers": {**config["workers"], "engine": "vllm"}})
    assert "rrr setup" in (caught.value.cure or "")
