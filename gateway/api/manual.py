"""The description of this API: OpenAPI for programs, one plain page for people.

In:     schemas/api/openapi.json and errors.json. Out: bytes, made once at start.
Fails:  Misconfigured, when the files are not there or not JSON: the installation is incomplete.
Never:  loads anything from elsewhere: no script, no font, no image.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from html import escape
from importlib import resources
from typing import Any

from aiohttp import web

from gateway.errors import Misconfigured, Text

_STYLE = """
:root{color-scheme:light dark}
body{font:16px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem}
h2{margin-top:3rem;border-bottom:1px solid}h3{margin:2rem 0 .3rem}
code,pre{font:14px/1.4 ui-monospace,monospace}
pre{padding:.8rem;overflow-x:auto;border:1px solid;border-radius:4px}
table{border-collapse:collapse;width:100%}td,th{text-align:left;vertical-align:top;
padding:.25rem .6rem .25rem 0;border-bottom:1px solid #8884}
.verb{display:inline-block;min-width:4.2rem;font-weight:700}.roles{opacity:.75;font-weight:400}
"""
_CODE = re.compile(r"`([^`]+)`")
_EMPHASIS = re.compile(r"\*([A-Za-z]+)\*")
_POLICY = "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'"


@dataclass(frozen=True, slots=True)
class Manual:
    description: bytes
    page: bytes


MANUAL = web.AppKey("manual", Manual)


def load() -> Manual:
    """Raises Misconfigured (`schemas.missing`)."""
    folder = resources.files("schemas") / "api"
    try:
        raw = (folder / "openapi.json").read_bytes()
        described = json.loads(raw)
        codes = json.loads((folder / "errors.json").read_bytes())["codes"]
    except (OSError, ValueError, KeyError) as error:
        raise Misconfigured(
            Text(
                f"schemas/api không đọc được: {error}",
                f"schemas/api cannot be read: {error}",
            ),
            code="schemas.missing",
        ) from error
    compact = json.dumps(described, ensure_ascii=False, separators=(",", ":")).encode()
    return Manual(compact, "".join(_page(described, codes)).encode())


async def description(request: web.Request) -> web.Response:
    return web.Response(body=request.app[MANUAL].description, content_type="application/json")


async def readable(request: web.Request) -> web.Response:
    return web.Response(
        body=request.app[MANUAL].page,
        content_type="text/html",
        charset="utf-8",
        headers={"Content-Security-Policy": _POLICY},
    )


def _page(described: Mapping[str, Any], codes: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    info = described["info"]
    yield "<!doctype html><html lang=en><meta charset=utf-8>"
    yield "<meta name=viewport content='width=device-width,initial-scale=1'>"
    yield f"<title>{escape(info['title'])}</title><style>{_STYLE}</style>"
    yield f"<h1>{escape(info['title'])}</h1>{_vietnamese(info, 'p')}{_prose(info['description'])}"
    yield "<p>Cho chương trình / for programs: "
    yield "<a href='/v1/openapi.json'>/v1/openapi.json</a></p><p>"
    for tag in described["tags"]:
        yield f"<a href='#tag-{escape(tag['name'])}'>{escape(tag['x-vi'])}</a> · "
    yield "<a href='#codes'>Mã lỗi</a></p>"
    for tag in described["tags"]:
        name = escape(tag["name"])
        yield f"<h2 id='tag-{name}'><span lang=vi>{escape(tag['x-vi'])}</span> · {name}</h2>"
        yield _prose(tag["description"])
        for path, methods in described["paths"].items():
            shared = methods.get("parameters", [])
            for verb, operation in methods.items():
                if verb != "parameters" and tag["name"] in operation["tags"]:
                    yield from _operation(described, path, verb, operation, shared)
    yield "<h2 id=codes><span lang=vi>Mã lỗi</span> · codes</h2>"
    yield "<p>Of problems and findings. They never change; texts may.</p><table>"
    for code, texts in sorted(codes.items()):
        yield f"<tr id='{escape(code)}'><td><code>{escape(code)}</code></td>"
        yield f"<td lang=vi>{_inline(texts['vi'])}</td><td>{_inline(texts['en'])}</td></tr>"
    yield "</table></html>"


def _operation(
    described: Mapping[str, Any],
    path: str,
    verb: str,
    operation: Mapping[str, Any],
    shared: list[Mapping[str, Any]],
) -> Iterator[str]:
    roles = ", ".join(operation.get("x-roles", ["không cần khóa / no key needed"]))
    yield f"<h3 id='{escape(operation['operationId'])}'><span class=verb>{verb.upper()}</span>"
    yield f"<code>{escape(path)}</code> <span class=roles>({escape(roles)})</span></h3>"
    yield _vietnamese(operation, "p")
    yield f"<p><b>{_inline(operation['summary'])}.</b></p>"
    yield _prose(operation.get("description", ""))
    parameters = [_resolved(described, p) for p in (*shared, *operation.get("parameters", ()))]
    if parameters:
        yield "<table>"
        for parameter in parameters:
            yield f"<tr><td><code>{escape(parameter['name'])}</code> ({parameter['in']})</td>"
            yield f"<td>{_inline(parameter.get('description', ''))}</td></tr>"
        yield "</table>"
    yield from _examples("Gửi đi / body", operation.get("requestBody", {}).get("content", {}))
    yield "<table>"
    for status, answer in operation["responses"].items():
        answered = _resolved(described, answer)
        yield f"<tr><td><code>{status}</code></td><td>{_inline(answered['description'])}</td></tr>"
    yield "</table>"
    for status, answer in operation["responses"].items():
        yield from _examples(f"Trả lời / answer {status}", answer.get("content", {}))


def _vietnamese(described: Mapping[str, Any], element: str) -> str:
    return f"<{element} lang=vi><b>{_inline(described['x-vi'])}</b></{element}>"


def _examples(label: str, content: Mapping[str, Any]) -> Iterator[str]:
    for media_type, body in content.items():
        yield f"<p>{label}: <code>{escape(media_type)}</code></p>"
        for example in body.get("examples", {}).values():
            shown = json.dumps(example["value"], ensure_ascii=False, indent=2)
            yield f"<pre>{escape(shown)}</pre>"


def _resolved(described: Mapping[str, Any], value: Mapping[str, Any]) -> Mapping[str, Any]:
    """What a local `$ref` points to; all of ours begin with `#/`."""
    if "$ref" not in value:
        return value
    found: Any = described
    for step in value["$ref"].removeprefix("#/").split("/"):
        found = found[step]
    return dict(found)


def _prose(text: str) -> str:
    return "".join(f"<p>{_inline(part)}</p>" for part in text.strip().split("\n\n") if part)


def _inline(text: str) -> str:
    """The two marks that our own descriptions and texts use: `code` and *word*."""
    marked = _CODE.sub(r"<code>\1</code>", escape(text))
    return _EMPHASIS.sub(r"<em>\1</em>", marked)
