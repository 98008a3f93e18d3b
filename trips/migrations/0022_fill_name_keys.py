from django.db import migrations

from trips.text import fold_search

CHUNK = 1000


def fill(apps, schema_editor):
    rows = apps.get_model("trips", "Passenger")._base_manager.filter(name_key="")
    last = 0
    while found := list(
        rows.filter(pk__gt=last).order_by("pk").only("pk", "legal_first_name", "legal_last_name")[:CHUNK]
    ):
        for row in found:
            row.name_key = fold_search(row.legal_first_name, row.legal_last_name)[:255]
        rows.bulk_update(found, ["name_key"])
        last = found[-1].pk


class Migration(migrations.Migration):

    dependencies = [
        ('trips', '0021_merge_contacts'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
