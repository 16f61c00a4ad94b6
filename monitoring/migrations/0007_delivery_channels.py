from django.db import migrations, models

_AT_ONCE = 2_000


def fill(apps, schema_editor):
    """Of messages whose news is told anew by now nobody knows any more what they told of."""
    notifications = apps.get_model("monitoring", "Notification").objects.using(schema_editor.connection.alias)
    link = apps.get_model("monitoring", "Delivery").channels.through
    told = notifications.filter(delivery__isnull=False).order_by().values_list("delivery", "alert__channel").distinct()
    links = [link(delivery_id=delivery_id, channel_id=channel_id) for delivery_id, channel_id in told.iterator()]
    link.objects.using(schema_editor.connection.alias).bulk_create(links, batch_size=_AT_ONCE)


class Migration(migrations.Migration):

    dependencies = [
        ('catalog', '0005_proposals'),
        ('monitoring', '0006_bounds'),
    ]

    operations = [
        migrations.AddField(
            model_name='delivery',
            name='channels',
            field=models.ManyToManyField(editable=False, related_name='+', to='catalog.channel'),
        ),
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
