"""Evidence judged where nothing of us is but the wheel, and nothing of the world but a file."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway.evidence import layout
from tests.integration.test_evidence import (
    Exported,
    container,
    made,  # noqa: F401 - the fixture: two gateways, one document
    parts,
)

ROOT = Path(__file__).parents[2]
PIP = ("-m", "pip", "--disable-pip-version-check", "--quiet")
ALONE = "import socket; socket.create_connection(('127.0.0.1', 9), 1)"

pytestmark = [pytest.mark.long, pytest.mark.timeout(1200)]


def run(
    *command: object, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command], capture_output=True, text=True, env=env, cwd=cwd
    )


@pytest.fixture(scope="module")
def namespace() -> tuple[str, ...]:
    """What runs a command where there is no network, not even a loopback that answers."""
    tool = shutil.which("unshare")
    if tool is None:
        pytest.skip("unshare (util-linux) is not installed: no namespace without network")
    alone = (tool, "--map-root-user", "--net")
    tried = run(*alone, sys.executable, "-c", ALONE)
    if "unreachable" not in tried.stderr:
        pytest.skip(f"namespaces are forbidden here: {tried.stderr.strip()[-200:]}")
    return alone


@pytest.fixture(scope="module")
def clean(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A fresh virtual environment: the locked dependencies, and the wheel of this tree."""
    folder = tmp_path_factory.mktemp("clean")
    source = folder / "source"
    kept = shutil.ignore_patterns(".*", "tests", "build", "*.egg-info", "__pycache__")
    shutil.copytree(ROOT, source, ignore=kept)
    wheels = folder / "wheels"
    built = run(
        sys.executable, *PIP, "wheel", source, "--no-deps", "--no-build-isolation", "-w", wheels
    )
    assert built.returncode == 0, built.stderr
    (wheel,) = wheels.glob("*.whl")
    venv = folder / "venv"
    assert run(sys.executable, "-m", "venv", venv).returncode == 0
    python = venv / "bin" / "python"
    lock = ROOT / "requirements.lock"
    got = run(python, *PIP, "install", "--only-binary", ":all:", "--require-hashes", "-r", lock)
    if got.returncode and "HASH" not in got.stderr.upper():
        pytest.skip(f"no package index is within reach: {got.stderr.strip()[-300:]}")
    assert got.returncode == 0, got.stderr
    own = run(python, *PIP, "install", "--no-deps", "--no-index", wheel)
    assert own.returncode == 0, own.stderr
    return venv


def test_a_container_of_today_verifies_from_the_wheel_alone_and_without_any_network(
    made: Exported,  # noqa: F811
    clean: Path,
    namespace: tuple[str, ...],
    tmp_path: Path,
) -> None:
    anchors = tmp_path / "anchors"
    anchors.mkdir()
    shutil.copyfile(made.authority, anchors / "tsa.pem")
    content = parts(made.sent)
    (anchors / "so19.vkey").write_bytes(content[layout.VKEY])
    good, bad = tmp_path / "12.asice", tmp_path / "13.asice"
    good.write_bytes(made.sent)
    bad.write_bytes(container({**content, layout.PRINT: content[layout.PRINT] + b" "}))
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "LANG": "C.UTF-8"}

    def verify(file: Path, *more: object) -> subprocess.CompletedProcess[str]:
        tool = clean / "bin" / "edoc-gateway"
        return run(
            *namespace, tool, "evidence", "verify", file, "--lang", "en", *more,
            env=env, cwd=tmp_path,
        )  # fmt: skip

    told = "import gateway; print(gateway.__file__)"
    where = run(clean / "bin" / "python", "-c", told, env=env, cwd=tmp_path)
    assert where.stdout.startswith(str(clean))
    done = verify(good, "--anchors", anchors)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    assert "The evidence is VALID" in done.stdout
    assert verify(good).returncode == 2
    changed = verify(bad, "--anchors", anchors)
    assert changed.returncode == 1
    assert f"WRONG    {layout.PRINT}: its content was changed" in changed.stdout
