"""Checksums of files and tensors, and the fingerprints that settings are known by."""

import json
from hashlib import file_digest, sha256
from pathlib import Path


def file_sha256(file: Path) -> str:
    """Checksum of a file."""
    with open(file, "rb") as stream:
        return file_digest(stream, "sha256").hexdigest()


def tensor_sha256(tensor) -> str:
    """Checksum of a tensor's values, for data sets that are not one file."""
    return sha256(tensor.contiguous().numpy().tobytes()).hexdigest()


def fingerprint(settings) -> str:
    """Ten hexadecimal digits that change when any setting does; the order of keys does not matter."""
    return sha256(json.dumps(settings, sort_keys=True).encode()).hexdigest()[:10]
