"""Text for people in one form: NFC, no U+00A0, trimmed.

In:     a text as a package, a unit system or a clipboard gave it.
Out:    the same words in the form that is written and compared (edxml-format 7, 10).
Fails:  never.
Never:  joins blanks, changes a letter, touches a name or an id that something is matched by.
"""

from __future__ import annotations

import unicodedata


def tidy(text: str) -> str:
    """`identity` and the header reference compare in this form too, so that nothing is lost.

    U+00A0 becomes a blank; other white space inside stays as it is.
    """
    text = text.strip()
    if text.isascii():
        return text
    return unicodedata.normalize("NFC", text.replace("\u00a0", " "))
