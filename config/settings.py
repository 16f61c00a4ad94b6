"""Settings: every variable is read here, once, typed; `.env.example` lists them all.

A secret has no default, so that a missing one stops the start instead of running on a known value.
"""

from datetime import timedelta
from pathlib import Path
from urllib.parse import urlsplit

import environ
from csp.constants import NONE, SELF
from whitenoise.compress import Compressor

BASE_DIR = Path(__file__).resolve().parent.parent
env = environ.FileAwareEnv()
env.read_env(BASE_DIR / ".env")

# What the program writes: database, static files, logs, the simulator's world.
VAR_DIR = Path(env.str("VAR_DIR", default=str(BASE_DIR / "var"))).absolute()

SECRET_KEY = env.str("SECRET_KEY")
# The first key encrypts, all of them decrypt: put a new one in front, run `manage.py rotate_keys`, drop the old one.
CREDENTIAL_KEYS: list[str] = env.list("CREDENTIAL_KEYS")
DEBUG = env.bool("DEBUG", default=False)
# The address that a browser uses; platforms send the seller back to it after an authorisation.
SITE_URL = env.str("SITE_URL", default="http://127.0.0.1:8000").rstrip("/")
_SITE = urlsplit(SITE_URL)
# This machine may always ask, by a probe or through a proxy; the site's own host is the one others use.
ALLOWED_HOSTS: list[str] = [
    *env.list("ALLOWED_HOSTS", default=[_SITE.netloc.removesuffix(f":{_SITE.port}")] if _SITE.hostname else []),
    "127.0.0.1",
    "localhost",
    "[::1]",
]
CSRF_TRUSTED_ORIGINS: list[str] = env.list(
    "CSRF_TRUSTED_ORIGINS", default=[f"{_SITE.scheme}://{_SITE.netloc}"] if _SITE.hostname else []
)

INSTALLED_APPS = [
    "config.apps.EvenshelfAdminConfig",
    "config.apps.FrameConfig",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "whitenoise.runserver_nostatic",
    "config.apps.StaticConfig",
    "csp",
    "django_q",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "catalog",
    "monitoring",
    "integrations",
    "axes",
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "whitenoise.middleware.WhiteNoiseMiddleware",
    "csp.middleware.CSPMiddleware",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.locale.LocaleMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "axes.middleware.AxesMiddleware",
]

ROOT_URLCONF = "config.urls"
WSGI_APPLICATION = "config.wsgi.application"
AUTH_USER_MODEL = "catalog.User"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
LOGIN_URL = "admin:login"

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
            "builtins": ["django.templatetags.i18n", "django.templatetags.static", "config.templatetags.evenshelf"],
        },
    }
]

# One URL decides: sqlite:///var/evenshelf.sqlite3 on one machine, postgres://… when there are several.
DATABASES = {"default": env.db("DATABASE_URL", default=f"sqlite:///{VAR_DIR / 'evenshelf.sqlite3'}")}
DATABASES["default"]["CONN_MAX_AGE"] = 600
DATABASES["default"]["CONN_HEALTH_CHECKS"] = True
if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # IMMEDIATE takes the write lock when a transaction begins: a later upgrade of a read lock would fail at once.
    DATABASES["default"]["OPTIONS"] = {
        "transaction_mode": "IMMEDIATE",
        "timeout": 20,
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
    }
else:
    # A database host that swallows packets must not hold up the watchdog for minutes.
    DATABASES["default"].setdefault("OPTIONS", {}).setdefault("connect_timeout", 10)

REDIS_URL = env.str("REDIS_URL", default="")
CACHES = {
    "default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": REDIS_URL}
    if REDIS_URL
    else {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "evenshelf_cache"},
    # What nobody else reads stays out of the database: each cluster notes its own state twice a second, and each
    # process remembers what was dear to count.
    "process": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache", "LOCATION": "process"},
}

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": "django.contrib.auth.password_validation.UserAttributeSimilarityValidator"},
    {"NAME": "django.contrib.auth.password_validation.MinimumLengthValidator", "OPTIONS": {"min_length": 10}},
    {"NAME": "django.contrib.auth.password_validation.CommonPasswordValidator"},
    {"NAME": "django.contrib.auth.password_validation.NumericPasswordValidator"},
]

# A user name with this many failed sign-ins from one address is not looked at from there until the time is over.
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "config.backends.RolesBackend"]
AXES_FAILURE_LIMIT = 5
AXES_COOLOFF_TIME = timedelta(minutes=15)
AXES_LOCKOUT_PARAMETERS = [["username", "ip_address"]]
AXES_RESET_ON_SUCCESS = True
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_CLIENT_IP_CALLABLE = "config.sign_in.client_address"
AXES_USERNAME_CALLABLE = "config.sign_in.user_name"
AXES_LOCKOUT_CALLABLE = "config.sign_in.locked_out"
AXES_ENABLE_ADMIN = False
AXES_DISABLE_ACCESS_LOG = True  # the audit log has it

