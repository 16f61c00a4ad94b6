"""Problems of single listings: one that cannot be read or written, is left alone, or has a fact that is none."""

from django.utils.translation import gettext_lazy as _

from integrations.problems.kinds import TELL_US, Help, Kind

OF_LISTINGS: dict[str, Kind] = {
    # One listing.
    "unknown-listing": Kind(
        "warning",
        _("%(channel)s: the item is not known to the platform."),
        _("It was deleted, or its id is wrong. Remove the listing, or add it again with the right id."),
        Help.REMOVE,
    ),
    "unknown-variant": Kind(
        "warning",
        _("%(channel)s: the platform knows the item, but not this variant of it."),
        _("It was deleted, or its id is wrong. Remove the listing, or add it again with the right id."),
        Help.REMOVE,
    ),
    "variant-deleted": Kind(
        "warning",
        _("The variant was deleted on %(channel)s."),
        _("Remove the listing; its history stays."),
        Help.REMOVE,
    ),
    "foreign-listing": Kind(
        "warning",
        _("%(channel)s says that the item belongs to another shop."),
        _("If it is a competitor's, mark the listing so; else remove it."),
        Help.REMOVE,
    ),
    "refused-by-rule": Kind(
        "warning",
        _("A rule of %(channel)s refused the item at %(time)s."),
        _("Look at the item in the platform's back office."),
    ),
    "bad-listing-id": Kind(
        "warning",
        _("The item id cannot be one of %(channel)s, so it was not asked for."),
        _("Remove the listing and add it again with the right id."),
        Help.REMOVE,
    ),
    "no-variants-of-others": Kind(
        "warning",
        _("%(channel)s shows items of other shops as a whole only, not by variant."),
        _("Remove the listing and add the item without a variant id."),
        Help.REMOVE,
    ),
    "has-variants": Kind(
        "warning",
        _("%(channel)s: the item has variants, and its own price and stock are none of theirs."),
        _("Add its variants one by one, and remove this listing."),
        Help.REMOVE,
    ),
    # One write.
    "moved": Kind(
        "info",
        _("%(channel)s: the stock had moved since it was read."),
        _("It is worked out again by itself."),
    ),
    "not-answered": Kind(
        "warning",
        _("%(channel)s gave no answer after we wrote. We do not know whether it was applied."),
        _("It is read back before anything is repeated."),
    ),
    "not-confirmed": Kind(
        "warning",
        _("%(channel)s took the figure, but shows another one."),
        _("It is read back before anything is repeated."),
    ),
    "stock-not-counted": Kind(
        "warning",
        _("%(channel)s does not count the stock of the item."),
        _("Switch on stock management for it in the shop's back office."),
    ),
    "stock-of-product": Kind(
        "warning",
        _("%(channel)s counts one stock for all variants of the item, so one variant's cannot be written."),
        _("In the shop's back office, have each variant count its own stock."),
    ),
    "unknown-location": Kind(
        "warning",
        _("%(channel)s does not know the location."),
        _("Choose one of its locations, or leave the stock of this one out."),
    ),
    "not-stocked-there": Kind(
        "warning",
        _("%(channel)s: the item is not stocked at the location."),
        _("Stock it there in the shop's back office, or choose another location."),
    ),
    "stock-not-ours": Kind(
        "warning",
        _("%(channel)s: the stock of the item is kept by another service."),
        _("Have the shop keep its stock, or leave the listing out."),
    ),
    "twice-in-one-push": Kind("critical", _("%(channel)s was sent the same row twice in one write."), TELL_US),
    "not-shown": Kind(
        "warning",
        _("%(channel)s took the figure, but does not show it."),
        _(
            "Look at the item in the platform's back office: something else may write its stock, too. Then send it "
            "again, or dismiss it with a reason."
        ),
    ),
    "not-read": Kind(
        "warning",
        _("%(channel)s did not tell what the item shows."),
        _("It is read again by itself. If it lasts, look at the item in the platform's back office."),
    ),
    "interrupted": Kind(
        "warning",
        _("A worker ended before it told what %(channel)s answered. We do not know whether the figure was applied."),
        _("It is read back before anything is repeated."),
    ),
    "lease-over": Kind(
        "info", _("There was no time left to send it to %(channel)s."), _("It is sent by itself. Nothing to do.")
    ),
    "guard": Kind(
        "warning",
        _("%(channel)s: too many listings would go to 0 at once, so nobody was told yet."),
        _("Look at them on the page of the channel, and apply or reject them there."),
    ),
    # Left alone.
    "paused": Kind(
        "info",
        _("%(channel)s: the stock of the listing is paused by a rule, so what it shows is left as it is."),
        _("Change the rule of the listing or of the channel to have it sent again."),
    ),
    "not-mapped": Kind(
        "warning",
        _("%(channel)s: the listing is not mapped, so what it shows is left as it is."),
        _("Choose the SKU it sells, and its stock is sent from then on."),
    ),
    "sku-inactive": Kind(
        "info",
        _("%(channel)s: the SKU of the listing is not active, so what it shows is left as it is."),
        _("Set the SKU to active to have its stock sent."),
    ),
    "not-counted": Kind(
        "warning",
        _("%(channel)s: the stock of the listing was never counted here, so nothing is sent."),
        _("Count it or enter a receipt."),
    ),
    "location-left": Kind(
        "info",
        _("%(channel)s: no warehouse feeds this location any more, so it is left to the shop."),
        _("Choose a warehouse for the location to have its stock sent again."),
    ),
    # One fact.
    "price-unreadable": Kind(
        "warning", _("%(channel)s gave a price that is no amount."), _("The price counts as not known.")
    ),
    "price-not-positive": Kind(
        "warning", _("%(channel)s gave a price that is not above 0."), _("The price counts as not known.")
    ),
    "currency-unknown": Kind(
        "warning",
        _("%(channel)s did not tell us the currency of its prices."),
        _("The prices count as not known. Give the user of the keys the role of a shop manager."),
    ),
    "stock-unreadable": Kind(
        "warning", _("%(channel)s gave a stock that is no number."), _("The stock counts as not known.")
    ),
    "stock-negative": Kind("warning", _("%(channel)s gave a stock below 0."), _("The stock counts as not known.")),
}
