"""Whom a message can be sent to: one module per kind, looked up in SENDERS by the target's kind."""

from integrations.notifying.senders.base import Message, Receipt, Sender
from integrations.notifying.senders.dingtalk import DingTalkSender
from integrations.notifying.senders.feishu import FeishuSender
from integrations.notifying.senders.mail import MailSender
from integrations.notifying.senders.other import OtherSender
from integrations.notifying.senders.sms import SmsSender
from integrations.notifying.senders.webhook import WebhookSender
from integrations.notifying.senders.wecom import WeComSender

SENDERS: dict[str, type[Sender]] = {
    sender.kind: sender
    for sender in (
        DingTalkSender,
        FeishuSender,
        WeComSender,
        SmsSender,
        WebhookSender,
        MailSender,
        OtherSender,
    )
}

__all__ = ["SENDERS", "Message", "Receipt", "Sender"]
