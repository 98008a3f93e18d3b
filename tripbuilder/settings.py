"""All settings, read from the environment (`.env` beside `manage.py`); `.env.example` documents each one.

Works for development with no `.env` at all and refuses to start in production without its secrets.
"""

from __future__ import annotations

import base64
import datetime as dt
import hashlib
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey
from csp import constants as csp
from django.core.exceptions import ImproperlyConfigured
from django.templatetags.static import static
from django.urls import reverse_lazy

from tripbuilder.env import (
    bucket,
    choice,
    code,
    count,
    database,
    days,
    email,
    env,
    fernet_keys,
    flag,
    http_url,
    load_dotenv,
    phone_region,
    public_keys,
    read,
    seconds,
    shared_secret,
    time_zone,
)

BASE_DIR = Path(__file__).resolve().parent.parent
load_dotenv(BASE_DIR / ".env")

DEBUG = flag("DEBUG", default=True)
SECRET_KEY = read("SECRET_KEY", env.str, default="")
if not SECRET_KEY:
    if not DEBUG:
        raise ImproperlyConfigured("SECRET_KEY is empty. With DEBUG off it must be a long random text that stays.")
    SECRET_KEY = "development-only-" + hashlib.sha256(str(BASE_DIR).encode()).hexdigest()
ALLOWED_HOSTS = read("ALLOWED_HOSTS", env.list, default=["localhost", "127.0.0.1", "[::1]"] if DEBUG else [])
CSRF_TRUSTED_ORIGINS = [f"https://{host.lstrip('.')}" for host in ALLOWED_HOSTS if not DEBUG and host != "*"]
ADMINS = [("TripBuilder", address) for address in read("ADMINS", env.list, default=[])]

# Mail to ADMINS when the sync is in trouble. With DEBUG it is printed unless a server is named.
_MAIL = email("EMAIL_URL", "consolemail://" if DEBUG else "smtp://localhost:25")
EMAIL_BACKEND, EMAIL_HOST, EMAIL_PORT = _MAIL["EMAIL_BACKEND"], _MAIL["EMAIL_HOST"] or "", _MAIL["EMAIL_PORT"] or 25
EMAIL_HOST_USER, EMAIL_HOST_PASSWORD = _MAIL["EMAIL_HOST_USER"] or "", _MAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS, EMAIL_USE_SSL = _MAIL.get("EMAIL_USE_TLS", False), _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_TIMEOUT = 10  # a mail server that hangs must not hold a sweep up for long
EMAIL_SUBJECT_PREFIX = "[TripBuilder] "
DEFAULT_FROM_EMAIL = SERVER_EMAIL = read("DEFAULT_FROM_EMAIL", env.str, default="tripbuilder@localhost")

# Field encryption: AES-256-GCM, the first key encrypts, all of them decrypt (trips/encryption.py).
FIELD_ENCRYPTION_KEYS = fernet_keys("FIELD_ENCRYPTION_KEYS")
if not FIELD_ENCRYPTION_KEYS:
    if not DEBUG:
        raise ImproperlyConfigured(
            "FIELD_ENCRYPTION_KEYS is empty. With DEBUG off passports and health records need their own key: a comma "
            "list of 32-byte keys in URL-safe base64, the first one encrypts."
        )
    FIELD_ENCRYPTION_KEYS = [base64.urlsafe_b64encode(hashlib.sha256(SECRET_KEY.encode()).digest()).decode()]

INSTALLED_APPS = [
    "unfold.apps.BasicAppConfig",
    "unfold.contrib.filters",
    "unfold.contrib.simple_history",
    "tripbuilder.apps.AdminConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django_q",
    "simple_history",
    "import_export",
    "axes",
    "django_otp",
    "csp",
    "trips",
    "ghl_sync",
    "tripbuilder",
    "tripbuilder.signin",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "tripbuilder.health.HealthChecks",
    "tripbuilder.headers.SecurityHeaders",
    "csp.middleware.CSPMiddleware",
    "tripbuilder.strangers.StrangersLimit",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "django.middleware.gzip.GZipMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django_otp.middleware.OTPMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "tripbuilder.signin.middleware.SessionLimits",
    "tripbuilder.signin.middleware.SecondFactorGate",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "tripbuilder.refusals.RefusalMiddleware",
    "axes.middleware.AxesMiddleware",
]
# The first asks django-axes whether the account is locked, the second compares the password and knows the permissions.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "tripbuilder.backends.RoleBackend"]

