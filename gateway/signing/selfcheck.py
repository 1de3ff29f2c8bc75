"""Do the XML libraries of this process fit together? Asked once, at the start of every process.

In:     nothing.
Out:    the versions, for the log.
Fails:  Misconfigured, when lxml and xmlsec are missing or carry different libxml2.
Never:  imported by the other modules of this room: neither library is needed to sign or verify
        the `relay` profile, and both are loaded only here, on call.

lxml and xmlsec each carry libxml2 inside their wheels and hand each other its structures. Two
versions of it in one process is undefined behaviour in the middle of a verification, so a mismatch
is a refusal to start (architecture 11). xmlsec itself only compares major and minor (feasibility
1.1); we compare all three numbers.
"""

from __future__ import annotations

from importlib.metadata import version
from types import TracebackType

from gateway.errors import Misconfigured, Text

_MEND = "pip install --require-hashes -r requirements.lock"


class _XmlsecRefusal:
    """Turns the error xmlsec raises while it is being imported into one of ours.

    Its class lives in the module that failed to load, so no `except` clause can name it.
    """

    def __enter__(self) -> None:
        return None

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if kind is not None and (kind.__module__ == "xmlsec" or issubclass(kind, ImportError)):
            raise _mismatch(str(error)) from error


def library_versions() -> dict[str, str]:
    """`lxml`, `xmlsec`, and the libxml2 that each carries; `libxmlsec`."""
    with _XmlsecRefusal():
        import xmlsec
        from lxml import etree
    libxmlsec = xmlsec.get_libxmlsec_version()  # type: ignore[attr-defined] # not in its stubs
    return {
        "lxml": version("lxml"),
        "lxml.libxml2": ".".join(map(str, etree.LIBXML_VERSION)),
        "xmlsec": version("xmlsec"),
        "xmlsec.libxml2": ".".join(map(str, xmlsec.get_libxml_version())),
        "xmlsec.libxmlsec": ".".join(map(str, libxmlsec)),
    }


def check_libraries() -> dict[str, str]:
    """`library_versions()` when they fit; Misconfigured `libraries.mismatch` when they do not."""
    versions = library_versions()
    if versions["lxml.libxml2"] != versions["xmlsec.libxml2"]:
        raise _mismatch(
            f"lxml {versions['lxml']} carries libxml2 {versions['lxml.libxml2']}, "
            f"xmlsec {versions['xmlsec']} carries {versions['xmlsec.libxml2']}"
        )
    return versions


def _mismatch(reason: str) -> Misconfigured:
    return Misconfigured(
        Text(
            f"Thư viện lxml và xmlsec không khớp nhau ({reason}); cài lại: {_MEND}",
            f"lxml and xmlsec do not fit together ({reason}); install again: {_MEND}",
        ),
        code="libraries.mismatch",
    )
