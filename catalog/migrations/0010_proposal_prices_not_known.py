"""What was stored as a live price may be a list price: not known until the shop is read again."""

from django.db import migrations


def forget_prices(apps, schema_editor):
    apps.get_model("catalog", "Proposal").objects.update(price=None)


class Migration(migrations.Migration):
    dependencies = [("catalog", "0009_proposal_list_price")]

    operations = [migrations.RunPython(forget_prices, migrations.RunPython.noop)]
