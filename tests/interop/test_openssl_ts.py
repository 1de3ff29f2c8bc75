"""openssl as judge: of our notes, our requests and the local authority's tokens; and its own
replies, through our checks. Nothing of ours is needed to check what we promise."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
from datetime import timedelta

import pytest
from cryptography import x509

from adapters.tsa.make import make_authority
from gateway.errors import Unavailable
from gateway.ledger import checkpoint, keys, note, receipt, records, stamp
from gateway.ledger.stamp import ChainVerdict, Reading
from tests.support.ledgers import KEY, ORIGIN, START, sample_record

OPENSSL = shutil.which("openssl")
pytestmark = pytest.mark.skipif(OPENSSL is None, reason="NO openssl COMMAND: nothing was judged")
DIGEST = hashlib.sha256(b"what is stamped").digest()


def openssl(*arguments, stdin=None):
    done = subprocess.run(
        [OPENSSL, *map(str, arguments)], capture_output=True, input=stdin, timeout=60, check=False
    )
    return done.returncode, (done.stdout + done.stderr).decode()


def signature_holds(signed_note, folder):
    """The recipe of docs/ledger-format.md, with nothing but a text editor and openssl."""
    text, line = signed_note.split("\n\n")
    (folder / "text").write_text(text + "\n", encoding="utf-8")
    (folder / "signature").write_bytes(base64.b64decode(line.split(" ")[2])[4:])
    (folder / "key.pem").write_text(keys.public_pem(KEY), encoding="ascii")
    code, said = openssl(
        *("dgst", "-sha256", "-verify", folder / "key.pem"),
        *("-signature", folder / "signature", folder / "text"),
    )
    return code == 0 and "Verified OK" in said


def test_openssl_verifies_a_checkpoint_and_refuses_a_changed_one(tmp_path):
    made = checkpoint.make_checkpoint(ORIGIN, 1, 12, bytes(32), START, KEY)
    assert signature_holds(made.note, tmp_path)
    assert not signature_holds(made.note.replace("\n12\n", "\n13\n"), tmp_path)


def test_openssl_verifies_the_note_of_a_receipt(tmp_path):
    raw = records.record_bytes(sample_record(1))
    promised = receipt.verify_receipt(
        receipt.make_receipt(raw, ORIGIN, START, KEY), KEY.public_key()
    )
    text = (
        f"{receipt.DOMAIN}\n{ORIGIN}\n"
        f"{base64.b64encode(promised.leaf).decode()}\n2026-11-22T05:16:22.123456Z\n"
    )
    assert signature_holds(note.sign_note(text, ORIGIN, KEY), tmp_path)


def test_the_key_id_of_our_notes_is_what_openssl_makes_of_the_key(tmp_path):
    (tmp_path / "key.pem").write_text(keys.public_pem(KEY), encoding="ascii")
    spki = tmp_path / "spki.der"
    openssl("pkey", "-pubin", "-in", tmp_path / "key.pem", "-outform", "DER", "-out", spki)
    assert hashlib.sha256(spki.read_bytes()).digest()[:4] == keys.key_id(KEY.public_key())


@pytest.mark.parametrize("fraction", [0, 120_000, 123_456])
def test_openssl_verifies_the_local_authoritys_tokens(tmp_path, fraction):
    authority = make_authority(tmp_path, START)
    request = stamp.build_request(DIGEST, 2**63 + 7)
    reply = authority.reply(request, START.replace(microsecond=fraction), 2**62)
    (tmp_path / "q.tsq").write_bytes(request)
    (tmp_path / "r.tsr").write_bytes(reply)
    check = ("ts", "-verify", "-in", tmp_path / "r.tsr", "-CAfile", tmp_path / "ca.pem")
    when = ("-attime", int(START.timestamp()))
    for against in (("-queryfile", tmp_path / "q.tsq"), ("-digest", DIGEST.hex())):
        code, said = openssl(*check, *against, *when)
        assert (code, "Verification: OK" in said) == (0, True), said
    code, said = openssl(*check, "-digest", bytes(32).hex(), *when)
    assert code != 0
    assert "Verification: FAILED" in said


def test_openssl_verifies_a_bare_token_as_it_is_stored(tmp_path):
    authority = make_authority(tmp_path, START)
    made = checkpoint.make_checkpoint(ORIGIN, 1, 12, bytes(32), START, KEY)
    token = authority.token(stamp.stamp_digest(made), None, START + timedelta(seconds=1), 1)
    (tmp_path / "token.der").write_bytes(token)
    (tmp_path / "note").write_bytes(made.note.encode())
    code, said = openssl(
        *("ts", "-verify", "-token_in", "-in", tmp_path / "token.der"),
        *("-data", tmp_path / "note", "-CAfile", tmp_path / "ca.pem"),
        *("-attime", int(START.timestamp())),
    )
    assert (code, "Verification: OK" in said) == (0, True), said


def test_openssl_reads_our_request_and_our_refusal(tmp_path):
    authority = make_authority(tmp_path, START)
    (tmp_path / "q.tsq").write_bytes(stamp.build_request(DIGEST, 255, "1.2.3.4"))
    code, said = openssl("ts", "-query", "-in", tmp_path / "q.tsq", "-text")
    assert code == 0
    assert "Hash Algorithm: sha256" in said
    assert "Policy OID: 1.2.3.4" in said
    assert "Nonce: 0xFF" in said
    assert "Certificate required: yes" in said
    (tmp_path / "r.tsr").write_bytes(authority.reply((tmp_path / "q.tsq").read_bytes(), START, 1))
    code, said = openssl("ts", "-reply", "-in", tmp_path / "r.tsr", "-text")
    assert code == 0
    assert "Status: Rejected" in said
    assert "policy" in said


CONFIGURATION = """
[ tsa ]
default_tsa = one
[ one ]
serial = {folder}/serial
crypto_device = builtin
signer_digest = {digest}
default_policy = 1.2.3.4.1
digests = sha256
accuracy = secs:1
ess_cert_id_chain = {ess_chain}
ess_cert_id_alg = {ess}
"""


class OpensslAuthority:
    """`openssl ts -reply` with a root and an issuing authority made by openssl."""

    def __init__(self, folder, *, digest="sha256", ess="sha256", kind):
        self.folder = folder
        (folder / "serial").write_text("0A\n", encoding="ascii")
        (folder / "conf").write_text(
            CONFIGURATION.format(folder=folder, digest=digest, ess=ess, ess_chain="no"),
            encoding="ascii",
        )
        self.certificate("root", None, kind, "basicConstraints=critical,CA:TRUE")
        self.certificate("middle", "root", kind, "basicConstraints=critical,CA:TRUE")
        # longer than the issuer's certificate, so that openssl's order is not DER's order
        long_name = "tsa" + "/OU=" + "x" * 60 + "/O=" + "y" * 60
        self.certificate(
            "leaf", "middle", kind, "extendedKeyUsage=critical,timeStamping", long_name
        )
        chain = (folder / "middle.pem").read_bytes() + (folder / "root.pem").read_bytes()
        (folder / "chain.pem").write_bytes(chain)

    def certificate(self, name, issuer, kind, extension, subject=None):
        folder = self.folder
        signed = [] if issuer is None else ["-CA", folder / f"{issuer}.pem"]
        signed += [] if issuer is None else ["-CAkey", folder / f"{issuer}.key"]
        code, said = openssl(
            *("req", "-x509", "-nodes", *kind, "-subj", f"/CN={subject or name}"),
            *("-addext", extension, "-days", "2", *signed),
            *("-keyout", folder / f"{name}.key", "-out", folder / f"{name}.pem"),
        )
        assert code == 0, said

    def reply(self, request, *, with_chain):
        folder = self.folder
        (folder / "q.tsq").write_bytes(request)
        code, said = openssl(
            *("ts", "-reply", "-config", folder / "conf", "-queryfile", folder / "q.tsq"),
            *("-signer", folder / "leaf.pem", "-inkey", folder / "leaf.key"),
            *(("-chain", folder / "chain.pem") if with_chain else ()),
            *("-out", folder / "r.tsr"),
        )
        assert code == 0, said
        return (folder / "r.tsr").read_bytes()

    def anchors(self, *names):
        return [
            x509.load_pem_x509_certificate((self.folder / f"{n}.pem").read_bytes()) for n in names
        ]


RSA = ("-newkey", "rsa:2048")
EC = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256")


@pytest.mark.parametrize(
    ("digest", "ess", "kind"),
    [
        ("sha256", "sha256", EC),
        ("sha512", "sha1", EC),
        ("sha384", "sha512", ("-newkey", "rsa:2048")),
    ],
)
def test_what_openssl_issues_is_believed_with_and_without_its_chain(tmp_path, digest, ess, kind):
    authority = OpensslAuthority(tmp_path, digest=digest, ess=ess, kind=kind)
    request = stamp.build_request(DIGEST, 12345)
    bare = authority.reply(request, with_chain=False)
    facts = stamp.check_response(bare, DIGEST, 12345, authority.anchors("middle"))
    assert (facts.chain, facts.policy) == (ChainVerdict.TRUSTED, "1.2.3.4.1")
    whole = authority.reply(request, with_chain=True)
    facts = stamp.check_response(whole, DIGEST, 12345, authority.anchors("root"))
    # openssl does not sort the set of certificates: rfc3161-client refuses to read it
    assert (facts.chain, facts.reading) == (ChainVerdict.TRUSTED, Reading.TOLERANT)


def test_a_refusal_by_openssl_is_unavailable(tmp_path):
    authority = OpensslAuthority(tmp_path, kind=EC)
    refused = authority.reply(stamp.build_request(DIGEST, 1, "1.9.9.9"), with_chain=False)
    with pytest.raises(Unavailable) as caught:
        stamp.check_response(refused, DIGEST, 1, authority.anchors("root"))
    assert caught.value.code == "tsa.rejected"
