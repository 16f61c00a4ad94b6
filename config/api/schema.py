"""What the description of the API (OpenAPI 3.1) says of every resource."""

from typing import Any

from drf_spectacular.openapi import AutoSchema

from config.api.problems import MEDIA_TYPE

PROBLEM = {
    "type": "object",
    "description": "An error (RFC 9457).",
    "required": ["type", "title", "status", "detail", "instance"],
    "properties": {
        "type": {"type": "string", "format": "uri-reference"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string", "description": "What is wrong, and what to do."},
        "instance": {"type": "string", "format": "uri-reference", "description": "What was asked for."},
        "errors": {
            "type": "array",
            "description": "Which parameters are wrong.",
            "items": {
                "type": "object",
                "required": ["parameter", "detail"],
                "properties": {"parameter": {"type": "string"}, "detail": {"type": "string"}},
            },
        },
    },
}
# What every resource may answer besides what was asked for.
PROBLEMS = {
    "304": "Not changed since the tag in If-None-Match.",
    "400": "A parameter is wrong, unknown or empty.",
    "401": "No API key, or none that is valid.",
    "403": "The key lacks the scope, or its person's role does not include it.",
    "404": "Not there, or not to be seen by whom the key acts for.",
    "406": "Only JSON is spoken here.",
    "429": "Too many requests; Retry-After says when to ask again.",
}
PROBLEM_COMPONENT = "Problem"


class ResourceSchema(AutoSchema):
    """Adds to each operation the scope it needs, and the problems that may come instead of an answer."""

    def get_operation(self, *args: Any, **kwargs: Any) -> dict[str, Any] | None:
        operation = super().get_operation(*args, **kwargs)
        if operation is not None:
            for status, description in PROBLEMS.items():
                operation["responses"][status] = {"description": description}
                if status != "304":
                    schema = {"$ref": f"#/components/schemas/{PROBLEM_COMPONENT}"}
                    operation["responses"][status]["content"] = {MEDIA_TYPE: {"schema": schema}}
        return operation

    def get_description(self) -> str:  # type: ignore[override]  # the stubs mean the framework's own descriptions
        text = super().get_description()
        scope = getattr(self.view, "scope", "")
        return f"{text}\n\nScope: `{scope}`" if scope else text


def add_problem(result: dict[str, Any], generator: Any, **kwargs: Any) -> dict[str, Any]:
    """The framework's hook over the finished description."""
    result["components"]["schemas"][PROBLEM_COMPONENT] = PROBLEM
    return result
