"""What is said of a certificate that can't be used."""

from __future__ import annotations

from pathlib import Path

import pytest
from cryptography.hazmat.primitives import serialization

from ingest.certificate import Certificate, certificate_problem
from tests.certificates import write_certificate


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """`a.pem` with `a.key`, `b.pem` with `b.key`, `locked.key` of a with a password, `none.pem`."""
    for name in ("a", "b"):
        write_certificate(tmp_path / f"{name}.pem", tmp_path / f"{name}.key", name)
    key = serialization.load_pem_private_key((tmp_path / "a.key").read_bytes(), None)
    lock = serialization.BestAvailableEncryption(b"password")
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    (tmp_path / "locked.key").write_bytes(pem)
    (tmp_path / "none.pem").write_text("none")
    return tmp_path


@pytest.mark.parametrize(
    ("cert", "key", "problem"),
    [
        ("a.pem", "b.key", "the key is not that of the certificate"),
        ("a.pem", "locked.key", "they must be PEM files without a password"),
        ("none.pem", "a.key", "they must be PEM files without a password"),
        ("a.pem", "nowhere.key", "nowhere.key: No such file"),
    ],
)
def test_a_pair_that_cannot_be_used(files: Path, cert: str, key: str, problem: str) -> None:
    with pytest.raises(OSError) as caught:
        Certificate(files / cert, files / key)
    assert problem in certificate_problem(caught.value)
