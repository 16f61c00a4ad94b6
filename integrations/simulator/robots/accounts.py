"""The group robots of the three messengers, and how each is guarded."""

import random
import threading
from dataclasses import dataclass, field
from ipaddress import ip_address, ip_network
from typing import Any
from urllib.parse import quote

from integrations.simulator.limits import Limit, LimitClock, Window

DINGTALK = "dingtalk"
FEISHU = "feishu"
WECOM = "wecom"
LIMITS = {
    DINGTALK: (Limit(20, 60),),
    FEISHU: (Limit(5, 1), Limit(100, 60)),
    WECOM: (Limit(20, 60),),
}
# DingTalk alone shuts a robot that sends too much; the others refuse until the window has room again.
BLOCK_SECONDS = {DINGTALK: 600.0, FEISHU: 0.0, WECOM: 0.0}
MAX_KEYWORDS = 10
MAX_ADDRESSES = 10
CLASSIC = "classic"
DESCRIBED = "described"


@dataclass(slots=True)
class Robot:
    key: str  # how control and the message list call it
    platform: str
    token: str
    secret: str = ""  # "": no signature is asked for
    keywords: list[str] = field(default_factory=list)  # a message holds at least one of them
    addresses: list[str] = field(default_factory=list)  # IPv4 addresses, networks, or 10.1.2.*; empty: anybody
    wording: str = CLASSIC  # of DingTalk's refusals: CLASSIC or DESCRIBED
    window: Window = field(default_factory=Window)
    refused_in_block: int = 0

    @property
    def path(self) -> str:
        """Path and query of its webhook."""
        token = quote(self.token, safe="")
        return {
            DINGTALK: f"/robot/send?access_token={token}",
            FEISHU: f"/open-apis/bot/v2/hook/{token}",
            WECOM: f"/cgi-bin/webhook/send?key={token}",
        }[self.platform]

    def allows(self, client: str) -> bool:
        return not self.addresses or any(_matches(client, address) for address in self.addresses)

    def to_json(self, base_url: str) -> dict[str, Any]:
        return {
            "robot": self.key,
            "url": base_url + self.path,
            "token": self.token,
            "secret": self.secret,
            "keywords": self.keywords,
            "addresses": self.addresses,
            "wording": self.wording,
        }


def is_address(text: str) -> bool:
    """Whether a text is an IPv4 address, a network such as 10.1.2.0/24, or of the form 10.1.2.*"""
    try:
        ip_network(text.replace("*", "0"), strict=False)
    except ValueError:
        return False
    return "*" not in text or (text.endswith(".*") and text.count("*") == 1)


def _matches(client: str, address: str) -> bool:
    if address.endswith(".*"):
        return client.startswith(address[:-1])
    return ip_address(client) in ip_network(address, strict=False)


class Robots:
    """Every robot by its key. Read and change them inside `with robots.lock`."""

    def __init__(self, seed: int, clock: LimitClock) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """The seeded robots, none of them limited yet: on each platform one without a guard, one per guard."""
        rng = random.Random(self._seed ^ 0xB07)

        def uuid() -> str:
            text = f"{rng.getrandbits(128):032x}"
            return "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))

        robots = [
            Robot("dingtalk-signed", DINGTALK, f"{rng.getrandbits(256):064x}", f"SEC{rng.getrandbits(256):064x}"),
            Robot("dingtalk-keyword", DINGTALK, f"{rng.getrandbits(256):064x}", keywords=["Evenshelf", "库存"]),
            Robot("dingtalk-open", DINGTALK, f"{rng.getrandbits(256):064x}"),
            Robot("feishu-signed", FEISHU, uuid(), f"{rng.getrandbits(88):022x}"),
            Robot("feishu-keyword", FEISHU, uuid(), keywords=["Evenshelf", "库存"]),
            Robot("feishu-open", FEISHU, uuid()),
            Robot("wecom-open", WECOM, uuid()),
            Robot("wecom-second", WECOM, uuid()),
        ]
        with self.lock:
            self.by_key = {robot.key: robot for robot in robots}

    def find(self, platform: str, token: str) -> Robot | None:
        with self.lock:
            for robot in self.by_key.values():
                if (robot.platform, robot.token) == (platform, token):
                    return robot
        return None

    def may_send(self, robot: Robot) -> bool:
        """Count one message of a robot; False when it is over its limit or shut."""
        with self.lock:
            passes = robot.window.take(
                LIMITS[robot.platform], self.clock.now(), block_seconds=BLOCK_SECONDS[robot.platform]
            )
            robot.refused_in_block = 0 if passes else robot.refused_in_block + 1
            return passes

    def to_json(self, base_url: str) -> dict[str, Any]:
        """Per platform, its robots with their addresses and secrets."""
        with self.lock:
            return {
                platform: {"robots": [r.to_json(base_url) for r in self.by_key.values() if r.platform == platform]}
                for platform in LIMITS
            }
