"""`CHECK.txt`: the same checks with openssl and sha256sum alone, as a script that can be run.

In:     a Case, the digests of all other parts.
Out:    text that `sh CHECK.txt` runs in the folder of the unpacked container; comments in
        Vietnamese and English say what each step shows.
Fails:  never.
Never:  trusts what it checks: the ledger's key and the authorities' certificates come from outside.

The steps are those of RFC 9162 2.1.3.2 (inclusion) and 2.1.4.2 (consistency), written out for
these records, so that whoever reads them sees each hash that is taken.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from gateway.evidence import layout
from gateway.evidence.case import Case, Head, Place
from gateway.evidence.manifest import MANIFEST, SIGNATURE
from gateway.evidence.rehashed import told
from gateway.ledger.checkpoint import parse_head
from gateway.ledger.note import split_note
from gateway.ledger.succession import DOMAIN

_HEAD = """\
#!/bin/sh
# Tự kiểm tra bằng chứng này chỉ với openssl và sha256sum: giải nén, vào thư mục đó, rồi chạy
#   LEDGER=khoa-so-cai.pem ANCHORS=chung-thu-tsa.pem sh CHECK.txt
# Hai tệp đó phải do bạn tự có từ trước; không lấy từ tệp bằng chứng này.
#
# This checks the evidence with nothing but openssl and sha256sum: unpack it, go to that folder, run
#   LEDGER=ledger-key.pem ANCHORS=tsa-certificates.pem sh CHECK.txt
# Both files must be your own, from another source than this container.