LANGUAGE_CODE = env.str("LANGUAGE_CODE", default="en")
LANGUAGES = [("en", "English"), ("zh-hans", "简体中文")]
LOCALE_PATHS = [BASE_DIR / "config" / "locale"]
USE_I18N = True
USE_TZ = True
TIME_ZONE = env.str("TIME_ZONE", default="Asia/Shanghai")

STATIC_URL = "static/"
STATIC_ROOT = VAR_DIR / "static"
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {
        "BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"
        if DEBUG
        else "whitenoise.storage.CompressedManifestStaticFilesStorage"
    },
}

# Source maps are megabytes that only a developer's browser ever asks for.
WHITENOISE_SKIP_COMPRESS_EXTENSIONS = (*Compressor.SKIP_COMPRESS_EXTENSIONS, "map")

# Cookies and redirects tighten as soon as the site is served over HTTPS.
HTTPS = SITE_URL.startswith("https://")
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = HTTPS
SECURE_SSL_REDIRECT = env.bool("SECURE_SSL_REDIRECT", default=HTTPS)
SECURE_HSTS_SECONDS = env.int("SECURE_HSTS_SECONDS", default=31_536_000 if HTTPS else 0)
BEHIND_PROXY = env.bool("BEHIND_PROXY", default=False)
SECURE_PROXY_SSL_HEADER = ("HTTP_X_FORWARDED_PROTO", "https") if BEHIND_PROXY else None
SECURE_REDIRECT_EXEMPT = [r"^healthz$", r"^readyz$", r"^metrics$"]  # probes speak plain HTTP, from inside
SECURE_REFERRER_POLICY = "same-origin"
SESSION_COOKIE_HTTPONLY = True
SESSION_COOKIE_SAMESITE = "Lax"
X_FRAME_OPTIONS = "DENY"
CONTENT_SECURITY_POLICY = {
    "DIRECTIVES": {
        "default-src": [NONE],
        "script-src": [SELF],
        "style-src": [SELF],
        "img-src": [SELF, "data:"],
        "font-src": [SELF],
        "connect-src": [SELF],
        "form-action": [SELF],
        "base-uri": [NONE],
        "frame-ancestors": [NONE],
        "object-src": [NONE],
    }
}

# Work engine. `retry` is above `timeout`: a task that still runs is never handed out twice. Slices take 20 s at most.
WORK_SLICE_SECONDS = env.int("WORK_SLICE_SECONDS", default=20)
WORKERS = env.int("WORKERS", default=2)
_CLUSTER = {
    "workers": WORKERS,
    "timeout": 120,
    "retry": 600,
    "max_attempts": 1,
    "ack_failures": True,
    "queue_limit": WORKERS,
    "bulk": 1,
    "save_limit": -1,
    "recycle": 500,
    "max_rss": 400_000,
    "catch_up": False,
    "poll": 0.5,
    "label": "Queue",
    "cache": "process",
}
Q_CLUSTER = {
    **_CLUSTER,
    "name": "bulk",
    "orm": "default",
    "ALT_CLUSTERS": {"interactive": {**_CLUSTER, "name": "interactive"}},
}
# A cluster that has not taken up a task for this long is sent one, to see whether it does.
HEARTBEAT_SECONDS = env.int("HEARTBEAT_SECONDS", default=60)
# Seconds without a heartbeat after which a cluster counts as frozen and is restarted. More than a task may take.
HEARTBEAT_STALE_SECONDS = env.int("HEARTBEAT_STALE_SECONDS", default=150)
# What a cluster gets to finish its tasks when it is told to stop; what was cut off is claimed again later.
WORK_STOP_SECONDS = env.int("WORK_STOP_SECONDS", default=10)

# Talking to platforms.
HTTP_CONNECT_TIMEOUT_SECONDS = env.float("HTTP_CONNECT_TIMEOUT_SECONDS", default=5.0)
HTTP_READ_TIMEOUT_SECONDS = env.float("HTTP_READ_TIMEOUT_SECONDS", default=20.0)
HTTP_TOTAL_TIMEOUT_SECONDS = env.float("HTTP_TOTAL_TIMEOUT_SECONDS", default=30.0)
HTTP_PROXY_URL = env.str("HTTP_PROXY_URL", default="")
# Base URLs lead to public hosts by https, or to this machine; names or addresses listed here are exempt from that.
# Messages lead to public hosts only; this machine counts as private for them. "name:port" allows one port.
ALLOWED_PRIVATE_HOSTS: list[str] = env.list("ALLOWED_PRIVATE_HOSTS", default=[])
# Mail leaves through smtp://, smtp+tls:// (STARTTLS) or smtp+ssl:// user:password@host:port; without one none is sent.
_MAIL = env.email_url("EMAIL_URL", default="smtp://")
EMAIL_HOST = _MAIL["EMAIL_HOST"] or ""
EMAIL_HOST_USER = _MAIL["EMAIL_HOST_USER"] or ""
EMAIL_HOST_PASSWORD = _MAIL["EMAIL_HOST_PASSWORD"] or ""
EMAIL_USE_TLS = _MAIL.get("EMAIL_USE_TLS", False)
EMAIL_USE_SSL = _MAIL.get("EMAIL_USE_SSL", False)
EMAIL_PORT = _MAIL["EMAIL_PORT"] or (465 if EMAIL_USE_SSL else 587 if EMAIL_USE_TLS else 25)
EMAIL_TIMEOUT = env.float("EMAIL_TIMEOUT_SECONDS", default=20.0)
DEFAULT_FROM_EMAIL = env.str("DEFAULT_FROM_EMAIL", default="Evenshelf <evenshelf@localhost>")
FETCH_THREADS = env.int("FETCH_THREADS", default=32)
# A token that ends within this many days shows a badge on its channel.
TOKEN_WARNING_DAYS = env.int("TOKEN_WARNING_DAYS", default=14)

