"""The text-message account: access key, approved signatures and templates, and how much each phone has received."""

import random
import re
import threading
import time
from dataclasses import dataclass
from typing import Any

from integrations.simulator.limits import Limit, LimitClock, Window

DAY = 86_400
PER_DAY = 50  # notifications to one phone by one signature and template, in any 24 hours
NONCE_SECONDS = 1_800
VARIABLE = re.compile(r"\$\{(\w+)\}")


@dataclass(frozen=True, slots=True)
class Template:
    code: str
    content: str

    @property
    def variables(self) -> list[str]:
        return VARIABLE.findall(self.content)

    def render(self, values: dict[str, str]) -> str:
        return VARIABLE.sub(lambda match: values[match.group(1)], self.content)


class SmsAccount:
    """One customer of the service. Read and change it inside `with account.lock`."""

    def __init__(self, seed: int, clock: LimitClock) -> None:
        self.lock = threading.RLock()
        self.clock = clock
        self._seed = seed
        self.reset()

    def reset(self) -> None:
        """The seeded key, one signature and two templates, nothing sent yet."""
        rng = random.Random(self._seed ^ 0x535)
        letters = "ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnpqrstuvwxyz23456789"
        with self.lock:
            self.access_key_id = "LTAI5t" + "".join(rng.choices(letters, k=18))
            self.access_key_secret = "".join(rng.choices(letters, k=30))
            self.signatures = ["货架提醒"]
            self.templates = {
                template.code: template
                for template in (
                    Template("SMS_100000001", "${severity}：${name}，${what}，共${count}条，请及时处理。"),
                    Template("SMS_100000002", "您有新的店铺提醒，请登录后台查看。"),
                )
            }
            self.per_day = PER_DAY
            self._windows: dict[tuple[str, str, str], Window] = {}
            self._nonces: dict[str, float] = {}

    def use_nonce(self, nonce: str) -> bool:
        """Remember a nonce; False when it was used before."""
        now = time.monotonic()
        with self.lock:
            self._nonces = {used: at for used, at in self._nonces.items() if at > now - NONCE_SECONDS}
            if nonce in self._nonces:
                return False
            self._nonces[nonce] = now
            return True

    def may_send(self, phones: list[str], signature: str, template: str) -> bool:
        """Count one message to each phone; False, and nothing counted, when one of them is over its day's limit."""
        limits, now = (Limit(self.per_day, DAY),), self.clock.now()
        with self.lock:
            windows = [self._windows.setdefault((phone, signature, template), Window()) for phone in phones]
            if any(window.exceeded(limits, now) is not None for window in windows):
                return False
            for window in windows:
                window.take(limits, now)
            return True

    def to_json(self, base_url: str) -> dict[str, Any]:
        with self.lock:
            return {
                "url": f"{base_url}/",
                "access_key_id": self.access_key_id,
                "access_key_secret": self.access_key_secret,
                "signatures": list(self.signatures),
                "templates": [{"code": t.code, "content": t.content} for t in self.templates.values()],
                "per_day": self.per_day,
            }
