"""XML encryption of single attachments: for whose eyes a file is, on every axis between.

    form.py      names, algorithms, and the XML that stands for an encrypted file
    receivers.py whether something may be encrypted to a certificate
    encrypt.py   a file -> EncryptedData
    decrypt.py   EncryptedData -> the file

How an encrypted attachment stands in a package. Neither QCVN 102:2016 nor the vendor's software
says anything of encryption, so all of this is our decision:

- The attachment's bytes are one XML document with the root `xenc:EncryptedData` (W3C XML Encryption
  1.1), one for each file. The header, the subject and the names of files stay readable.
- Its name is the file's own with `.xenc` behind it: a clerk's viewer is not handed XML under the
  name of a PDF, and software of others, which looks at extensions only to choose a type, carries
  it like any file it does not know (in a zip of one entry, edxml-format 4).
- `MimeType` is the media type of the plain file; `OriginalName`, an EncryptionProperty in a
  namespace of ours, its name. There is no `Type`: absent, it says that the plain text is octets.
- Content: AES-256-GCM with a key of its own for each file. CBC is neither written nor read:
  whoever changes its ciphertext is not found out.
- The key: RSA-OAEP of XML Encryption 1.1 (`xmlenc11#rsa-oaep`) with SHA-256 and MGF1 over SHA-256.
  The older name, `rsa-oaep-mgf1p`, has its mask over SHA-1 by definition. Whoever can read
  AES-GCM, which is 1.1 as well, reads it: Apache Santuario since 1.5, libxmlsec since 1.3; .NET's
  EncryptedXml and libxmlsec 1.2 read neither. Both names are read here.
- Several receivers of one package: an EncryptedKey for each, `Recipient` the agency's code, its
  certificate named by issuer and serial number, by key identifier, and in KeyName by the SHA-256
  of the certificate. So a package for several receivers has the same bytes for all of them.

What this means for identity and signature. Both are over the bytes carried, the ciphertext: every
hop and the receiver verify without a key. Encrypting twice gives other bytes, so a submission is
encrypted once and its package kept; each try sends the same. What a unit hands in again is known
by the plain files, before anything is encrypted, and gets its first answer. A receiver that gets
the same document encrypted afresh (sent by another gateway, say) sees another document.

xmlsec works on whole trees: about nine times the size of a file in memory while it is encrypted,
and no more while it is decrypted (measured: 150 MB for 16 MiB, 586 MB for 64 MiB). Hence
`[encryption] max_bytes`, and one file at a time.

Decrypting is for `unpack --key`, with a key in a file. A gateway hands arriving files over as they
came, marked `xmlenc`: what was encrypted for an agency is opened by that agency.
"""
