"""The REST description: the YAML that people edit, and the JSON that the gateway serves.

`python -m tests.support.openapi` writes the JSON from the YAML.
"""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

FOLDER = Path(__file__).parents[2] / "schemas" / "api"


def from_yaml() -> dict[str, Any]:
    loaded: dict[str, Any] = yaml.safe_load((FOLDER / "openapi.yaml").read_text("utf-8"))
    return loaded


def as_json(described: dict[str, Any]) -> str:
    return json.dumps(described, ensure_ascii=False, indent=1) + "\n"


if __name__ == "__main__":
    (FOLDER / "openapi.json").write_text(as_json(from_yaml()), "utf-8")
