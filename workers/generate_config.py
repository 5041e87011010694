"""Writes rrr_workers/config_model.py from config.schema.json:  ../.venv/bin/python generate_config.py

``npm run schema`` writes the schema. The command line checks values and fills in defaults before a worker starts, so
the model holds names and types, without limits, defaults and descriptions.
"""

import json
from pathlib import Path
from typing import Any

from datamodel_code_generator import InputFileType, generate
from datamodel_code_generator.enums import DataModelType
from datamodel_code_generator.format import Formatter, PythonVersion
from datamodel_code_generator.parser import LiteralType

HERE = Path(__file__).parent
SCHEMA = HERE / "config.schema.json"
MODEL = HERE / "rrr_workers" / "config_model.py"
HEADER = "# Generated from config.schema.json by generate_config.py: change src/config/schema.ts, then run both again."
_KEPT = ("type", "enum", "required", "additionalProperties")


def names_and_types(schema: dict[str, Any]) -> dict[str, Any]:
    """``schema`` without what the command line checks."""
    kept = {key: value for key, value in schema.items() if key in _KEPT}
    if "properties" in schema:
        kept["properties"] = {name: names_and_types(inner) for name, inner in schema["properties"].items()}
    if "items" in schema:
        kept["items"] = names_and_types(schema["items"])
    return kept


def generated() -> str:
    """The text of config_model.py."""
    text = generate(
        json.dumps(names_and_types(json.loads(SCHEMA.read_text(encoding="utf-8")))),
        input_file_type=InputFileType.JsonSchema,
        class_name="Config",
        output_model_type=DataModelType.PydanticV2BaseModel,
        target_python_version=PythonVersion.PY_311,
        enum_field_as_literal=LiteralType.All,
        enable_faux_immutability=True,
        custom_file_header=HEADER,
        formatters=[Formatter.BUILTIN],
    )
    assert isinstance(text, str)
    return text


if __name__ == "__main__":
    MODEL.write_text(generated(), encoding="utf-8")