ROOT_URLCONF = "tripbuilder.urls"
WSGI_APPLICATION = "tripbuilder.wsgi.application"
TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BASE_DIR / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
        },
    },
]

# Without reuse each enqueue opens a new connection: 9.8 ms instead of 0.6 ms on PostgreSQL.
CONN_MAX_AGE = 60
# With Django's defaults 643 of 1,500 queue tasks failed with "database is locked"; with these none did.
SQLITE_OPTIONS = {
    "timeout": 20,
    "transaction_mode": "IMMEDIATE",
    "init_command": "PRAGMA journal_mode=WAL;PRAGMA synchronous=NORMAL;"
    "PRAGMA journal_size_limit=67108864;PRAGMA cache_size=-20000;"
    # What is deleted is overwritten: without it, it stays in free pages and every backup until other rows need those.
    "PRAGMA secure_delete=ON;",
}
DATABASES = {"default": database("DATABASE_URL", f"sqlite:///{BASE_DIR / 'tripbuilder.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = CONN_MAX_AGE
# PostgreSQL would compile long queries before it runs them: finding those of 70,000 trips that are not ready took 2.5 s
# with that and 0.07 s without. `?options=…` in the address says otherwise.
# A host that does not even refuse would hold a request, and each probe, for two minutes.
POSTGRESQL_OPTIONS = {"options": "-c jit=off", "connect_timeout": 10}
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    DATABASES["default"]["OPTIONS"] = SQLITE_OPTIONS
else:
    DATABASES["default"]["OPTIONS"] = POSTGRESQL_OPTIONS | DATABASES["default"].get("OPTIONS", {})
    DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 12}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
    {"NAME": "tripbuilder.signin.passwords.NotTheDemoOne"},
    {"NAME": "tripbuilder.signin.passwords.NotTheLastOne"},
]
LOGIN_URL = "admin:login"
LOGIN_REDIRECT_URL = "admin:index"
# required: who has no authenticator app sets one up before anything else opens.
SECOND_FACTOR = choice("SECOND_FACTOR", "optional" if DEBUG else "required", ("required", "optional"))
SESSION_IDLE_MINUTES = count("SESSION_IDLE_MINUTES", 60, most=24 * 60)
SESSION_HOURS = count("SESSION_HOURS", 12, most=30 * 24)
SESSION_COOKIE_AGE = SESSION_HOURS * 3600
# Proxies between the internet and this process, each of which adds a line to X-Forwarded-For.
PROXIES = count("PROXIES", 0, least=0, most=5)

# Lockout: by the pair, so that nobody can lock an office out by its address, or an account by its name.
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = dt.timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_LOCKOUT_CALLABLE = "tripbuilder.signin.views.locked"
AXES_CLIENT_IP_CALLABLE = "trips.client_address.client_address"
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False  # the page says how long it takes, and that stays true
AXES_ENABLE_ADMIN = False  # ours is in tripbuilder/admin.py
AXES_VERBOSE = False
# Some type their password where the name belongs, so names stay out of the log; the address is what an operator needs.
AXES_SENSITIVE_PARAMETERS = ["username", "csrfmiddlewaretoken"]

LANGUAGE_CODE = "en-us"
FORMAT_MODULE_PATH = "tripbuilder.formats"
TIME_ZONE = time_zone("TIME_ZONE", "UTC")
USE_I18N = True
USE_TZ = True

STATIC_URL = "static/"
STATIC_ROOT = BASE_DIR / "static_collected"
STATICFILES_DIRS = [BASE_DIR / "static"] if (BASE_DIR / "static").exists() else []
# Passport scans and other papers. No web server may reach this folder: a view hands its files out.
PRIVATE_ROOT = Path(read("PRIVATE_ROOT", env.str, default="") or BASE_DIR / "private")
# Or a bucket that speaks S3; what is in the folder has to be copied there by hand.
PRIVATE_BUCKET = read("PRIVATE_BUCKET", env.str, default="")
UPLOAD_MAX_MB = count("UPLOAD_MAX_MB", 15, most=500)
TESTING = "pytest" in sys.modules
STORAGES = {
    "default": {"BACKEND": "trips.storage.PrivateFolder", "OPTIONS": {"location": PRIVATE_ROOT}},
    "private": bucket(
        PRIVATE_BUCKET,
        url=http_url("PRIVATE_BUCKET_URL", ""),
        region=read("PRIVATE_BUCKET_REGION", env.str, default=""),
        key=read("PRIVATE_BUCKET_KEY", env.str, default=""),
        secret=read("PRIVATE_BUCKET_SECRET", env.str, default=""),
    )
    if PRIVATE_BUCKET
    else {
        "BACKEND": "trips.storage.PrivateFolder",
        "OPTIONS": {"location": PRIVATE_ROOT, "file_permissions_mode": 0o600, "directory_permissions_mode": 0o700},
    },
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG or TESTING
        else "whitenoise.storage.CompressedManifestStaticFilesStorage",
    },
}
WHITENOISE_USE_FINDERS = DEBUG

