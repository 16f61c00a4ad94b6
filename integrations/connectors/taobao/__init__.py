"""Taobao and Tmall, through the Taobao Open Platform (TOP)."""

from integrations.connectors.taobao.client import TaobaoConnector
from integrations.connectors.taobao.credentials import TaobaoCredentials

__all__ = ["TaobaoConnector", "TaobaoCredentials"]
