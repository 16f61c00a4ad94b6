"""The rules of the house that a reader of one file cannot see: which way imports point, and which modules are pure."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
APPS = ("catalog", "monitoring", "integrations")
# An app may import itself, what stands before it, and the frame for its registry.
ALLOWED = {
    "catalog": {"catalog", "config"},
    "monitoring": {"catalog", "monitoring", "config"},
    "integrations": {"catalog", "monitoring", "integrations", "config"},
}
PURE = [
    "catalog/facts.py",
    "catalog/mapping_lint.py",
    "catalog/matching.py",
    "catalog/stock/availability.py",
    *(str(path.relative_to(ROOT)) for path in (ROOT / "catalog/pricing").glob("*.py")),
    "monitoring/timing.py",
    *(str(path.relative_to(ROOT)) for path in (ROOT / "monitoring/planning").glob("*.py")),
    "monitoring/promotion_effects.py",
    "monitoring/rollup.py",
    "monitoring/thresholds/rules.py",
    "monitoring/charts/series.py",
    "monitoring/charts/sparkline.py",
    "integrations/work.py",
    "integrations/connectors/errors.py",
    "integrations/connectors/taobao/signing.py",
    "integrations/connectors/taobao/parse.py",
    "integrations/connectors/taobao/refusals.py",
    "integrations/connectors/taobao/values.py",
    "integrations/connectors/taobao/orders.py",
    "integrations/connectors/taobao/promotions.py",
    "integrations/connectors/taobao/messages.py",
    "integrations/connectors/woocommerce/signing.py",
    "integrations/connectors/woocommerce/parse.py",
    "integrations/connectors/woocommerce/refusals.py",
    "integrations/connectors/woocommerce/webhooks.py",
    *(str(path.relative_to(ROOT)) for path in (ROOT / "integrations/simulator").rglob("*.py")),
]

pytestmark = pytest.mark.pure


def imported_modules(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def sources(folder: str) -> list[Path]:
    return [path for path in sorted((ROOT / folder).rglob("*.py")) if "migrations" not in path.parts]


@pytest.mark.parametrize("app", APPS)
def test_imports_point_from_integrations_over_monitoring_to_catalog(app):
    wrong = [
        f"{path.relative_to(ROOT)} imports {module}"
        for path in sources(app)
        for module in imported_modules(path)
        if module.split(".")[0] in {*APPS, "config", "tests"} - ALLOWED[app]
    ]
    assert wrong == []


@pytest.mark.parametrize("path", PURE)
def test_pure_modules_import_no_django(path):
    assert [module for module in imported_modules(ROOT / path) if module.split(".")[0] == "django"] == []


def test_simulator_and_connectors_share_no_code():
    from_simulator = [
        module
        for path in sources("integrations/simulator")
        for module in imported_modules(path)
        if "connectors" in module
    ]
    from_connectors = [
        module
        for path in sources("integrations/connectors")
        for module in imported_modules(path)
        if "simulator" in module
    ]
    assert (from_simulator, from_connectors) == ([], [])


def test_only_one_module_asks_which_database_it_is():
    asking = [
        str(path.relative_to(ROOT))
        for folder in (*APPS, "config")
        for path in sources(folder)
        if "connection.vendor" in path.read_text(encoding="utf-8")
    ]
    assert asking == ["catalog/database.py"]


def test_env_example_lists_every_variable_that_the_settings_read():
    source = (ROOT / "config/settings.py").read_text(encoding="utf-8")
    read = {
        node.args[0].value
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call)
        and isinstance(node.func, ast.Attribute)
        and isinstance(node.func.value, ast.Name)
        and node.func.value.id == "env"
        and node.args
        and isinstance(node.args[0], ast.Constant)
    }
    listed = {
        line.lstrip("#").split("=")[0]
        for line in (ROOT / ".env.example").read_text(encoding="utf-8").splitlines()
        if "=" in line and not line.startswith("# ")
    }
    assert read == listed
