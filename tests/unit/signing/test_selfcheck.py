"""lxml and xmlsec must carry the same libxml2, or nothing starts."""

import subprocess
import sys

import pytest

from gateway.errors import Misconfigured
from gateway.signing import selfcheck

FITTING = """
def get_libxml_version(): return ({version})
def get_libxmlsec_version(): return (1, 3, 9)
"""
REFUSING = """
class InternalError(Exception): pass
raise InternalError(-1, "lxml & xmlsec libxml2 library version mismatch")
"""


@pytest.fixture
def stand_in(tmp_path, monkeypatch):
    """Another xmlsec in front of the installed one, as a wrong installation would have it."""

    installed = sys.modules.pop("xmlsec", None)

    def put(source):
        (tmp_path / "xmlsec.py").write_text(source, "utf-8")
        monkeypatch.syspath_prepend(tmp_path)

    yield put
    sys.modules.pop("xmlsec", None)
    if installed is not None:
        sys.modules["xmlsec"] = installed


def test_the_installed_pair_fits_and_is_named():
    versions = selfcheck.check_libraries()
    assert versions["xmlsec"] == "1.3.17"
    assert versions["lxml.libxml2"] == versions["xmlsec.libxml2"]
    assert set(versions) == {
        "lxml",
        "lxml.libxml2",
        "xmlsec",
        "xmlsec.libxml2",
        "xmlsec.libxmlsec",
    }


def test_another_patch_level_of_libxml2_is_refused(stand_in):
    stand_in(FITTING.format(version="2, 14, 99"))
    with pytest.raises(Misconfigured) as refused:
        selfcheck.check_libraries()
    assert refused.value.code == "libraries.mismatch"
    assert "2.14.99" in refused.value.text.en


def test_the_refusal_of_xmlsec_itself_is_told_to_the_operator(stand_in):
    stand_in(REFUSING)
    with pytest.raises(Misconfigured) as refused:
        selfcheck.check_libraries()
    assert "version mismatch" in refused.value.text.vi


def test_a_library_that_is_missing_is_told_to_the_operator(stand_in):
    stand_in("raise ImportError('no xmlsec here')")
    with pytest.raises(Misconfigured):
        selfcheck.check_libraries()


def test_signing_and_verifying_load_neither_library():
    program = (
        "import sys, gateway.signing.sign, gateway.signing.verify, gateway.signing.selfcheck\n"
        "sys.exit('lxml' in sys.modules or 'xmlsec' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0
