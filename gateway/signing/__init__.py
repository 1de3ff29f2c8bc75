"""The room `signing`: the block that says who packed a document, and whether that still holds.

prepare  (sign.py)    digests -> PreparedSignature: the exact bytes to sign
finish   (sign.py)    signature value + certificate -> the `Signature` element, checked first
verify   (verify.py)  a block as read -> a verdict for the value, the header and the files, apart
look     (enveloped.py) the whole document without its signature, for `URI=""`
findings (findings.py) what a verdict tells people
policy   (policy.py)  which algorithms and key sizes count, from when until when: data
         (algorithms.py) reads them from conf/algorithms.toml
selfcheck             the XML libraries in this process fit together

The bytes that are signed have one home, signed_info.py; keys and certificates another,
certificates.py. The key itself never comes in here: a `KeyHolder` signs between the phases.
"""

from gateway.signing.policy import DEFAULT_POLICY, ECDSA_SHA256, RSA_SHA256, SHA256, Policy
from gateway.signing.sign import PreparedSignature, Profile, finish, prepare
from gateway.signing.signed_info import EXCLUSIVE_C14N, HEADER_URI

__all__ = [
    "DEFAULT_POLICY",
    "ECDSA_SHA256",
    "EXCLUSIVE_C14N",
    "HEADER_URI",
    "RSA_SHA256",
    "SHA256",
    "Policy",
    "PreparedSignature",
    "Profile",
    "finish",
    "prepare",
]
