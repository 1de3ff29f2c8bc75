"""What a reading has to tell: findings, habits of the field, and the bag of extras. All bounded.

In:     one observation after the other, each with the node it was made at.
Out:    `findings` and `extras`, complete after `finish`.
Fails:  never.
Never:  lets a hostile package fill memory with complaints about it, or a hundred equal lines
        hide the one that matters.

Three degrees. An error or a warning is said where it was found; the same code is repeated a few
times and then only counted. A habit is what half of the field does and every reader understands:
it becomes one note with a number and the first place, so that a normal package is not flooded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from gateway.errors import Finding, Severity, Text
from gateway.model.package import Extra
from gateway.packing.node import Node

RULE = "QCVN 102:2016/BTTTT"
_SAID = 20  # findings of one code that are told one by one
_MAX_FINDINGS = 2000
_MAX_EXTRAS = 1000
_MAX_EXTRA_TEXT = 1024 * 1024
_SAMPLES = 5


@dataclass(frozen=True, slots=True)
class Habit:
    """`{count}`: how often; `{samples}`: what was found the first times."""

    code: str
    text: Text


EMPTY = Habit(
    code="element.empty",
    text=Text(
        "Phần tử rỗng, coi như không có ({count}): {samples}",
        "empty elements, taken as absent ({count}): {samples}",
    ),
)
NULL = Habit(
    code="element.null",
    text=Text(
        "Phần tử chỉ chứa chữ 'null', coi như không có ({count}): {samples}",
        "elements that hold the word 'null', taken as absent ({count}): {samples}",
    ),
)
SPELLING = Habit(
    code="element.spelling",
    text=Text(
        "Tên phần tử viết khác quy chuẩn ({count}): {samples}",
        "names of elements spelled otherwise than the regulation has them ({count}): {samples}",
    ),
)
PREFIX = Habit(
    code="xml.prefix_other",
    text=Text(
        "Tên phần tử dùng tiền tố khác edXML ({count}): {samples}",
        "names of elements with another prefix than edXML ({count}): {samples}",
    ),
)
NO_NAMESPACE = Habit(
    code="xml.namespace_missing",
    text=Text(
        "Tên phần tử không có không gian tên ({count}): {samples}",
        "names of elements in no namespace ({count}): {samples}",
    ),
)
DATE_FORM = Habit(
    code="date.form",
    text=Text(
        "Ngày không viết theo dạng yyyy/MM/dd ({count}): {samples}",
        "dates not written as yyyy/MM/dd ({count}): {samples}",
    ),
)
TIMESTAMP_FORM = Habit(
    code="timestamp.form",
    text=Text(
        "Thời điểm không viết theo dạng yyyy/MM/dd HH:mm:ss ({count}): {samples}",
        "timestamps not written as yyyy/MM/dd HH:mm:ss ({count}): {samples}",
    ),
)
NORMAL_FORM = Habit(
    code="text.normal_form",
    text=Text(
        "Văn bản chưa ở dạng Unicode NFC hoặc có U+00A0, đã chuẩn hóa ({count}): {samples}",
        "texts not in Unicode NFC or with U+00A0 in them, normalised ({count}): {samples}",
    ),
)
CONTENT_ID = Habit(
    code="content_id.form",
    text=Text(
        "ContentId không có đúng một 'cid:' ở đầu ({count}): {samples}",
        "content ids that do not begin with exactly one 'cid:' ({count}): {samples}",
    ),
)
PAIRED = Habit(
    code="manifest.paired",
    text=Text(
        "Tệp ghép với edXMLManifest theo tên hay vị trí, không theo mã ({count}): {samples}",
        "files paired with the edXMLManifest by name or position, not by id ({count}): {samples}",
    ),
)
MANIFEST_TYPE = Habit(
    code="manifest.type_declared",
    text=Text(
        "ContentType trong edXMLManifest không đúng với nội dung tệp ({count}): {samples}",
        "files whose ContentType in the edXMLManifest is not what they are ({count}): {samples}",
    ),
)
WRAPPED = Habit(
    code="attachment.wrapped",
    text=Text(
        "Tệp nằm trong zip mà loại khai báo không nói đến, đã lấy ra ({count}): {samples}",
        "files in a zip that their type does not speak of, taken out of it ({count}): {samples}",
    ),
)
EMPTY_NUMBER = Habit(
    code="number.empty",
    text=Text(
        "Phần tử kiểu số để trống, dùng giá trị mặc định ({count}): {samples}",
        "empty elements where a number belongs; the default is taken ({count}): {samples}",
    ),
)
_AS_WARNING = frozenset({EMPTY_NUMBER})


@dataclass(slots=True)
class _Seen:
    path: str
    count: int = 0
    samples: list[str] = field(default_factory=list)


class Told:
    """Grows while a package is read; `finish` adds what was only counted."""

    def __init__(self) -> None:
        self.findings: list[Finding] = []
        self.extras: list[Extra] = []
        self._said: Counter[tuple[str, Severity]] = Counter()
        self._habits: dict[Habit, _Seen] = {}
        self._kept = 0
        self._unkept = 0

    def warn(self, path: str, code: str, vi: str, en: str, rule: str = "") -> None:
        self._say(Finding(path, code, Severity.WARNING, Text(vi, en), rule))

    def error(self, path: str, code: str, vi: str, en: str, rule: str = "") -> None:
        self._say(Finding(path, code, Severity.ERROR, Text(vi, en), rule))

    def habit(self, habit: Habit, at: Node | str, sample: str) -> None:
        """Counted; the first place and a few samples are remembered."""
        seen = self._habits.get(habit)
        if seen is None:
            seen = self._habits[habit] = _Seen(at if isinstance(at, str) else at.where())
        seen.count += 1
        if len(seen.samples) < _SAMPLES and (shown := sample[:60]) not in seen.samples:
            seen.samples.append(shown)

    def finish(self) -> None:
        """Say what was counted. Nothing may be told after it."""
        for (code, severity), count in self._said.items():
            if count > _SAID:
                more = count - _SAID
                text = Text(f"… và {more} chỗ nữa như vậy", f"… and {more} more like these")
                self._add(Finding("/", code, severity, text, RULE))
        for habit, seen in self._habits.items():
            values = {"count": str(seen.count), "samples": ", ".join(seen.samples)}
            severity = Severity.WARNING if habit in _AS_WARNING else Severity.NOTE
            text = Text(*(_filled(words, values) for words in habit.text))
            self._add(Finding(seen.path, habit.code, severity, text, RULE))
        self._tell_extras()

    # -- the bag -------------------------------------------------------------------------------

    def keep(self, path: str, value: str) -> None:
        """Something unknown, with its path; an empty value says that it was there."""
        if len(self.extras) < _MAX_EXTRAS and self._kept + len(value) <= _MAX_EXTRA_TEXT:
            self._kept += len(value)
            self.extras.append(Extra(path, value))
        else:
            self._unkept += 1

    def keep_text(self, node: Node) -> None:
        """Text where only elements belong."""
        if text := node.text.strip():
            self.keep(node.path(), text)

    def keep_attributes(self, node: Node, known: Sequence[str] = ()) -> None:
        for (_, local, prefix), value in node.attributes:
            if local not in known or prefix:
                self.keep(f"{node.path()}/@{local[:100]}", value.strip())

    def keep_unknown(self, node: Node) -> None:
        """An element we do not know, with all it holds: kept by path, never acted on."""
        text = node.text.strip()
        if text or not (node.attributes or node.children):
            self.keep(node.path(), text)
        self.keep_attributes(node)
        for child in node.children:
            self.keep_unknown(child)

    def _tell_extras(self) -> None:
        extras = self.extras
        if not extras:
            return
        names = ", ".join(e.path.rpartition("/")[2] for e in extras[:_SAMPLES])
        found = len(extras) + self._unkept
        kept_vi = f", giữ lại {len(extras)}" if self._unkept else ""
        kept_en = f", of which {len(extras)} are kept" if self._unkept else ""
        self._add(
            Finding(
                extras[0].path,
                "package.extras",
                Severity.WARNING,
                Text(
                    f"Có {found} phần tử hoặc thuộc tính ngoài quy chuẩn{kept_vi}: {names}",
                    f"{found} elements or attributes outside the regulation{kept_en}: {names}",
                ),
                RULE,
            )
        )

    def _say(self, finding: Finding) -> None:
        about = finding.code, finding.severity
        self._said[about] += 1
        if self._said[about] <= _SAID:
            self._add(finding)

    def _add(self, finding: Finding) -> None:
        if len(self.findings) < _MAX_FINDINGS:
            self.findings.append(finding)


def _filled(template: str, values: dict[str, str]) -> str:
    # not str.format: a sample may hold braces of its own
    for name, value in values.items():
        template = template.replace(f"{{{name}}}", value)
    return template
