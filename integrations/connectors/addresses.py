"""Which hosts connectors may talk to: public ones, this machine, and those that the settings allow by name.

A base URL is entered by staff. Without this, whoever may change one could have the server call its own network, or a
cloud's metadata service, and read from the message what answered.
"""

from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import SplitResult

from django.conf import settings
from django.utils.translation import gettext as _

# What ends in an IPv4 address leads to it where the network translates: NAT64, and two forms that are out of use.
_WITH_IPV4 = [ip_network(network) for network in ("64:ff9b::/96", "::/96", "::ffff:0:0:0/96")]
_LOCAL_TRANSLATION = ip_network("64:ff9b:1::/48")
# Where clouds keep the passwords of their machines; no setting opens these. All of the link-local addresses, and
# those of Alibaba Cloud, AWS and Google Cloud that are not among them.
METADATA = [
    ip_network(network)
    for network in ("169.254.0.0/16", "fe80::/10", "100.100.100.200/32", "fd00:ec2::254/128", "fd20:ce::254/128")
]


def is_exempt(host: str, port: int | None = None) -> bool:
    """Whether the host is this machine by its usual names, or one of ALLOWED_PRIVATE_HOSTS; it may do without TLS."""
    address = _literal(host)
    if host.lower() == "localhost" or (address is not None and address.is_loopback):
        return True
    return is_named(host, port)


def is_named(host: str, port: int | None) -> bool:
    """Whether ALLOWED_PRIVATE_HOSTS has the host, or the host with this port ("127.0.0.1:8900")."""
    if is_metadata(host):
        return False
    names = {host.lower(), f"{host.lower()}:{port}"}
    return any(allowed.lower() in names for allowed in settings.ALLOWED_PRIVATE_HOSTS)


def is_refused(host: str) -> bool:
    """Whether the host is an address that is not a public one, as private, link-local and metadata addresses are.

    A name is not looked up: what it leads to is known when the connection is made.
    """
    address = _destination(host)
    if isinstance(address, IPv6Address) and (address.is_site_local or address in _LOCAL_TRANSLATION):
        return True
    return address is not None and (not address.is_global or address.is_multicast)


def is_metadata(host: str) -> bool:
    """Whether the host is an address that only a machine's own cloud answers at."""
    address = _destination(host)
    return address is not None and any(address in network for network in METADATA)


def refusal(host: str, port: int | None) -> str:
    """What to tell of a host that may not be talked to."""
    if is_metadata(host):
        return _("This address leads to a cloud's metadata service; that is never allowed.")
    named = f"{host}:{port}"
    return _(
        "This address is private: ask whoever runs the server to add %(host)s to ALLOWED_PRIVATE_HOSTS, if it is meant."
    ) % {"host": named}


def port_of(parts: SplitResult) -> int:
    """The port of an http or https address."""
    return parts.port or (443 if parts.scheme == "https" else 80)


def _destination(host: str) -> IPv4Address | IPv6Address | None:
    """The address that one leads to: the IPv4 address in one that is translated. None for a name."""
    address = _literal(host)
    if isinstance(address, IPv6Address):
        if any(address in network for network in _WITH_IPV4):
            return IPv4Address(int(address) & 0xFFFF_FFFF)
        if address.sixtofour is not None:
            return address.sixtofour
    return address


def _literal(host: str) -> IPv4Address | IPv6Address | None:
    try:
        address = ip_address(host)
    except ValueError:
        return None
    # ::ffff:10.0.0.1 leads to 10.0.0.1.
    return getattr(address, "ipv4_mapped", None) or address
