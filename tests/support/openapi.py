"""The REST description: the YAML that people edit, the JSON that the gateway serves, and a judge.

`python -m tests.support.openapi` writes the JSON from the YAML.
"""

from __future__ import annotations

import functools
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import jsonschema
import yaml

FOLDER = Path(__file__).parents[2] / "schemas" / "api"
HTTP_METHODS = ("get", "post", "put", "delete", "patch", "head")


def from_yaml() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "openapi.yaml").read_text("utf-8"))
    return loaded


def as_json(described: dict[str, Any]) -> str:
    return json.dumps(described, ensure_ascii=False, indent=1) + "\n"


@functools.cache
def served() -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / "openapi.json").read_text("utf-8"))
    return loaded


@functools.cache
def _paths() -> list[tuple[re.Pattern[str], str]]:
    return [(re.compile(re.sub(r"\{\w+\}", "[^/]+", p)), p) for p in served()["paths"]]


def operations() -> dict[tuple[str, str], dict[str, Any]]:
    """(METHOD, path) -> operation."""
    return {
        (method.upper(), path): operation
        for path, methods in served()["paths"].items()
        for method, operation in methods.items()
        if method in HTTP_METHODS
    }


def resolved(value: dict[str, Any]) -> dict[str, Any]:
    found: Any = served()
    if "$ref" not in value:
        return value
    for step in value["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    made: dict[str, Any] = found
    return made


def judge(schema: dict[str, Any], value: object) -> None:
    """Raises ValidationError; every `$ref` leads into the description."""
    whole = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    whole["components"] = served()["components"]
    jsonschema.Draft202012Validator(whole).validate(value)


def conforms(method: str, path: str, status: int, headers: Mapping[str, str], body: bytes) -> None:
    """The answer is one that the description promises for this operation."""
    template = next((t for pattern, t in _paths() if pattern.fullmatch(path)), None)
    operation = operations().get((("GET" if method == "HEAD" else method), str(template)))
    if operation is None:
        assert status in (401, 404, 405), f"{method} {path} is described nowhere"
        return
    answers = operation["responses"]
    promised = answers.get(str(status)) or answers.get("default")
    assert promised is not None, f"{method} {path}: {status} is not promised"
    kind = (headers.get("Content-Type") or "").partition(";")[0]
    content = resolved(promised).get("content", {})
    if "json" in kind:
        assert kind in content, f"{method} {path}: {status} as {kind} is not promised"
        if body:
            judge(content[kind]["schema"], json.loads(body))


if __name__ == "__main__":
    (FOLDER / "openapi.json").write_text(as_json(from_yaml()), "utf-8")
