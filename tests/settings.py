"""Settings of a test run: the product's own, with secrets and a database of the run."""

import os

os.environ.setdefault("SECRET_KEY", "tests-only")
os.environ.setdefault("CREDENTIAL_KEYS", "MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDE=")
os.environ.setdefault("DATABASE_URL", "sqlite:///var/tests.sqlite3")

from config.settings import *  # noqa: F403
from config.settings import STORAGES

STORAGES["staticfiles"]["BACKEND"] = "django.contrib.staticfiles.storage.StaticFilesStorage"
PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
# Static files come from where they are written, so that no test needs collectstatic first.
WHITENOISE_AUTOREFRESH = WHITENOISE_USE_FINDERS = True