LEDGER=${LEDGER:?"PEM: the ledger's public key / khóa công khai của sổ cái"}
ANCHORS=${ANCHORS:?"PEM: the timestamp authorities' roots / chứng thư gốc bên cấp dấu thời gian"}
dir=$(mktemp -d) || exit 2
trap 'rm -rf "$dir"' EXIT
bad=0
said() { if [ "$1" = 0 ]; then echo "OK   $2"; else echo "SAI  $2"; bad=1; fi; }
b64() { openssl base64 -A; }
raw() { printf '%s' "$1" | openssl base64 -d -A; }
# RFC 9162 2.1.1: leaf = SHA-256(0x00 || record), node = SHA-256(0x01 || left || right)
leaf() { { printf '\\000'; cat "$1"; } | openssl dgst "${2:--sha256}" -binary | b64; }
node() { { printf '\\001'; raw "$1"; raw "$2"; } | openssl dgst "${3:--sha256}" -binary | b64; }
same() { [ "$1" = "$2" ]; }
root() { sed -n 3p "$1"; }
# C2SP signed note: four bytes name the key, the rest is ECDSA P-256 over the lines above the gap
signed() { # note [key [which of its signatures]]
  sed '/^$/,$d' "$1" > "$dir/text"
  sed -n '1,/^$/d; s/^— [^ ]* //p' "$1" | sed -n "${3:-1}p" |
    openssl base64 -d -A | tail -c +5 > "$dir/sig"
  openssl dgst -sha256 -verify "${2:-$LEDGER}" -signature "$dir/sig" "$dir/text" > "$dir/out" 2>&1
}
openssl pkey -pubin -in "$LEDGER" -pubout -out "$dir/ledger.pem" || exit 2
"""
# docs/ledger-format.md 11: a note of four lines, the third the digest of the key that comes
_CHANGES = """\
# 0. Sổ cái đã đổi khóa: khóa cũ và khóa mới cùng ký / the ledger changed its key, both keys signed
key() {
  sed 's/.*"'"$2"'":"[^+"]*+[^+"]*+\\([^"]*\\)".*/\\1/' "$1" | openssl base64 -d -A |
    tail -c +2 | openssl pkey -pubin -inform DER -pubout
}
change() { # record, key that goes, key that comes
  key "$1" old 2> /dev/null | cmp -s - "$2" &&
    printf '%b' "$(sed 's/.*"note":"\\([^"]*\\)".*/\\1/' "$1")" > "$dir/change" &&
    signed "$dir/change" "$2" 1 && signed "$dir/change" "$3" 2 &&
    same "$(sed -n 1,2p "$dir/change")" "$what" &&
    same "$(root "$dir/change")" \\
      "$(openssl pkey -pubin -in "$3" -outform DER | openssl dgst -sha256 -binary | b64)"
}"""


@dataclass(frozen=True, slots=True)
class Signed:
    """A package whose signature can be checked by hand. `inner`: digests of files it is over.

    `options`: how `openssl dgst` is told the algorithm, such as `-sha256`.
    """

    package: str
    inner: tuple[str, ...]
    options: str


def write(case: Case, digests: Mapping[str, bytes], signed: Sequence[Signed]) -> str:
    lines = [_HEAD, *_changes(case), "# 1. Mọi phần còn nguyên / every part is what the list says"]
    lines.append("sha256sum -c --quiet - > /dev/null <<'END'")
    lines += [f"{digest.hex()}  {name}" for name, digest in digests.items()]
    lines += ["END", 'said $? "1 parts"', ""]
    lines.append("# 2. Danh mục do khóa của sổ cái ký / the ledger's key signed the list")
    lines.append(
        f"openssl cms -verify -binary -noverify -inform DER -in {SIGNATURE} -content {MANIFEST} "
        '-signer "$dir/cover.pem" -out /dev/null > "$dir/out" 2>&1 &&'
    )
    lines.append('  openssl x509 -in "$dir/cover.pem" -noout -pubkey > "$dir/signer.pem" &&')
    lines.append(f'  cmp -s "$dir/signer.pem" {_key(case, len(case.handovers))}')
    lines += ['said $? "2 list"', ""]
    lines.append("# 3. Điểm kiểm soát do sổ cái ký / the ledger signed each checkpoint")
    for head in case.heads:
        key = _key(case, sum(one.place < head.place for one in case.handovers))
        lines.append(f'signed {layout.note(head)} {key}; said $? "3 checkpoint {_named(head)}"')
    lines.append("")
    lines.append("# 4. Dấu thời gian trên điểm kiểm soát / the stamp over each checkpoint")
    for head in case.heads:
        if head.token:
            lines.append(
                f"openssl ts -verify -token_in -in {layout.stamp(head)} -data {layout.note(head)} "
                '-CAfile "$ANCHORS" > "$dir/out" 2>&1; '
                f'said $? "4 stamp {_named(head)}"'
            )
    lines.append("")
    lines.append("# 5. Mỗi bản ghi nằm trong cây / each record is in the tree")
    lines += list(_inclusions(case))
    lines.append("")
    lines.append("# 6. Cây sau nối tiếp cây trước / each tree continues the one before it")
    lines += list(_steps(case))
    lines.append("")
    lines.append("# 7. Gói tin là gói mà bản ghi nêu / the packages are those that records name")
    for package in case.packages:
        lines.append(
            f"grep -q {package.digest} records/*.json && "
            f'echo "{package.digest}  {layout.package(package.digest)}" | '
            f'sha256sum -c --quiet - > /dev/null; said $? "7 package {package.digest[:16]}"'
        )
    lines.append("")
    lines.append("# 8. Chữ ký trong gói tin / the signatures inside the packages")
    for one in signed:
        lines += list(_signature(one))
    lines += [*_rehashed(case), "", 'exit "$bad"']
    return "\n".join(lines) + "\n"


def _changes(case: Case) -> Iterator[str]:
    """Each key as a file; the reader's own must be one of them."""
    if not case.handovers:
        return
    yield _CHANGES
    yield f"what=$(printf '%s\\n' '{DOMAIN}' '{case.origin}')"
    first = layout.record(case.handovers[0].place)
    yield f"key {first} old > {_key(case, 0)}"
    for number, one in enumerate(case.handovers, start=1):
        name, named = layout.record(one.place), f"{one.place.epoch}-{one.place.seq}"
        old, new = _key(case, number - 1), _key(case, number)
        yield f"key {name} new > {new}"
        yield f'change {name} {old} {new}; said $? "0 key {named}"'
    yield 'mine=1; for k in "$dir"/key-*.pem; do cmp -s "$k" "$dir/ledger.pem" && mine=0; done'
    yield 'said $mine "0 your key"'
    yield ""


def _key(case: Case, number: int) -> str:
    """The ledger's key after so many changes, as the script has it."""
    return f'"$dir/key-{number}.pem"' if case.handovers else '"$dir/ledger.pem"'


def _inclusions(case: Case) -> Iterator[str]:
    for sealed in case.entries:
        yield from _path(sealed.place, sealed.size, sealed.proof)
        note = f"checkpoints/{sealed.place.epoch}-{sealed.size}.note"
        named = f"{sealed.place.epoch}-{sealed.place.seq}"
        yield f'same "$h" "$(root {note})"; said $? "5 record {named}"'


def _path(place: Place, size: int, proof: Sequence[bytes], function: str = "") -> Iterator[str]:
    """From the leaf to the root, into `h`. `function`: of openssl dgst, where it is another."""
    more = f" {function}" if function else ""
    yield f"h=$(leaf {layout.record(place)}{more})"
    number, last = place.seq, size - 1
    for step in proof:
        if number & 1 or number == last:
            yield f'h=$(node {_text(step)} "$h"{more})'
            while not number & 1 and number:
                number, last = number >> 1, last >> 1
        else:
            yield f'h=$(node "$h" {_text(step)}{more})'
        number, last = number >> 1, last >> 1


def _rehashed(case: Case) -> Iterator[str]:
    """Under another hash function too, into the root that a record of the ledger states."""
    if case.rehashed:
        yield ""
        yield "# 9. Bản ghi cũng nằm trong cây băm lại / the records are in the other tree too"
    for one in case.rehashed:
        root = told(one)
        stated = layout.record(one.sealed.place)
        for place, proof in sorted(one.proofs.items()):
            yield from _path(place, root.size, proof, f"-{root.algorithm}")
            yield (
                f'same "$h" {_text(root.root)} && grep -q \'"root":"{root.root.hex()}"\' {stated}; '
                f'said $? "9 record {place.epoch}-{place.seq} {root.algorithm}"'
            )


def _steps(case: Case) -> Iterator[str]:
    roots = {h.place: parse_head(split_note(h.note)[0]).root for h in case.heads}
    for step in case.steps:
        path = list(step.proof)
        if step.old & (step.old - 1) == 0:
            path.insert(0, roots[Place(step.epoch, step.old)])
        number, last = step.old - 1, step.new - 1
        while number & 1:
            number, last = number >> 1, last >> 1
        yield f"a={_text(path[0])}; b=$a"
        for one in path[1:]:
            if number & 1 or number == last:
                yield f'a=$(node {_text(one)} "$a"); b=$(node {_text(one)} "$b")'
                while not number & 1 and number:
                    number, last = number >> 1, last >> 1
            else:
                yield f'b=$(node "$b" {_text(one)})'
            number, last = number >> 1, last >> 1
        old = f"checkpoints/{step.epoch}-{step.old}.note"
        new = f"checkpoints/{step.epoch}-{step.new}.note"
        yield (
            f'same "$a" "$(root {old})" && same "$b" "$(root {new})"; '
            f'said $? "6 from {step.epoch}-{step.old} to {step.epoch}-{step.new}"'
        )


def _signature(one: Signed) -> Iterator[str]:
    info = layout.signed_info(one.package)
    yield f"openssl x509 -inform DER -in {layout.certificate(one.package)} -noout -pubkey \\"
    yield (
        '  > "$dir/key.pem" && openssl dgst '
        f'{one.options} -verify "$dir/key.pem" '
        f"-signature {layout.signature_value(one.package)} {info} "
        f'> "$dir/out" 2>&1; said $? "8 signature {one.package[:16]}"'
    )
    for digest in one.inner:
        encoded = base64.b64encode(bytes.fromhex(digest)).decode()
        yield (
            f"grep -qF {encoded} {info} && "
            f'echo "{digest}  {layout.file(digest)}" | sha256sum -c --quiet - > /dev/null; '
            f'said $? "8 file {digest[:16]}"'
        )


def _named(head: Head) -> str:
    return f"{head.epoch}-{head.size}"


def _text(value: bytes) -> str:
    return base64.b64encode(value).decode()
