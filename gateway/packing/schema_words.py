"""What libxml2 says of a schema violation, in Vietnamese and in plainer English.

In:     one message of the validator.
Out:    a Text.
Fails:  never: a message of an unknown kind is passed on as it is.
Never:  shows more of a value than its beginning.
"""

from __future__ import annotations

import re

from gateway.errors import Text

_NAMESPACE = re.compile(r"\{[^}]*\}")
_ABOUT = re.compile(
    r"Element '(?P<element>[^']*)'(?:, attribute '(?P<attribute>[^']*)')?: (.*)", re.DOTALL
)
_KINDS = (
    (
        re.compile(r"This element is not expected\."),
        "{0} không được đứng ở đây",
        "{0} must not stand here",
    ),
    (
        re.compile(r"This element is not expected\. Expected is (?:one of )?\( (.*) \)\."),
        "{0} không được đứng ở đây; cần: {1}",
        "{0} must not stand here; expected: {1}",
    ),
    (
        re.compile(r"Missing child element\(s\)\. Expected is (?:one of )?\( (.*) \)\."),
        "{0} thiếu phần tử con: {1}",
        "{0} lacks a child: {1}",
    ),
    (
        re.compile(r"\[facet '[a-zA-Z]+'\] The value '(.*?)' .*", re.DOTALL),
        "{0} có giá trị không được phép: {1!r}",
        "{0} has a value that is not allowed: {1!r}",
    ),
    (
        re.compile(r"\[facet '[a-zA-Z]+'\] The value has a length of '(\d+)';.*", re.DOTALL),
        "{0} có độ dài không được phép: {1}",
        "{0} has a length that is not allowed: {1}",
    ),
    (
        re.compile(r"'(.*?)' is not a valid value of .*", re.DOTALL),
        "{0} có giá trị sai kiểu: {1!r}",
        "{0} has a value of the wrong type: {1!r}",
    ),
    (
        re.compile(r"The attribute '(.*)' is not allowed\."),
        "{0} không được có thuộc tính {1}",
        "{0} must not have the attribute {1}",
    ),
    (
        re.compile(r"The attribute '(.*)' is required but missing\."),
        "{0} thiếu thuộc tính {1}",
        "{0} lacks the attribute {1}",
    ),
    (
        re.compile(r"Character content.* is not allowed.*", re.DOTALL),
        "{0} không được chứa văn bản",
        "{0} must not hold text",
    ),
    (
        re.compile(r"No matching global .*"),
        "{0} không phải phần tử gốc của gói tin",
        "{0} is not the root of a package",
    ),
)


def in_words(message: str) -> Text:
    plain = _NAMESPACE.sub("", message)
    match = _ABOUT.match(plain)
    if match is None:
        return Text(f"Sai lược đồ: {plain[:200]}", f"against the schema: {plain[:200]}")
    about = match["element"][:60]
    if match["attribute"]:
        about = f"{about}/@{match['attribute'][:60]}"
    for pattern, vi, en in _KINDS:
        said = pattern.fullmatch(match[3])
        if said is not None:
            values = [about, *(g[:120] for g in said.groups())]
            return Text(vi.format(*values), en.format(*values))
    rest = match[3][:200]
    return Text(f"{about} sai lược đồ: {rest}", f"{about}, against the schema: {rest}")
