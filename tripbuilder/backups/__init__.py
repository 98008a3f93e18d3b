"""One dated archive of everything that the product cannot be had again without: the database and the private files.

Each database is copied by its own means (SQLite's backup API, pg_dump), at work, as it was at one moment. The manifest
says what is in the archive, with checksums, and which encryption keys it needs, by their ids: the keys themselves must
lie elsewhere, or whoever finds a backup can read passports. An archive is put back into an empty database only, and
only after every byte of it was looked at.

A dump as JSON (Django's dumpdata) was weighed and left: it is slow, runs signals when it is loaded, and knows no
snapshot.
"""


class CannotBackUp(Exception):
    """Nothing was written; the text says why and what to do."""


class CannotRestore(Exception):
    """Refused before anything was written; the text says why and what to do."""
