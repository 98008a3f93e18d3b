"""In large strides by number: the ORM's own bulk update takes three times as long, at 650,000 passengers minutes."""

from django.db import migrations

from trips.text import fold_search

STRIDE = 10_000
EACH = 'UPDATE "trips_passenger" SET "name_key" = %s WHERE "id" = %s'
ALL = (
    'UPDATE "trips_passenger" SET "name_key" = filled."name_key" '
    'FROM unnest(%s::text[], %s::bigint[]) AS filled ("name_key", "id") WHERE "trips_passenger"."id" = filled."id"'
)


def fill(apps, schema_editor):
    names = apps.get_model("trips", "Passenger")._base_manager.order_by("pk")
    names = names.values_list("pk", "legal_first_name", "legal_last_name")
    last = 0
    while found := list(names.filter(pk__gt=last)[:STRIDE]):
        write(schema_editor.connection, [(fold_search(first, name)[:255], pk) for pk, first, name in found])
        last = found[-1][0]


def write(connection, keys):
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(ALL, [list(column) for column in zip(*keys, strict=True)])
        else:
            cursor.executemany(EACH, keys)


class Migration(migrations.Migration):

    dependencies = [
        ('trips', '0021_merge_contacts'),
    ]

    operations = [
        migrations.RunPython(fill, migrations.RunPython.noop),
    ]
