"""The settings of every test run: the product's own, after shutting out whatever `.env` or the shell says.

A developer's `.env` may hold a real token. Variables that are set win over `.env`, and tests hand their
environment to the processes they start, so naming each one here keeps those away from it too.
"""

import os
import tempfile

LOOPBACK_NOWHERE = "http://127.0.0.1:9"  # the discard port: nothing answers there

os.environ.update(
    DEBUG="true",
    SECRET_KEY="tests-only-" + "x" * 50,
    ALLOWED_HOSTS="",
    ADMINS="",
    EMAIL_URL="",
    DEFAULT_FROM_EMAIL="",
    FIELD_ENCRYPTION_KEYS="",
    TIME_ZONE="",
    LOG_LEVEL="WARNING",
    SECOND_FACTOR="optional",  # tests/tripbuilder/signin has those of "required"
    SESSION_IDLE_MINUTES="",
    SESSION_HOURS="",
    PROXIES="",
    REFUSALS_PER_MINUTE="100000",  # the tests of refusals make more of them than any stranger
    REDIS_URL=os.environ.get("TRIPBUILDER_TEST_REDIS", ""),  # `make chaos BROKER=redis`
    TRIP_CURRENCY="",
    TRIP_DEPOSIT_DAYS_BEFORE="",
    TRIP_FINAL_DAYS_BEFORE="",
    PHONE_REGION="",
    PASSPORT_VALIDITY_MONTHS="",
    REPORT_PAPER="",
    PRIVATE_ROOT=f"{tempfile.gettempdir()}/tripbuilder-private-{os.getpid()}",
    PRIVATE_BUCKET="",
    PRIVATE_BUCKET_URL="",
    PRIVATE_BUCKET_REGION="",
    PRIVATE_BUCKET_KEY="",
    PRIVATE_BUCKET_SECRET="",
    UPLOAD_MAX_MB="",
    TRAVELLER_LINKS="",
    TRAVELLER_UPLOADS="",
    TRAVELLER_LINK_DAYS="",
    RETENTION_HEALTH_DAYS="",
    RETENTION_SCAN_DAYS="",
    RETENTION_PAPER_DAYS="",
    RETENTION_FORM_DAYS="",
    RETENTION_MAIL_DAYS="",
    RETENTION_LIST_DAYS="",
    RETENTION_READ_LOG_DAYS="",
    GHL_API_TOKEN="",
    GHL_LOCATION_ID="",
    GHL_API_BASE_URL=LOOPBACK_NOWHERE,
    GHL_APP_URL="",
    GHL_TRIP_PIPELINE="",
    GHL_PASSENGER_PIPELINE="",
    GHL_FALLBACK_CONTACT_EMAIL="",
    GHL_SETTLE_SECONDS="",
    GHL_DELETE_HOLD_SECONDS="",
    GHL_TIMEOUT_SECONDS="",
    GHL_CALLS_IN_FLIGHT="",
    GHL_WAIT_SCALE="",
    GHL_COPY_FILES="",
    GHL_FILE_HOSTS="",
    GHL_FILE_SECONDS="",
    GHL_MIRROR_SENSITIVE="",
    GHL_WEBHOOK_PUBLIC_KEYS="",
    GHL_WEBHOOK_RSA="",
    GHL_WEBHOOK_SECRET="",
)
# tests/run.py names the database; a bare `pytest` uses SQLite, never the one in `.env`.
os.environ["DATABASE_URL"] = os.environ.get("TRIPBUILDER_TEST_DATABASE") or "sqlite:///tests.sqlite3"

from tripbuilder.settings import *  # noqa: E402, F403 - the environment comes first

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # logging in a test user should cost nothing
EMAIL_BACKEND = "django.core.mail.backends.locmem.EmailBackend"
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":  # noqa: F405
    # A file, so that the processes and threads a test starts see the same database with the same locking as in life.
    DATABASES["default"]["TEST"] = {"NAME": f"{tempfile.gettempdir()}/tripbuilder-tests-{os.getpid()}.sqlite3"}  # noqa: F405
if DATABASES["default"]["ENGINE"] == "django.db.backends.postgresql":  # noqa: F405
    # Nothing of a test has to outlive a power cut, and a commit that waits for the disk takes most of its time.
    DATABASES["default"]["OPTIONS"]["options"] += " -c synchronous_commit=off"  # noqa: F405
WHITENOISE_AUTOREFRESH = True  # no static files were collected; looking for them at start would only warn
