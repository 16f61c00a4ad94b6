"""Writes the `.env` of a new installation: `python -m config.write_env`. Runs before anything is installed.

Random secrets are put in where `.env.example` leaves a name empty. What is set already is never changed; a secret that
a newer version asks for is added at the end.
"""

import base64
import os
import secrets
import sys
from collections.abc import Callable
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent

MAKE: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(50),
    "CREDENTIAL_KEYS": lambda: base64.urlsafe_b64encode(os.urandom(32)).decode(),
    "DEMO_STAFF_PASSWORD": lambda: secrets.token_urlsafe(9),
    "DEMO_MANAGER_PASSWORD": lambda: secrets.token_urlsafe(9),
}


def complete(text: str, template: str) -> tuple[str, list[str]]:
    """The text of an `.env` with a value for every secret, and the names that got one.

    An empty text starts from the template.
    """
    lines = (text or template).splitlines()
    filled = []
    for name, make in MAKE.items():
        at = next((at for at, line in enumerate(lines) if line.partition("=")[0].strip() == name), None)
        if at is not None and lines[at].partition("=")[2].strip():
            continue
        if at is None:
            lines.append("")
            at = len(lines) - 1
        lines[at] = f"{name}={make()}"
        filled.append(name)
    return "\n".join(lines) + "\n", filled


def main(folder: Path = ROOT) -> int:
    path = folder / ".env"
    present = path.read_text(encoding="utf-8") if path.exists() else ""
    text, filled = complete(present, (folder / ".env.example").read_text(encoding="utf-8"))
    if filled:
        # Only the owner may read it, from its first byte on.
        with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w", encoding="utf-8") as file:
            file.write(text)
        sys.stdout.write(f"{path.name}: random values written for {', '.join(filled)}.\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
