"""pack, unpack, inspect: packages on this machine, without a gateway and without a network.

In:     metadata and files; or a package.
Out:    a package; files and metadata; or what the package really is.
Fails:  65 with every finding: what cannot be sent lawfully, what cannot be read.
Never:  writes over a file, writes outside the folder named, leaves a half-written file.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import click

from gateway.cli.answers import Command, complain, example, finding_line, json_option, say, say_json
from gateway.cli.wrongly import Wrongly
from gateway.errors import Finding, Rejected, Severity, Text

if TYPE_CHECKING:
    from gateway.model.package import SignatureVerdict
    from gateway.model.submission import Attachment, Submission
    from gateway.packing.read import ReadPackage
    from gateway.ports import KeyHolder

CHUNK = 1024 * 1024
_WORTH_A_BAR = 32 * CHUNK


@click.command(
    "pack",
    cls=Command,
    epilog=example(
        "edoc-gateway pack metadata.json cong-van.pdf phu-luc.xlsx -o van-ban.edxml",
        "edoc-gateway pack metadata.json cong-van.pdf -o van-ban.edxml "
        "--sign co-quan.key.pem --cert co-quan.cert.pem",
        "edoc-gateway pack metadata.json cong-van.pdf -o van-ban.edxml --encrypt-to noi-nhan.pem",
        "edoc-gateway pack metadata.json cong-van.pdf -o luu-tru.edxml "
        "--sign co-quan.p12 --password-file mat-khau --profile enveloped",
    ),
)
@click.argument("metadata", type=click.Path(exists=True, dir_okay=False))
@click.argument("files", nargs=-1, type=click.Path(exists=True, dir_okay=False))
@click.option("-o", "--output", required=True, type=click.Path(dir_okay=False))
@click.option(
    "--sign",
    "key",
    type=click.Path(exists=True, dir_okay=False),
    help="Sign with this key: PEM or PKCS#12, mode 0600.",
)
@click.option("--cert", type=click.Path(exists=True, dir_okay=False), help="Its certificate.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False),
    help="The key's password: first line of a file of mode 0600.",
)
@click.option(
    "--encrypt-to",
    multiple=True,
    type=click.Path(exists=True, dir_okay=False),
    help="Encrypt the files to the key of this certificate (RSA); may be repeated.",
)
@click.option(
    "--profile",
    type=click.Choice(["relay", "enveloped"]),
    default="relay",
    help="What the signature is over: relay (survives an axis) or enveloped (the document as XML; "
    "for direct links and archives only).",
)
@click.option("--at", "at_text", help="Instant of packing, RFC 3339; default: now.")
@json_option
def pack(
    metadata: str,
    files: tuple[str, ...],
    output: str,
    key: str | None,
    cert: str | None,
    password_file: str | None,
    encrypt_to: tuple[str, ...],
    profile: str,
    at_text: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Make a package of METADATA (JSON, as REST takes it) and FILES, by the gateway's own rules.

    Nothing is written unless all is well: 65, with everything that stands against it.
    """
    from gateway.cli.files import new_file
    from gateway.packing.metadata import parse_metadata

    at = _instant(at_text)
    submission = replace(
        parse_metadata(Path(metadata).read_bytes()),
        files=tuple(_attachment(Path(f)) for f in files),
    )
    findings = _judge(submission, at)
    holder = None
    if key is not None:
        from gateway.wiring.offline import key_holder

        holder = key_holder(key, certificate=cert, password_file=password_file, now=at)
    elif cert is not None or password_file is not None:
        raise Wrongly(
            "--cert và --password-file đi cùng --sign",
            "--cert and --password-file belong to --sign",
        )
    elif profile != "relay":
        raise Wrongly("--profile đi cùng --sign", "--profile belongs to --sign")
    if encrypt_to:
        from gateway.cli.encryption import encrypt_all

        submission, more = encrypt_all(submission, encrypt_to, at)
        findings = (*findings, *more)
    with new_file(Path(output)) as out:
        made = _write(out, submission, at, holder, profile)
    if as_json:
        shown = [f.as_json(lang) for f in findings]
        say_json({"package": output, **made, "signed": holder is not None, "findings": shown})
        return
    from gateway.cli.page.made import packed_lines

    signed = holder is not None
    for line in packed_lines(output, made, len(submission.files), signed, findings, lang):
        say(line)


def _judge(submission: Submission, at: datetime) -> tuple[Finding, ...]:
    """The same rules as the gateway's; Rejected with all findings when one is an error."""
    from gateway.cli.places import rule_set
    from gateway.errors import errors_in
    from gateway.rules.checks import check_submission

    findings = check_submission(submission, at, rule_set())
    if wrong := errors_in(findings):
        secret = any(f.code == "secrecy.marked" for f in wrong)
        raise Rejected(
            Text("Văn bản chưa đạt yêu cầu", "the document cannot be accepted"),
            code="secrecy.marked" if secret else "submission.invalid",
            findings=findings,
        )
    return findings