# Unfold's scripts evaluate what its pages say (Alpine), and its pages style single elements; without 'unsafe-eval' even
# the button of the sign-in is dead. No script stands in a page, so none that somebody smuggles into one runs.
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [csp.NONE],
        "script-src": [csp.SELF, csp.UNSAFE_EVAL],
        "style-src": [csp.SELF, csp.UNSAFE_INLINE],
        "img-src": [csp.SELF, "data:"],
        "font-src": [csp.SELF],
        "connect-src": [csp.SELF],
        "form-action": [csp.SELF],
        "base-uri": [csp.NONE],
        "frame-ancestors": [csp.NONE],
    }
}
SECURE_REFERRER_POLICY = SECURE_CROSS_ORIGIN_OPENER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_HTTPONLY = CSRF_COOKIE_HTTPONLY = True  # our scripts read the token from the page's form
SESSION_COOKIE_SAMESITE = "Lax"  # a link in a mail leads in
CSRF_COOKIE_SAMESITE = "Strict"
# Of strangers, from one address and in each web process (tripbuilder/strangers.py).
REFUSALS_PER_MINUTE = count("REFUSALS_PER_MINUTE", 60, most=100_000)
if not DEBUG:
    SECURE_SSL_REDIRECT = flag("SECURE_SSL_REDIRECT", default=True)
    SECURE_REDIRECT_EXEMPT = [r"^livez$", r"^readyz$"]  # a probe comes from inside and speaks plain http
    SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https")
    SECURE_HSTS_SECONDS = 31536000
    SECURE_HSTS_INCLUDE_SUBDOMAINS = True
    SECURE_HSTS_PRELOAD = True
    SESSION_COOKIE_SECURE = True
    CSRF_COOKIE_SECURE = True
    # With this prefix a browser takes them from this very host only, so that no sister domain can plant one.
    SESSION_COOKIE_NAME, CSRF_COOKIE_NAME = "__Host-sessionid", "__Host-csrftoken"

# The business.
TRIP_CURRENCY = code("TRIP_CURRENCY", "USD", "[A-Z]{3}", "three capital letters")
TRIP_DEPOSIT_DAYS_BEFORE = days("TRIP_DEPOSIT_DAYS_BEFORE")
TRIP_FINAL_DAYS_BEFORE = days("TRIP_FINAL_DAYS_BEFORE")
if (
    TRIP_DEPOSIT_DAYS_BEFORE is not None
    and TRIP_FINAL_DAYS_BEFORE is not None
    and TRIP_FINAL_DAYS_BEFORE > TRIP_DEPOSIT_DAYS_BEFORE
):
    raise ImproperlyConfigured(
        f"TRIP_FINAL_DAYS_BEFORE is {TRIP_FINAL_DAYS_BEFORE} and TRIP_DEPOSIT_DAYS_BEFORE {TRIP_DEPOSIT_DAYS_BEFORE}: "
        "the final payment would be due before the deposit. Give the deposit more days."
    )
PHONE_REGION = phone_region("PHONE_REGION", "US")
PASSPORT_VALIDITY_MONTHS = read("PASSPORT_VALIDITY_MONTHS", env.int, default=6)
# A form for travellers behind a link of their own: it is reached without logging in, so it is off until the office
# wants it, and files by it once more.
TRAVELLER_LINKS = flag("TRAVELLER_LINKS", default=False)
TRAVELLER_UPLOADS = flag("TRAVELLER_UPLOADS", default=False)
TRAVELLER_LINK_DAYS = count("TRAVELLER_LINK_DAYS", 14, most=60)

