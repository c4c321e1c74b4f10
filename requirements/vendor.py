"""Downloads the third-party files of the inspector in the versions of ``VENDORED.json``: run ``make vendor``.

To change a version, edit ``version`` and ``integrity`` (``npm view NAME@VERSION dist.integrity``) in ``VENDORED.json``,
run the script, and copy the printed ``sha256`` into ``VENDORED.json``. Requires npm.
"""

from __future__ import annotations

import base64
import hashlib
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

VENDOR = Path(__file__).parents[1] / "src/memoryos/doors/inspector/static/vendor"


def fetch(record: dict[str, str], folder: Path) -> bytes:
    """Downloads an npm package, checks its archive against the pinned hash, and returns one of its files."""
    package = f"{record['package']}@{record['version']}"
    packed = subprocess.run(  # noqa: S603  (the package and its hash are pinned)
        ["npm", "pack", "--silent", "--ignore-scripts", "--json", package],  # noqa: S607  (npm is found on PATH)
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    archive = folder / json.loads(packed.stdout)[0]["filename"].replace("@", "").replace("/", "-")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != record["integrity"]:
        raise SystemExit(f"{package}: the archive does not match the pinned integrity hash")
    with tarfile.open(archive) as files:
        found = files.extractfile(f"package/{record['path']}")
        if found is None:
            raise SystemExit(f"{package}: {record['path']} is missing in the package")
        return found.read()


def main() -> None:
    """Writes all pinned files; exits with 1 if the hash of a file differs from the pinned one."""
    record = json.loads((VENDOR / "VENDORED.json").read_text("utf-8"))
    is_unchanged = True
    with tempfile.TemporaryDirectory() as folder:
        for name, each in record.items():
            body = fetch(each, Path(folder))
            digest = hashlib.sha256(body).hexdigest()
            (VENDOR / name).write_bytes(body)
            is_unchanged &= digest == each["sha256"]
            sys.stdout.write(f"{name}: {each['package']} {each['version']}, sha256 {digest}\n")
    if not is_unchanged:
        raise SystemExit("a file differs from its sha256 in VENDORED.json; update the hash if you changed the version")


if __name__ == "__main__":
    main()
