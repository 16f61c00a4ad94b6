"""What the shop answers when it refuses: the shape every error of its REST API has, and the refusals by name."""

from collections.abc import Mapping
from typing import Any

AUTHENTICATION_ERROR = "woocommerce_rest_authentication_error"


class Refusal(Exception):
    """An error answer: code and message, its HTTP status, and what else stands in `data`."""

    def __init__(self, code: str, message: str, status: int, **data: Any) -> None:
        super().__init__(code, message)
        self.code = code
        self.message = message
        self.status = status
        self.data = {"status": status, **data}
        self.headers: dict[str, str] = {}

    def to_json(self) -> dict[str, Any]:
        return {"code": self.code, "message": self.message, "data": self.data}


def unauthenticated(message: str) -> Refusal:
    return Refusal(AUTHENTICATION_ERROR, message, 401)


def no_route() -> Refusal:
    return Refusal("rest_no_route", "No route was found matching the URL and request method.", 404)


def missing(names: list[str]) -> Refusal:
    return Refusal("rest_missing_callback_param", f"Missing parameter(s): {', '.join(names)}", 400, params=names)


def invalid(problems: Mapping[str, tuple[str, str]]) -> Refusal:
    """One refusal for every wrong parameter: name -> (code of the rule it breaks, sentence)."""
    return Refusal(
        "rest_invalid_param",
        f"Invalid parameter(s): {', '.join(problems)}",
        400,
        params={name: sentence for name, (_, sentence) in problems.items()},
        details={
            name: {"code": code, "message": sentence, "data": {"param": name} if code == "rest_invalid_type" else None}
            for name, (code, sentence) in problems.items()
        },
    )


def invalid_id(kind: str, status: int) -> Refusal:
    """`kind` as in codes: product, product_variation, shop_order, shop_coupon, shop_webhook."""
    return Refusal(f"woocommerce_rest_{kind}_invalid_id", "Invalid ID.", status)


# What a person without the right is told, by the thing tried; the status depends on whether anybody is known at all.
FORBIDDEN = {
    "list": ("woocommerce_rest_cannot_view", "Sorry, you cannot list resources."),
    "view": ("woocommerce_rest_cannot_view", "Sorry, you cannot view this resource."),
    "create": ("woocommerce_rest_cannot_create", "Sorry, you are not allowed to create resources."),
    "edit": ("woocommerce_rest_cannot_edit", "Sorry, you are not allowed to edit this resource."),
    "delete": ("woocommerce_rest_cannot_delete", "Sorry, you are not allowed to delete this resource."),
    "batch": ("woocommerce_rest_cannot_batch", "Sorry, you are not allowed to batch manipulate this resource."),
}


def forbidden(deed: str, *, anonymous: bool) -> Refusal:
    code, message = FORBIDDEN[deed]
    return Refusal(code, message, 401 if anonymous else 403)
