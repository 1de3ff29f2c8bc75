"""XML headers as small trees: what stands in front of the files, and nothing of the files.

In:     pieces of a package (QCVN 102) or the bytes of an envelope.
Out:    `Node`s with local names; the text of chosen elements streamed to whoever asked for it.
Fails:  Unreadable, TooLarge (safexml's own, and `limit.header_bytes` for a header without end).
Never:  expands an entity, keeps the text of a streamed element.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field

from gateway.c14n import Attributes, Declared, Name
from gateway.safexml import Limits, Parser, ToUtf8, too_large

LIMITS = Limits()


@dataclass(slots=True)
class Node:
    """An element: namespace, local name, trimmed text, children. Comments are not kept."""

    uri: str
    name: str
    text: str = ""
    children: list[Node] = field(default_factory=list)
    attributes: dict[str, str] = field(default_factory=dict)  # by local name

    def find(self, *path: str) -> Node | None:
        """The first element along local names, compared without case."""
        here = self
        for wanted in path:
            low = wanted.lower()
            for child in here.children:
                if child.name == wanted or child.name.lower() == low:
                    here = child
                    break
            else:
                return None
        return here

    def all(self, name: str) -> list[Node]:
        low = name.lower()
        return [c for c in self.children if c.name == name or c.name.lower() == low]

    def value(self, *path: str) -> str:
        """The text at a path, "" when there is none."""
        found = self.find(*path)
        return found.text if found is not None else ""

    def walk(self) -> Iterator[Node]:
        yield self
        for child in self.children:
            yield from child.walk()

    def anywhere(self, name: str) -> Node | None:
        low = name.lower()
        return next((n for n in self.walk() if n.name == name or n.name.lower() == low), None)


Leaf = tuple[str, str]


def node(uri: str, name: str, *inside: Node | Leaf) -> Node:
    """An element with children; a pair is a child with text."""
    made = Node(uri, name)
    for one in inside:
        made.children.append(one if isinstance(one, Node) else Node(uri, one[0], one[1]))
    return made


class TreeReader:
    """Drives one document through safexml into a tree.

    `stream`: local name of an element whose text goes to `on_text`; `on_start`, `on_end` are told
    of it. `on_child`: told of each element of this name when it closes; it is then taken out.
    """

    def __init__(
        self,
        limits: Limits = LIMITS,
        *,
        stream: str = "",
        on_start: Callable[[Node], None] | None = None,
        on_text: Callable[[bytes], None] | None = None,
        on_end: Callable[[], None] | None = None,
        drop: Iterable[str] = (),
    ) -> None:
        self.root: Node | None = None
        self._limits = limits
        self._stream = stream.lower()
        self._on_start = on_start
        self._on_text = on_text
        self._on_end = on_end
        self._drop = {name.lower() for name in drop}
        self._stack: list[Node] = []
        self._size = 0
        self._streaming = 0
        self._decoder = ToUtf8()
        self._parser: Parser | None = None

    def feed(self, data: bytes, *, final: bool = False) -> None:
        utf8 = self._decoder.decode(data, final=final)
        if self._parser is None:
            if not utf8 and not final:
                return
            self._parser = Parser(self, self._limits, family=self._decoder.family)
        if utf8:
            self._parser.feed(utf8)

    def close(self) -> Node:
        """The root. Raises Unreadable `package.incomplete` for a document that was cut."""
        self.feed(b"", final=True)
        if self._parser is not None:
            self._parser.close()
        if self.root is None:  # a document without a root does not close
            raise AssertionError
        return self.root

    @property
    def closed(self) -> bool:
        return self._parser is not None and self._parser.closed

    # -- events ----------------------------------------------------------------------------------

    def start(self, name: Name, attributes: Attributes, declared: Declared) -> None:
        del declared
        here = Node(name[0], name[1])
        for (_, local, _), value in attributes:
            here.attributes[local] = value
            self._weigh(len(local) + len(value))
        self._weigh(len(name[1]) + 64)
        if self._stack and not self._streaming:
            self._stack[-1].children.append(here)
        elif self.root is None:
            self.root = here
        self._stack.append(here)
        if self._streaming:
            self._streaming += 1
        elif self._stream and name[1].lower() == self._stream:
            self._streaming = 1
            if self._on_start is not None:
                self._on_start(self._stack[-2] if len(self._stack) > 1 else here)

    def end(self, name: Name) -> None:
        del name
        gone = self._stack.pop()
        gone.text = gone.text.strip()
        if self._streaming:
            self._streaming -= 1
            if not self._streaming and self._on_end is not None:
                self._on_end()
        if self._drop and gone.name.lower() in self._drop and self._stack:
            above = self._stack[-1].children
            if above and above[-1] is gone:
                above.pop()
                self._size -= sum(64 + len(n.name) + len(n.text) for n in gone.walk())

    def text(self, data: str) -> None:
        if self._streaming:
            if self._on_text is not None and self._streaming == 1:
                self._on_text(data.encode("utf-8", "replace"))
            return
        if self._stack:
            here = self._stack[-1]
            if here.text or data.strip():
                here.text += data
                self._weigh(len(data))

    def instruction(self, target: str, data: str) -> None:
        del target, data

    def _weigh(self, size: int) -> None:
        self._size += size
        if self._size > self._limits.header_bytes:
            raise too_large("header_bytes", self._limits.header_bytes)


def read_tree(data: bytes, limits: Limits = LIMITS) -> Node:
    """A whole small document. Raises Unreadable or TooLarge."""
    reader = TreeReader(limits)
    for start in range(0, len(data), 64 * 1024):
        reader.feed(data[start : start + 64 * 1024])
    return reader.close()
