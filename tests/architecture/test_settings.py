"""Settings, conf/gateway.toml and docs/configuration.md name the same keys and defaults."""

from __future__ import annotations

import dataclasses
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, get_args, get_origin, get_type_hints

from gateway import config
from gateway.rules.kinds import AnyRule

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf" / config.FILE_NAME
DOCS = ROOT / "docs" / "configuration.md"


def uncommented() -> str:
    """conf/gateway.toml with every commented key in force (`#key`, not `# prose`)."""
    return re.sub(r"^#(?=[\w\[])", "", CONF.read_text("utf-8"), flags=re.MULTILINE)


def keys_of_settings(cls: Any = config.Written, prefix: str = "") -> Iterator[str]:
    for name, hint in get_type_hints(cls).items():
        inner = get_args(hint)[0] if get_origin(hint) is tuple else hint
        if dataclasses.is_dataclass(inner):
            yield from keys_of_settings(inner, f"{prefix}{name}.")
        else:
            yield prefix + name


def keys_of_toml(table: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for name, value in table.items():
        if isinstance(value, dict):
            yield from keys_of_toml(value, f"{prefix}{name}.")
        elif isinstance(value, list) and value and isinstance(value[0], dict):
            yield from keys_of_toml(value[0], f"{prefix}{name}.")
        else:
            yield prefix + name


def plain_tables() -> Iterator[str]:
    """The uncommented lines without the array tables, whose values are examples."""
    example = False
    for line in uncommented().splitlines():
        if line.startswith("["):
            example = line.startswith("[[")
        if not example:
            yield line


def test_every_key_of_settings_stands_in_gateway_toml_and_the_reverse() -> None:
    written = list(keys_of_toml(tomllib.loads(uncommented())))
    assert sorted(written) == sorted(keys_of_settings())


def test_every_key_of_settings_is_explained_in_the_documentation() -> None:
    text = DOCS.read_text("utf-8")
    explained = set(re.findall(r"`([a-z0-9_.]+)`", text))
    assert [key for key in keys_of_settings() if key not in explained] == []


def test_the_defaults_that_gateway_toml_shows_are_those_of_the_code(tmp_path: Path) -> None:
    for name in ("rules", "agencies", "profile", "algorithms.toml"):
        (tmp_path / name).symlink_to(ROOT / "conf" / name)
    empty = config.load(write(tmp_path, ""), files=False)
    shown = config.load(write(tmp_path, "\n".join(plain_tables())), files=False)
    for field in dataclasses.fields(config.Written):
        assert getattr(shown, field.name) == getattr(empty, field.name), field.name


def test_the_shipped_file_loads_as_it_is() -> None:
    settings = config.load(CONF, files=False)
    assert settings.warnings == ()
    assert settings.axis == ()


def test_defaults_of_array_tables_are_those_of_the_code() -> None:
    table = tomllib.loads(uncommented())
    shown_otherwise = {  # required, or shown as an example
        "axis": {"name", "endpoint", "system_id", "secret_file"},
        "route": {"axis", "everyone", "valid_from", "valid_to"},
        "key": {"agency", "path"},
        "receiver": {"agency", "certificate"},
        "authorities": {"name", "url"},
    }
    found = {
        "axis": (config.AxisSection, table["axis"][0]),
        "route": (get_args(get_type_hints(config.Written)["route"])[0], table["route"][0]),
        "key": (config.AgencyKey, table["key"][0]),
        "receiver": (config.ReceiverCertificate, table["receiver"][0]),
        "authorities": (config.Authority, table["stamp"]["authorities"][0]),
    }
    units = {"10s": 10.0, "4s": 4.0}
    for name, (cls, shown) in found.items():
        for field in dataclasses.fields(cls):
            if field.name in shown_otherwise[name]:
                continue
            value = shown[field.name]
            value = units.get(value, value) if isinstance(value, str) else value
            value = tuple(value) if isinstance(value, list) else value
            assert value == (field.default if field.default is not None else ""), field.name


def write(folder: Path, text: str) -> Path:
    file = folder / config.FILE_NAME
    file.write_text(text, "utf-8")
    return file


def test_every_kind_of_check_is_named_in_the_documentation() -> None:
    kinds = {kind.__struct_config__.tag for kind in get_args(AnyRule)}
    listed = DOCS.read_text("utf-8").partition("Kinds: ")[2].partition(".")[0]
    assert kinds == set(re.findall(r"`([a-z_]+)`", listed))