def _write(
    out: BinaryIO, submission: Submission, at: datetime, holder: KeyHolder | None, profile: str
) -> dict[str, Any]:
    from gateway.cli.places import algorithms
    from gateway.making import Manner, make_package
    from gateway.model.package import TraceHeader, identity
    from gateway.promise import document_id_for, vietnam_time
    from gateway.rules import vietnam_day
    from gateway.signing import Profile

    header = submission.header
    content = identity(header, [(f.name, f.sha256) for f in submission.files])
    header = replace(
        header,
        document_id=header.document_id or document_id_for(header, content),
        traces=(TraceHeader(header.sender.organ_id, vietnam_time(at)),),
    )
    manner = Manner(Profile(profile), algorithms(), vietnam_day(at))
    seed = header.document_id
    made = make_package(out, header, submission.files, seed=seed, holder=holder, manner=manner)
    return {"document_id": header.document_id, "sha256": made.sha256, "size": made.size}


@click.command(
    "unpack",
    cls=Command,
    epilog=example(
        "edoc-gateway unpack van-ban.edxml -d ra/",
        "edoc-gateway unpack van-ban.edxml -d ra/ --key co-quan.p12 --password-file mat-khau",
    ),
)
@click.argument("package", type=click.Path(exists=True, dir_okay=False))
@click.option("-d", "--directory", required=True, type=click.Path(file_okay=False))
@click.option(
    "--key",
    type=click.Path(exists=True, dir_okay=False),
    help="Decrypt files that were encrypted to this key: PEM or PKCS#12, RSA, mode 0600.",
)
@click.option("--cert", type=click.Path(exists=True, dir_okay=False), help="Its certificate.")
@click.option(
    "--password-file",
    type=click.Path(exists=True, dir_okay=False),
    help="The key's password: first line of a file of mode 0600.",
)
@json_option
def unpack(
    package: str,
    directory: str,
    key: str | None,
    cert: str | None,
    password_file: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Take PACKAGE apart: metadata.json (or status.json), and every attachment as it really is.

    Names are made safe, and each that was changed is told; nothing is written over. An attachment
    that cannot be read is named, the others are written all the same, and the exit code is 65. With
    --key, files that were encrypted to it are written as they were before; one that it does not
    open is written as it came, and the exit code is 65.
    """
    opener = None
    if key is not None:
        from gateway.wiring.offline import key_holder

        now = datetime.fromtimestamp(time.time(), UTC)
        opener = key_holder(key, certificate=cert, password_file=password_file, now=now)
    elif cert is not None or password_file is not None:
        raise Wrongly(
            "--cert và --password-file đi cùng --key",
            "--cert and --password-file belong to --key",
        )
    from gateway.cli.files import exists, free_names, publish, staged

    target = Path(directory)
    with staged(target) as stage, _watched(Path(package), lang) as source:
        from gateway.packing.read import extract_file, read_package
        from gateway.signing import verify

        read = read_package(source, sink=stage)
        verdict = _verdict(source, read, _instant(None))
        chosen = verify.inner_choice(verdict, read.files)
        for index, (fact, digest) in enumerate(zip(read.files, chosen, strict=True)):
            if not fact.failed and digest != fact.sha256:
                # the signature is over the bytes as carried: those are the file (contract 4)
                source.seek(0)
                with stage.open(index, fact.name) as out:
                    extract_file(source, index, out, unwrap=False)
        about, value = _about(read)
        described = stage.folder / about
        described.write_text(json.dumps(value, ensure_ascii=False, indent=2) + "\n", "utf-8")
        plain = [f.name for f in read.files]
        shut: list[Finding] = []
        if opener is not None:
            from gateway.cli.encryption import decrypt_staged

            plain, shut = decrypt_staged(stage, read.files, opener)
        names = free_names(plain, taken=(about,))
        good = [(i, n) for i, n in enumerate(names) if not read.files[i].failed]
        if any(os.path.lexists(target / name) for name in (about, *(n for _, n in good))):
            taken = next(n for n in (about, *names) if os.path.lexists(target / n))
            raise exists(target / taken)
        publish(target, [(described, about), *((stage.path(i), name) for i, name in good)])
    from gateway.cli.page.made import renamed, unpacked_lines

    findings = (*read.findings, *shut)
    if as_json:
        shown = [f.as_json(lang) for f in findings]
        written = [about, *(name for _, name in good)]
        changed = renamed(good, read.files)
        say_json({"directory": directory, "files": written, "renamed": changed, "findings": shown})
    else:
        for line in unpacked_lines(target, about, good, read.files, findings, lang):
            say(line)
        for finding in findings:
            complain(f"  {finding_line(finding, lang)}")
    if shut or len(good) < len(read.files):
        raise click.exceptions.Exit(65)


def _about(read: ReadPackage) -> tuple[str, object]:
    """File name and content: what `pack` takes again, or what a status says."""
    from gateway.packing.describe import inspect_json
    from gateway.packing.metadata import header_to_json
    from gateway.signing.verify import verify

    if read.header is not None:
        return "metadata.json", header_to_json(read.header)
    said = inspect_json(read, verify(None, None, ()))
    return "status.json", {"header": said["header"], "status": said["status"]}


@click.command(
    "inspect",
    cls=Command,
    epilog=example(
        "edoc-gateway inspect van-ban.edxml",
        "edoc-gateway inspect den.edxml --json",
        "edoc-gateway inspect cua-toi.edxml --strict",
    ),
)
@click.argument("package", type=click.Path(exists=True, dir_okay=False))
@click.option("--strict", is_flag=True, help="Also: is it written as the regulation has it?")
@click.option(
    "--conf",
    envvar="EDOC_GATEWAY_CONF",
    type=click.Path(),
    help="With --strict: judge by this gateway's profile and rules, not by those that came along.",
)
@click.option(
    "--roots",
    type=click.Path(exists=True, file_okay=False),
    help="Whom to trust: a folder like conf/trust (roots/, intermediates/, lists/).",
)
@click.option("--at", "at_text", help="When it was received, RFC 3339; without it, now.")
@json_option
def inspect(
    package: str,
    strict: bool,
    conf: str | None,
    roots: str | None,
    at_text: str | None,
    as_json: bool,
    lang: str,
) -> None:
    """Say what PACKAGE is: header, act, attachments as they really are, signature, findings.

    The first line says what it is and how much needs attention; the end of the page, what and why.
    The certificate behind a signature is held against --roots, without any network.

    Exit 0 when it can be read, whatever is found; 65 when it cannot. With --strict the question is
    another one: 0 only if a strict writer could have written it (schema, lengths and the profile of
    the day of promulgation), else 65 with all that stands against it.
    """
    from gateway.cli.places import algorithms, packaged_conf
    from gateway.packing.describe import inspect_json
    from gateway.packing.read import read_package
    from gateway.signing.findings import signature_findings
    from gateway.signing.trust import Relied, with_trust
    from gateway.wiring.trust import anchors_in

    at = _instant(at_text)
    trust = Path(roots) if roots else packaged_conf() / "trust"
    relied = Relied(anchors_in(trust, policy=algorithms()))
    with _watched(Path(package), lang) as source:
        read = read_package(source)
        verdict, _ = with_trust(_verdict(source, read, at), read.signature, relied, at)
        found = None
        if strict:
            from gateway.cli.strictly import judge

            source.seek(0)
            found = judge(source, read, conf)
    trusted = verdict.trust.findings if verdict.trust else ()
    read = replace(read, findings=(*read.findings, *signature_findings(verdict), *trusted))
    if as_json:
        said = inspect_json(read, verdict, lang)
        say_json(said if found is None else {**said, "strict": found.as_json(lang)})
    else:
        from gateway.cli.page import package_page, terminal_width

        for line in package_page(read, verdict, lang, terminal_width()):
            say(line)
        for line in () if found is None else found.page(lang):
            say(line)
    if found is not None and not found.conforms:
        raise click.exceptions.Exit(65)


def _verdict(source: BinaryIO, read: ReadPackage, at: datetime) -> SignatureVerdict:
    """The same judgement as the gateway's, with the algorithms that came with the program."""
    from gateway.cli.places import algorithms
    from gateway.opening import judge
    from gateway.rules import vietnam_day

    return judge(source, 0, read, policy=algorithms(), day=vietnam_day(at))


# -- files -----------------------------------------------------------------------------------------


def _attachment(path: Path) -> Attachment:
    from gateway.model.submission import Attachment

    digest = hashlib.sha256()
    size = 0
    with path.open("rb") as source:
        while piece := source.read(CHUNK):
            digest.update(piece)
            size += len(piece)
    return Attachment(path.name, size, digest.hexdigest(), lambda: path.open("rb"))


@contextmanager
def _watched(path: Path, lang: str) -> Iterator[BinaryIO]:
    """The file; reading a large one shows a bar on a person's terminal."""
    size = path.stat().st_size
    if size < _WORTH_A_BAR or not os.isatty(2):
        with path.open("rb") as source:
            yield source
        return
    from rich import progress
    from rich.console import Console

    words = "Đang đọc" if lang == "vi" else "Reading"
    console = Console(stderr=True)
    with progress.open(path, "rb", description=words, console=console, transient=True) as shown:
        yield shown


def _instant(text: str | None) -> datetime:
    if text is None:
        return datetime.fromtimestamp(time.time(), UTC)
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        at = None
    if at is None or at.tzinfo is None:
        raise Rejected(
            Text("--at phải theo RFC 3339, có múi giờ", "--at is RFC 3339 with an offset"),
            code="metadata.datetime",
            findings=(Finding("--at", "metadata.datetime", Severity.ERROR, Text(text, text)),),
        )
    return at
