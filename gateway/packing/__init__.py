"""The room that knows the edXML package (QCVN 102:2016/BTTTT): strict out, liberal in.

In:     a header and files to write; bytes of a package to read.
Out:    the package's bytes and digest; a `ReadPackage` with every fact and finding.
Fails:  Rejected (cannot be written strictly: all findings at once), Unreadable, TooLarge.
Never:  decides who may send, verifies a signature, touches a network or a database.

write.py     header + files -> package in one pass; statuses. check.py: what forbids it
read.py      its inverse: feed.py (bytes -> events), collect.py (events -> what is there),
             attachments.py (base64 -> files), elements.py (XML -> header), result.py
node.py, spelling.py, dates.py, texts.py, pairing.py, declared.py: what each of them forgives
told.py      what a reading has to tell: findings, habits of the field, extras; bounded
edxml1.py    the format before QCVN 102, into the same nouns; gateway.mime: the message around it
strict.py    what a strict writer would not have written; profile.py: codes and forms, dated
metadata.py  the submission's JSON -> header, and back. describe.py: what `inspect` says
zipfiles.py, sniff.py, names.py, tally.py: what the bytes of an attachment really are
"""
