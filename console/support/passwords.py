"""A local password for a single machine: kept as a hash that is slow to try (scrypt, RFC 7914)."""

from __future__ import annotations

import hashlib
import secrets
from base64 import b64decode, b64encode

COST, BLOCK, LANES = 2**15, 8, 1
"""32 MB and some 80 ms a try: nothing to a person, much to who tries a million."""
MEMORY = 2 * 128 * COST * BLOCK
SALT_BYTES, HASH_BYTES = 16, 32
LEAST_PASSWORD = 12
"""Characters. A longer one of plain words beats a short one of odd signs."""
LONGEST_PASSWORD = 1024


def hashed(password: str, *, salt: bytes | None = None) -> str:
    """Return what is kept of a password: ``scrypt:SALT:HASH``, both in base 64.

    Parameters
    ----------
    password
        As it was typed.
    salt
        Random if absent, so that equal passwords do not look alike.

    Raises
    ------
    ValueError
        If it is shorter than `LEAST_PASSWORD` or longer than `LONGEST_PASSWORD` characters.
    """
    if not LEAST_PASSWORD <= len(password) <= LONGEST_PASSWORD:
        raise ValueError(f"A password has {LEAST_PASSWORD} to {LONGEST_PASSWORD} characters.")
    salt = secrets.token_bytes(SALT_BYTES) if salt is None else salt
    return f"scrypt:{b64encode(salt).decode()}:{b64encode(_digest(password, salt)).decode()}"


def matches(password: str, kept: str) -> bool:
    """Whether a password is the one that `kept` was made from; what is no hash of ours matches nothing."""
    name, _, rest = kept.partition(":")
    salt, _, digest = rest.partition(":")
    if name != "scrypt" or len(password) > LONGEST_PASSWORD:
        return False
    try:
        known, wanted = b64decode(salt, validate=True), b64decode(digest, validate=True)
    except ValueError:
        return False
    return secrets.compare_digest(_digest(password, known), wanted)


def _digest(password: str, salt: bytes) -> bytes:
    return hashlib.scrypt(password.encode(), salt=salt, n=COST, r=BLOCK, p=LANES, maxmem=MEMORY, dklen=HASH_BYTES)