# Days after a trip's end after which data is taken away, kind by kind; None keeps it.
_CENTURY = 36_500
RETENTION_HEALTH_DAYS = days("RETENTION_HEALTH_DAYS", most=_CENTURY)
RETENTION_SCAN_DAYS = days("RETENTION_SCAN_DAYS", most=_CENTURY)
RETENTION_PAPER_DAYS = days("RETENTION_PAPER_DAYS", most=_CENTURY)
RETENTION_FORM_DAYS = days("RETENTION_FORM_DAYS", most=_CENTURY)
RETENTION_MAIL_DAYS = days("RETENTION_MAIL_DAYS", most=_CENTURY)
RETENTION_LIST_DAYS = days("RETENTION_LIST_DAYS", most=_CENTURY)
# Of entries of the read log, after they were written.
RETENTION_READ_LOG_DAYS = days("RETENTION_READ_LOG_DAYS", most=_CENTURY)
# Where offices print on letter paper; A4 everywhere else.
_LETTER = {"US", "CA", "MX", "PH", "CO", "VE", "CL", "DO", "GT", "CR", "SV", "HN", "NI", "PA", "PR"}
REPORT_PAPER = choice("REPORT_PAPER", "letter" if PHONE_REGION in _LETTER else "a4", ("a4", "letter"))

# GoHighLevel. Empty token or location: the product works, nothing is sent or fetched, and pages say so.
GHL_LIVE_URL = "https://services.leadconnectorhq.com"
GHL_API_TOKEN = read("GHL_API_TOKEN", env.str, default="")
GHL_LOCATION_ID = read("GHL_LOCATION_ID", env.str, default="")
GHL_API_BASE_URL = http_url("GHL_API_BASE_URL", GHL_LIVE_URL)
GHL_APP_URL = http_url("GHL_APP_URL", "https://app.gohighlevel.com")
GHL_TRIP_PIPELINE = read("GHL_TRIP_PIPELINE", env.str, default="TripBooking")
GHL_PASSENGER_PIPELINE = read("GHL_PASSENGER_PIPELINE", env.str, default="Passenger")
GHL_FALLBACK_CONTACT_EMAIL = read("GHL_FALLBACK_CONTACT_EMAIL", env.str, default="")
GHL_SETTLE_SECONDS = seconds("GHL_SETTLE_SECONDS", 180)
GHL_DELETE_HOLD_SECONDS = seconds("GHL_DELETE_HOLD_SECONDS", 600)
GHL_TIMEOUT_SECONDS = seconds("GHL_TIMEOUT_SECONDS", 20, least=0.1)
GHL_CALLS_IN_FLIGHT = count("GHL_CALLS_IN_FLIGHT", 4, most=32)
GHL_WAIT_SCALE = seconds("GHL_WAIT_SCALE", 1.0)
GHL_COPY_FILES = flag("GHL_COPY_FILES", default=True)
GHL_FILE_SECONDS = seconds("GHL_FILE_SECONDS", 60, least=1)
GHL_FILE_HOSTS = read(
    "GHL_FILE_HOSTS",
    env.list,
    default=["services.leadconnectorhq.com", "storage.googleapis.com", "assets.cdn.filesafe.space"],
)
GHL_MIRROR_SENSITIVE = choice("GHL_MIRROR_SENSITIVE", "ask", ("ask", "both", "pull", "push", "off"))

# Webhooks. The default key is the one that HighLevel publishes for all apps of its marketplace (API notes §10).
GHL_WEBHOOK_PUBLIC_KEYS = public_keys(
    "GHL_WEBHOOK_PUBLIC_KEYS",
    Ed25519PublicKey,
    ("MCowBQYDK2VwAyEAi2HR1srL4o18O8BRa7gVJY7G7bupbN3H9AwJrHCDiOg=",),
)
GHL_WEBHOOK_RSA = public_keys("GHL_WEBHOOK_RSA", RSAPublicKey)
GHL_WEBHOOK_SECRET = shared_secret("GHL_WEBHOOK_SECRET")

# The queue. A convenience, never the guarantee: what it loses the sweep finds. `retry` exceeds
# timeout * (1 + ceil((queue_limit + bulk) / workers)), counted from dequeue, as django-q2 needs.
REDIS_URL = read("REDIS_URL", env.str, default="")
Q_CLUSTER: dict[str, object] = {
    "name": "tripbuilder",
    "workers": 2,
    "queue_limit": 1,
    "bulk": 1,
    "timeout": 90,
    "retry": 300,
    "max_attempts": 1,
    "ack_failures": True,
    "catch_up": False,
    "save_limit": -1,
    "recycle": 200,
    "poll": 0.2,
    "label": "Queue",
}
if REDIS_URL:
    Q_CLUSTER["broker_class"] = "tripbuilder.broker.ImpatientRedis"