# How long history is kept; `manage.py prune` removes what is older, observations after rolling them up by day.
OBSERVATION_RETENTION_DAYS = env.int("OBSERVATION_RETENTION_DAYS", default=400)
POLL_RUN_RETENTION_DAYS = env.int("POLL_RUN_RETENTION_DAYS", default=30)
# Runs of the stock sync, with what was sent and seen; the last of each listing is kept.
SYNC_LOG_RETENTION_DAYS = env.int("SYNC_LOG_RETENTION_DAYS", default=30)
# After their end; one whose condition lasts is kept.
ALERT_RETENTION_DAYS = env.int("ALERT_RETENTION_DAYS", default=365)

# The demo world's two accounts; only `manage.py demo` reads them.
DEMO_STAFF_PASSWORD = env.str("DEMO_STAFF_PASSWORD", default="")
DEMO_MANAGER_PASSWORD = env.str("DEMO_MANAGER_PASSWORD", default="")
SIMULATOR_URL = env.str("SIMULATOR_URL", default="http://127.0.0.1:8900").rstrip("/")

# A token for /metrics; without one only this machine may read it.
METRICS_TOKEN = env.str("METRICS_TOKEN", default="")

# The read API: how many requests a minute one key may send; a tenth of them at once.
API_REQUESTS_PER_MINUTE = env.int("API_REQUESTS_PER_MINUTE", default=600)
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "config.api.authentication.KeyAuthentication",
        "config.api.authentication.StaffSession",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["config.api.authentication.MayRead"],
    "DEFAULT_THROTTLE_CLASSES": ["config.api.throttling.KeyThrottle"],
    "DEFAULT_RENDERER_CLASSES": ["config.api.rendering.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": [],
    "DEFAULT_FILTER_BACKENDS": ["config.api.filters.Filters"],
    "DEFAULT_SCHEMA_CLASS": "config.api.schema.ResourceSchema",
    "DEFAULT_METADATA_CLASS": None,
    "EXCEPTION_HANDLER": "config.api.problems.answer_exception",
    "URL_FORMAT_OVERRIDE": None,
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Evenshelf",
    "VERSION": "1",
    "OAS_VERSION": "3.1.0",
    "SCHEMA_PATH_PREFIX": "/api/v1",
    "SERVE_INCLUDE_SCHEMA": False,
    "SERVE_PERMISSIONS": ["config.api.authentication.MayRead"],
    "POSTPROCESSING_HOOKS": ["drf_spectacular.hooks.postprocess_schema_enums", "config.api.schema.add_problem"],
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "ENUM_NAME_OVERRIDES": {
        "SkuStatus": "catalog.models.Sku.Status",
        "AlertStatus": "monitoring.models.Alert.Status",
        "AlertKind": "monitoring.models.AlertKind",
    },
}

DEFAULT_EXCEPTION_REPORTER_FILTER = "config.error_pages.HideValues"
LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "filters": {"mask_secrets": {"()": "config.logs.MaskSecrets"}},
    "formatters": {"line": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {
        "console": {"class": "logging.StreamHandler", "formatter": "line", "filters": ["mask_secrets"]},
        "nowhere": {"class": "logging.NullHandler", "filters": ["mask_secrets"]},
    },
    "root": {"handlers": ["console"], "level": env.str("LOG_LEVEL", default="INFO")},
    "loggers": {
        "django-q": {"level": "WARNING"},  # at INFO it writes four lines per task
        "axes": {"level": "ERROR"},  # failed sign-ins are in the audit log
        # It writes whole addresses at DEBUG, and those of robots hold their tokens.
        "urllib3": {"level": "INFO"},
        # What it says of a failure is kept with the delivery, masked.
        "apprise": {"handlers": ["nowhere"], "level": "WARNING", "propagate": False},
        # Its own handler would write the address of an authorisation's callback as it came.
        "django.server": {"handlers": ["console"], "level": "INFO", "propagate": False},
    },
}
