"""A package as multipart/form-data whose length is known before its first byte.

A body without Content-Length is refused by such axes (vxp-protocol 8.3). The message type comes
first, the file last, so that the end of the form is the piece without which nothing is whole.
"""

from __future__ import annotations

from adapters.lgsp_rest.profile import Words
from gateway.ports import Parcel


class MultipartForm:
    """The `Form` of one attempt. `content_type` and `size` are those of the whole body."""

    def __init__(self, parcel: Parcel, message_type: str, words: Words) -> None:
        # no package holds its own digest, so the boundary stands nowhere inside
        boundary = f"edoc-{parcel.sha256[:40]}"
        self._head = (
            f'--{boundary}\r\nContent-Disposition: form-data; name="messageType"\r\n\r\n'
            f"{message_type}\r\n--{boundary}\r\nContent-Disposition: form-data; "
            f'name="{words.file_field}"; filename="package.edxml"\r\n'
            f"Content-Type: {words.file_type}\r\n\r\n"
        ).encode()
        self._tail = f"\r\n--{boundary}--\r\n".encode()
        self.content_type = f"multipart/form-data; boundary={boundary}"
        self.size = len(self._head) + parcel.size + len(self._tail)

    def take(self, chunk: bytes) -> bytes:
        head, self._head = self._head, b""
        return head + chunk

    def finish(self) -> bytes:
        return self._tail
