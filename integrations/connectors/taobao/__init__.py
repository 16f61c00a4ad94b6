"""Taobao and Tmall, through the Taobao Open Platform (TOP)."""

from integrations.connectors.taobao.client import TaobaoConnector, TaobaoCredentials

__all__ = ["TaobaoConnector", "TaobaoCredentials"]
