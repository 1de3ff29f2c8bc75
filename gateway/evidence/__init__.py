"""Evidence of one document as a file that proves itself to somebody who trusts nobody.

In:     records with their places in the tree, heads, stamps, packages; or such a file and anchors.
Out:    an ASiC-E container (EN 319 162-1; contract 4), the same for the same input; or a verdict.
Fails:  never for what a container holds; Untrusted where one cannot be made.
Never:  opens a database or a socket: what is judged is judged from the file and the anchors.

Read in this order:

case          what the evidence consists of; between which stamps a record came into being
packages      a package of the case as it reads, and its signature for other tools
words, minutes        bien-ban.txt, for a person
printed               bien-ban.pdf, the same on paper; reading one takes no library
renewal               newer proof behind what is there
trusted               certificates and revocation data as of then
instructions          CHECK.txt, for openssl and sha256sum
manifest, cades       the list of parts, and the ledger's signature over it
zipped, layout        the container, and where each thing stands in it
keyring, rehashed      the keys that followed one another; proofs under another hash function
build         all of that, written once
reading, check, verdict   and back: every claim judged, with the rule relied on
"""