else:
    Q_CLUSTER["orm"] = "default"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {
        "line": {"()": "tripbuilder.logs.Discreet", "format": "{asctime} {levelname} {name}: {message}", "style": "{"}
    },
    "handlers": {"console": {"class": "logging.StreamHandler", "formatter": "line"}},
    "root": {"handlers": ["console"], "level": read("LOG_LEVEL", env.str, default="INFO").upper()},
    "loggers": {
        "django": {
            "handlers": [],
            "level": "INFO",
        },  # its own would mail a failed request, with what was typed, to ADMINS
        "django.server": {"level": "WARNING"},
        # A refused address is told by tripbuilder.refusals, with its numbers; as it was typed it may hold a name.
        "django.request": {"level": "ERROR"},
    },
}

UNFOLD: dict[str, Any] = {
    "SITE_TITLE": "TripBuilder",
    "SITE_HEADER": "TripBuilder",
    "SITE_SUBHEADER": "Group travel back office",
    "SITE_SYMBOL": "luggage",
    "SITE_URL": None,
    "SHOW_HISTORY": True,
    "SHOW_VIEW_ON_SITE": False,
    "STYLES": [lambda _request: static("shell.css")],
    "SCRIPTS": [lambda _request: static("shell.js")],
    "GLOBAL_CALLBACK": "ghl_sync.admin.account.page_context",
    "COLORS": {
        "primary": {
            "50": "#effaf8",
            "100": "#d6f1ec",
            "200": "#b0e3da",
            "300": "#7fcdc2",
            "400": "#4cb0a5",
            "500": "#2f948a",
            "600": "#1f766f",
            "700": "#1c5f5a",
            "800": "#1b4c49",
            "900": "#1a403d",
            "950": "#092524",
        }
    },
    "LOGIN": {"form": "tripbuilder.signin.forms.SignInForm"},
    "ACCOUNT": {"navigation": [{"title": "My sign-ins", "link": reverse_lazy("signin:mine")}]},
    "SIDEBAR": {"show_search": True, "show_all_applications": False, "navigation": []},
}


def _page(title: str, icon: str, url_name: str, *models: str) -> dict[str, object]:
    """An entry for whoever may view or change one of these models ("trips.trip")."""
    names = [model.split(".") for model in models]
    wanted = [f"{app}.{verb}_{name}" for app, name in names for verb in ("view", "change")]
    return {
        "title": title,
        "icon": icon,
        "link": reverse_lazy(url_name),
        "permission": lambda request: any(request.user.has_perm(name) for name in wanted),
    }


def _sees_every(*models: str) -> Callable[[Any], bool]:
    """For an entry that speaks of all trips: the same, of those who see every one."""
    may: Any = _page("", "", "", *models)["permission"]
    return lambda request: request.user.has_perm("trips.see_every_trip") and may(request)


def _is_passengers(request: Any) -> bool:
    """The work list and the board stand below the passengers' address and have entries of their own."""
    here = request.path.removeprefix(str(reverse_lazy("admin:trips_passenger_changelist")))
    return here != request.path and not here.startswith(("unlinked/", "board/"))


def _is_contacts(request: Any) -> bool:
    """The work list of duplicates stands below the contacts' address."""
    here = request.path.removeprefix(str(reverse_lazy("admin:trips_contact_changelist")))
    return here != request.path and not here.startswith("duplicates/")


def _is_trips(request: Any) -> bool:
    """Board and calendar stand below the trips' address."""
    here = request.path.removeprefix(str(reverse_lazy("admin:trips_trip_changelist")))
    return here != request.path and not here.startswith(("board/", "calendar/"))


def _is_board(request: Any) -> bool:
    """Either of the two."""
    return request.path in {str(reverse_lazy(f"admin:trips_{name}_board")) for name in ("trip", "passenger")}


def _is_reports(request: Any) -> bool:
    """A trip's own reports stand below the trip."""
    return request.path.startswith(str(reverse_lazy("trips:office_reports")))


