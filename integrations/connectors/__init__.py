"""Every platform we can talk to, by the name stored on the channel."""

from integrations.connectors.base import Connector
from integrations.connectors.taobao import TaobaoConnector

CONNECTORS: dict[str, type[Connector]] = {connector.platform: connector for connector in (TaobaoConnector,)}

__all__ = ["CONNECTORS"]
