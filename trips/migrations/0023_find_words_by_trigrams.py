"""PostgreSQL finds a part of a name by its groups of three letters; without them each search reads every row."""

from django.db import migrations
from django.db.backends.base.schema import BaseDatabaseSchemaEditor
from django.db.utils import NotSupportedError, ProgrammingError

INDEXES = {
    "trip_words": ("trips_trip", "search_key"),
    "contact_words": ("trips_contact", "search_key"),
    "contact_email_words": ("trips_contact", "email"),
    "contact_phone_digits": ("trips_contact", "phone"),
    "passenger_words": ("trips_passenger", "search_key"),
}
REFUSED = (
    "The database does not have pg_trgm, which search needs, or does not let this account install it. Have its "
    'administrator run "CREATE EXTENSION pg_trgm" in this database (it comes with PostgreSQL\'s contrib package), then '
    "migrate again."
)


def make(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor != "postgresql":
        return
    try:
        editor.execute("CREATE EXTENSION IF NOT EXISTS pg_trgm")
    except (ProgrammingError, NotSupportedError) as error:
        raise ProgrammingError(REFUSED) from error
    for name, (table, column) in INDEXES.items():
        editor.execute(f'CREATE INDEX "{name}" ON "{table}" USING gin ("{column}" gin_trgm_ops)')


def drop(_apps: object, editor: BaseDatabaseSchemaEditor) -> None:
    if editor.connection.vendor == "postgresql":
        for name in INDEXES:
            editor.execute(f'DROP INDEX IF EXISTS "{name}"')


class Migration(migrations.Migration):
    dependencies = [("trips", "0022_fill_name_keys")]

    operations = [migrations.RunPython(make, drop)]