def _is_synced_records(request: Any) -> bool:
    """The desk, doubles, questions and deletes not sent yet have addresses below the synced records'."""
    here = request.path.removeprefix(str(reverse_lazy("admin:ghl_sync_link_changelist")))
    return here != request.path and not here.startswith(("desk/", "doubles/", "approvals/", "deleted/"))


UNFOLD["SIDEBAR"]["navigation"] = [
    {
        "title": "Work",
        "items": [
            _page("Trips", "luggage", "admin:trips_trip_changelist", "trips.trip") | {"active": _is_trips},
            _page("Board", "view_kanban", "admin:trips_trip_board", "trips.trip") | {"active": _is_board},
            _page("Calendar", "calendar_month", "admin:trips_trip_calendar", "trips.trip"),
            _page("Passengers", "airline_seat_recline_normal", "admin:trips_passenger_changelist", "trips.passenger")
            | {"active": _is_passengers},
            _page("Contacts", "contacts", "admin:trips_contact_changelist", "trips.contact") | {"active": _is_contacts},
            _page("Duplicates", "group_remove", "admin:trips_contact_duplicates", "trips.contact")
            | {"badge": "trips.admin.merging.sidebar_count", "permission": _sees_every("trips.contact")},
            _page("Vendors", "storefront", "admin:trips_vendor_changelist", "trips.vendor"),
            _page("Payments", "payments", "admin:trips_payment_changelist", "trips.payment"),
            _page("Documents", "description", "admin:trips_document_changelist", "trips.document"),
            _page("Traveller forms", "assignment_ind", "admin:trips_travellerform_changelist", "trips.travellerform")
            | {"permission": "trips.admin.traveller_forms.has_forms"},
            _page("Licences", "verified", "admin:trips_licence_changelist", "trips.licence"),
            _page("Reports", "summarize", "trips:office_reports")
            | {"permission": "trips.views.has_office_reports", "active": _is_reports},
        ],
    },
    {
        "title": "GoHighLevel",
        "items": [
            _page("Sync desk", "dashboard", "admin:ghl_sync_desk", "ghl_sync.link"),
            _page("Issues", "report", "admin:ghl_sync_issue_changelist", "ghl_sync.issue"),
            _page("Conflicts", "call_split", "admin:ghl_sync_conflict_changelist", "ghl_sync.conflict"),
            _page("Doubles", "content_copy", "admin:ghl_sync_doubles", "trips.trip", "trips.passenger", "trips.contact")
            | {"permission": _sees_every("trips.trip", "trips.passenger", "trips.contact")},
            _page("Not linked to a trip", "link_off", "admin:trips_passenger_unlinked", "trips.passenger")
            | {"permission": _sees_every("trips.passenger")},
            _page("Differences", "compare_arrows", "admin:ghl_sync_drift_changelist", "ghl_sync.drift"),
            _page("Synced records", "sync", "admin:ghl_sync_link_changelist", "ghl_sync.link")
            | {"active": _is_synced_records},
            _page("Field rules", "rule", "admin:ghl_sync_fieldrule_changelist", "ghl_sync.fieldrule"),
            _page("Fields and drop-downs", "list_alt", "admin:ghl_sync_remotefield_changelist", "ghl_sync.remotefield"),
            _page("Fetches and comparisons", "cloud_download", "admin:ghl_sync_run_changelist", "ghl_sync.run"),
            _page("Webhooks", "notifications", "admin:ghl_sync_webhookevent_changelist", "ghl_sync.webhookevent"),
        ],
    },
    {
        "title": "Administration",
        "items": [
            _page("Reminders", "outgoing_mail", "admin:trips_reminder_changelist", "trips.reminder"),
            _page("Batches", "undo", "admin:trips_batch_changelist", "trips.batch"),
            _page("Runs of papers", "print", "admin:trips_paperrun_changelist", "trips.paperrun"),
            _page("Paper templates", "edit_document", "admin:trips_papertemplate_changelist", "trips.papertemplate"),
            _page("Read log", "visibility", "admin:trips_readentry_changelist", "trips.readentry"),
            _page("Erasures", "delete_forever", "admin:trips_erasure_changelist", "trips.erasure"),
            _page("Users", "group", "admin:auth_user_changelist", "auth.user"),
            _page("Groups", "shield_person", "admin:auth_group_changelist", "auth.group"),
            _page("Wrong passwords", "lock", "admin:axes_accessattempt_changelist", "axes.accessattempt"),
        ],
    },
]
