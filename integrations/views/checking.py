"""The test of a connection, in plain words."""

from django.contrib import messages
from django.http import HttpRequest, HttpResponseBase
from django.shortcuts import redirect
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST

from catalog.models import Channel
from integrations import services
from integrations.connections import Unconnected
from integrations.connectors import CONNECTORS
from integrations.connectors.base import READS_ONLY, Capability
from integrations.connectors.errors import ConnectorError
from integrations.models import Credential
from integrations.problems import sentence
from integrations.state import WITHOUT_APP
from integrations.views.pages import CREDENTIAL, channel_page, refusal_text, staff, staff_page, taken_text


def can_test(credential: Credential) -> bool:
    """Whether there is enough for a call to the platform."""
    return credential.state(timezone.now()) not in {*WITHOUT_APP, Credential.State.NOT_AUTHORISED}


@require_POST
@staff_page(*CREDENTIAL)
def check_connection(request: HttpRequest, channel: Channel) -> HttpResponseBase:
    """Call the platform now and say in plain words what came of it."""
    tell_tested(request, channel)
    return redirect(channel_page(channel))


def tell_tested(request: HttpRequest, channel: Channel) -> None:
    try:
        found = services.check_connection(channel=channel, actor=staff(request), now=timezone.now())
    except (ConnectorError, Unconnected) as error:
        messages.error(request, refusal_text(channel, error))
        return
    except services.ShopTaken as taken:
        messages.error(request, taken_text(request, taken))
        return
    if found.reads_only:
        messages.warning(request, sentence(cause=READS_ONLY, channel=channel, at=None))
    elif found.shop:
        messages.success(request, _("The connection works: %(shop)s.") % {"shop": found.shop})
    else:
        messages.success(request, _("The connection works."))
    tell_messages(request, channel)


def tell_messages(request: HttpRequest, channel: Channel) -> None:
    """Say when a platform that keeps news for us, once asked, does not."""
    is_asked = Capability.PULL_MESSAGES in CONNECTORS[channel.platform].capabilities
    if is_asked and not Credential.objects.filter(channel=channel, messages_since__isnull=False).exists():
        told = _(
            "%(channel)s does not keep news for us yet: its changes are found by reading alone. Ask for the permission "
            "for messages in the platform's console, then test the connection."
        )
        messages.warning(request, told % {"channel": channel.name})
