"""Check every GraphQL document we send against the schema that Shopify publishes in the package @shopify/dev-mcp.

    python tests/shopify_schema.py

Needs npm and the network, so it is run by hand, when a document or the version changes; the schema is not kept.
"""

import gzip
import json
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path

from graphql import GraphQLSchema, build_client_schema, parse, validate

PROJECT = Path(__file__).resolve().parent.parent
PACKAGE = "@shopify/dev-mcp"
sys.path.insert(0, str(PROJECT))


def published_schema(version: str) -> GraphQLSchema:
    with tempfile.TemporaryDirectory() as folder:
        packed = subprocess.run(
            ["npm", "pack", PACKAGE, "--silent"],
            cwd=folder,
            check=True,
            capture_output=True,
            text=True,
            timeout=300,
        )
        with tarfile.open(Path(folder) / packed.stdout.split()[-1]) as archive:
            member = archive.extractfile(f"package/dist/data/admin_{version}.json.gz")
            if member is None:
                sys.exit(f"{PACKAGE} has no schema of {version}.")
            content = json.loads(gzip.decompress(member.read()))
    # Published as it is; a few of its interfaces do not agree with themselves on what is deprecated.
    return build_client_schema(content.get("data", content), assume_valid=True)


def main() -> None:
    from integrations.connectors.shopify.credentials import VERSION
    from integrations.connectors.shopify.documents import BULK_VARIANTS, SENT

    schema = published_schema(VERSION)
    every = {**SENT, "bulk-variants": BULK_VARIANTS}
    wrong = [(name, error.message) for name, text in every.items() for error in validate(schema, parse(text))]
    lines = [f"{name}: {message}" for name, message in wrong]
    lines.append(f"{len(every)} documents checked against {VERSION}, {len(wrong)} errors")
    sys.stdout.write("\n".join(lines) + "\n")
    sys.exit(bool(wrong))


if __name__ == "__main__":
    main()
