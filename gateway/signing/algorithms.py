"""The algorithm policy as dated data: conf/algorithms.toml -> Policy.

In:     the parsed TOML, by file name.
Out:    a Policy: what the data say of an algorithm, on top of what the code knows of it.
Fails:  Misconfigured with every mistake at once, each path `FILE:signature[N].key`.
Never:  reads files; trusts SHA-1 or MD5, or a key below the floor, whatever the data say.

What an algorithm is (its family, its digest, whether we produce it) is a fact of the code; whether
it counts, from when until when and from which key size on, is law and stands in the data. An
algorithm that the data do not list is unknown, and unknown never counts.
"""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from datetime import date
from typing import TypeVar

import msgspec

from gateway.errors import Finding, Misconfigured, Severity, Text
from gateway.signing.policy import (
    DEFAULT_POLICY,
    Dated,
    DigestMethod,
    Family,
    Policy,
    SignatureMethod,
    Standing,
)

_BROKEN = frozenset({"sha1", "md5"})
# TT 15/2025/TT-BKHCN, appendix: data can ask for more, never for less
_FLOOR = {Family.RSA_PKCS1: 2048, Family.RSA_PSS: 2048, Family.ECDSA: 256}


class _Row(msgspec.Struct, forbid_unknown_fields=True, frozen=True, kw_only=True):
    uri: str
    article: str
    standing: Standing = Standing.TRUSTED
    valid_from: date | None = None
    valid_to: date | None = None


class _SignatureRow(_Row, frozen=True, kw_only=True):
    minimum_bits: int


_RowT = TypeVar("_RowT", bound=_Row)


def load_policy(tables: Mapping[str, Mapping[str, object]]) -> Policy:
    """`tables`: for each file its parsed TOML, with the arrays `signature` and `digest`.

    Refused: an unknown key or algorithm; a period that ends before it begins; two rows of one
    algorithm on the same day; SHA-1, MD5 or a short key trusted; nothing left to sign with.
    """
    findings: list[Finding] = []
    signatures: list[SignatureMethod] = []
    digests: list[DigestMethod] = []
    for name, table in tables.items():
        findings += [
            _mistake(f"{name}:{key}", f"không có khóa {key!r}", f"there is no key {key!r}")
            for key in table
            if key not in {"signature", "digest"}
        ]
        for path, row in _rows(name, table, "signature", _SignatureRow, findings):
            signature = _signature(path, row, findings)
            if signature is not None and _fits(path, signature, signatures, findings):
                signatures.append(signature)
        for path, one in _rows(name, table, "digest", _Row, findings):
            digest = _digest(path, one, findings)
            if digest is not None and _fits(path, digest, digests, findings):
                digests.append(digest)
    if not any(m.produced and m.until is None for m in signatures):
        vi, en = "không còn thuật toán nào để ký", "no algorithm is left to sign with"
        findings.append(_mistake("tables.algorithms", vi, en))
    if findings:
        raise Misconfigured(
            Text("Tệp thuật toán chữ ký có lỗi.", "The file of algorithms has mistakes."),
            code="conf.algorithms_invalid",
            findings=tuple(findings),
        )
    return Policy(tuple(signatures), tuple(digests), DEFAULT_POLICY.maximum_bits)


def _rows(
    name: str, table: Mapping[str, object], key: str, kind: type[_RowT], findings: list[Finding]
) -> Iterator[tuple[str, _RowT]]:
    entries = table.get(key, [])
    for number, entry in enumerate(entries if isinstance(entries, list) else [entries]):
        path = f"{name}:{key}[{number}]"
        try:
            yield path, msgspec.convert(entry, kind)
        except msgspec.ValidationError as error:
            where = re.search(r"`\$\.?(.*?)`$", str(error))
            told = f"{path}.{where[1]}" if where and where[1] else path
            findings.append(_mistake(told, str(error), str(error)))


def _signature(path: str, row: _SignatureRow, findings: list[Finding]) -> SignatureMethod | None:
    known = next((m for m in DEFAULT_POLICY.signatures if m.uri == row.uri), None)
    if known is None:
        findings.append(_unknown(path, row.uri))
        return None
    trusted = row.standing is Standing.TRUSTED
    if trusted and known.digest in _BROKEN:
        findings.append(_broken(path))
    floor = _FLOOR[known.family]
    if trusted and row.minimum_bits < floor:
        vi, en = f"phải từ {floor} bit trở lên", f"must be {floor} or more"
        findings.append(_mistake(f"{path}.minimum_bits", vi, en))
    return dataclasses.replace(
        known,
        minimum_bits=row.minimum_bits,
        standing=row.standing,
        produced=known.produced and trusted,
        since=row.valid_from,
        until=row.valid_to,
        article=row.article,
    )


def _digest(path: str, row: _Row, findings: list[Finding]) -> DigestMethod | None:
    known = next((m for m in DEFAULT_POLICY.digests if m.uri == row.uri), None)
    if known is None:
        findings.append(_unknown(path, row.uri))
        return None
    if row.standing is Standing.TRUSTED and known.standing is Standing.WEAK:
        findings.append(_broken(path))
    return dataclasses.replace(
        known,
        standing=row.standing,
        since=row.valid_from,
        until=row.valid_to,
        article=row.article,
    )


def _fits(path: str, row: Dated, earlier: Sequence[Dated], findings: list[Finding]) -> bool:
    """Is its period one, and its own?"""
    begins, ends = row.since or date.min, row.until or date.max
    if ends < begins:
        vi, en = "thời hạn kết thúc trước khi bắt đầu", "the period ends before it begins"
        findings.append(_mistake(f"{path}.valid_to", vi, en))
        return False
    for other in earlier:
        shared = begins <= (other.until or date.max) and (other.since or date.min) <= ends
        if other.uri == row.uri and shared:
            vi, en = "hai dòng cùng hiệu lực một ngày", "two rows in force on the same day"
            findings.append(_mistake(f"{path}.uri", vi, en))
            return False
    return True


def _unknown(path: str, uri: str) -> Finding:
    vi, en = f"không biết thuật toán {uri!r}", f"unknown algorithm {uri!r}"
    return _mistake(f"{path}.uri", vi, en)


def _broken(path: str) -> Finding:
    vi, en = "SHA-1 và MD5 chỉ được đọc, luôn là weak", "SHA-1 and MD5 are only read, always weak"
    return _mistake(f"{path}.standing", vi, en)


def _mistake(path: str, vi: str, en: str) -> Finding:
    text = Text(f"Chính sách thuật toán không hợp lệ: {vi}", f"invalid algorithm policy: {en}")
    return Finding(path, "conf.algorithms_invalid", Severity.ERROR, text)
