"""The gateway's refusals."""

from integrations.simulator.quotas import Excess

MESSAGES = {
    3: "Upload Fail",
    7: "App Call Limited",
    9: "Http Action Not Allowed",
    10: "Service Currently Unavailable",
    11: "Insufficient ISV Permissions",
    12: "Insufficient User Permissions",
    13: "Insufficient Partner Permissions",
    15: "Remote service error",
    21: "Missing Method",
    22: "Invalid Method",
    23: "Invalid Format",
    24: "Missing Signature",
    25: "Invalid signature",
    26: "Missing session",
    27: "Invalid session",
    28: "Missing App Key",
    29: "Invalid app Key",
    30: "Missing Timestamp",
    31: "Invalid Timestamp",
    32: "Missing Version",
    33: "Invalid Version",
    34: "Unsupported Version",
    40: "Missing required arguments",
    41: "Invalid arguments",
    42: "Forbidden Request",
    43: "Parameter Error",
    50: "Remote service error",
}

EXCESS_SUB_CODES = {
    "app_per_day": "accesscontrol.limited-by-app-access-count",
    "app_per_second": "accesscontrol.limited-by-app-api-access-count",
    "method_per_second": "accesscontrol.limited-by-api-access-count",
}


class Refusal(Exception):
    """An error_response: code, and where the platform gives them sub_code and sub_msg."""

    def __init__(self, code: int, sub_code: str = "", sub_msg: str = "") -> None:
        super().__init__(code, sub_code)
        self.code = code
        self.msg = MESSAGES.get(code, "Remote service error")
        self.sub_code = sub_code
        self.sub_msg = sub_msg


def missing(name: str) -> Refusal:
    return Refusal(40, f"isv.missing-parameter:{name}", f"缺少必选参数: {name}")


def invalid(name: str, why: str = "") -> Refusal:
    return Refusal(41, f"isv.invalid-parameter:{name}", why or f"非法参数: {name}")


def over_quota(excess: Excess) -> Refusal:
    return Refusal(7, EXCESS_SUB_CODES[excess.limit], ban_text(excess.seconds))


def ban_text(seconds: int) -> str:
    return f"This ban will last for {seconds} more seconds"


def no_item() -> Refusal:
    return Refusal(15, "isv.item-not-exist:invalid-numIid-or-iid", "宝贝不存在")
