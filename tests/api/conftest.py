"""A program that reads the API: a key, and a client that shows it."""

from collections.abc import Callable
from typing import Any

import pytest
from django.test import Client

from catalog.models import ApiKey, User
from tests.factories import ApiKeyFactory, UserFactory

SCOPES = [scope.value for scope in ApiKey.Scope]


class Program:
    """Reads below /api/v1/ with a key, until it is told otherwise."""

    def __init__(self, token: str) -> None:
        self.token = token
        self._client = Client(raise_request_exception=False)

    def get(self, path: str, **kwargs: Any) -> Any:
        return self.send("GET", path, **kwargs)

    def send(self, method: str, path: str, *, headers: dict[str, str] | None = None, **kwargs: Any) -> Any:
        address = path if path.startswith(("/", "http")) else f"/api/v1/{path}"
        shown = {"Authorization": f"Bearer {self.token}", **(headers or {})}
        if kwargs.get("query_params"):
            return self._client.generic(method, address, headers=shown, query_params=kwargs["query_params"])
        return self._client.generic(method, address, headers=shown)

    def rows(self, path: str, **parameters: Any) -> list[dict[str, Any]]:
        """The results of a list, which must be an answer."""
        answer = self.get(path, query_params=parameters)
        assert answer.status_code == 200, answer.text
        found: list[dict[str, Any]] = answer.json()["results"]
        return found


@pytest.fixture
def program() -> Callable[..., Program]:
    """A factory: programs that act for a user, an owner unless one is given."""

    def make(user: User | None = None, **fields: Any) -> Program:
        key = ApiKeyFactory.build(user=user or UserFactory(is_superuser=True), **{"scopes": SCOPES, **fields})
        token = key.issue()
        key.save()
        return Program(token)

    return make


@pytest.fixture
def owner(program: Callable[..., Program]) -> Program:
    return program()
