"""Fetches the files of others that the inspector ships, as ``VENDORED.json`` pins them: run ``make vendor``.

For another version: change ``version`` and ``integrity`` (``npm view NAME@VERSION dist.integrity``) in the record, run
this, and write the new ``sha256`` that it tells into the record. It needs npm.
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
    """Returns one file of a package of npm, whose archive is the pinned one."""
    wanted = f"{record['package']}@{record['version']}"
    packed = subprocess.run(  # noqa: S603  (what is fetched is pinned in our own record)
        ["npm", "pack", "--silent", "--ignore-scripts", "--json", wanted],  # noqa: S607  (npm is where it is)
        cwd=folder,
        capture_output=True,
        text=True,
        check=True,
    )
    archive = folder / json.loads(packed.stdout)[0]["filename"].replace("@", "").replace("/", "-")
    digest = base64.b64encode(hashlib.sha512(archive.read_bytes()).digest()).decode()
    if f"sha512-{digest}" != record["integrity"]:
        raise SystemExit(f"{wanted}: the archive is not the pinned one")
    with tarfile.open(archive) as files:
        found = files.extractfile(f"package/{record['path']}")
        if found is None:
            raise SystemExit(f"{wanted}: {record['path']} is no file")
        return found.read()


def main() -> None:
    """Writes every file of the record; ends with 1 if one is not the one that the record tells."""
    record = json.loads((VENDOR / "VENDORED.json").read_text("utf-8"))
    is_right = True
    with tempfile.TemporaryDirectory() as folder:
        for name, each in record.items():
            body = fetch(each, Path(folder))
            digest = hashlib.sha256(body).hexdigest()
            (VENDOR / name).write_bytes(body)
            is_right &= digest == each["sha256"]
            sys.stdout.write(f"{name}: {each['package']} {each['version']}, sha256 {digest}\n")
    if not is_right:
        raise SystemExit("VENDORED.json tells another sha256")


if __name__ == "__main__":
    main()
