"""A site of one file whose sessions live in a groupstore: `python django_site.py runserver`."""

import os
import sys

from django.conf import settings
from django.core.management import execute_from_command_line
from django.core.wsgi import get_wsgi_application
from django.http import HttpRequest, JsonResponse
from django.urls import path

CACHES = {
    "default": {
        "BACKEND": "groupstore_django.Cache",
        "LOCATION": os.environ.get("GROUPSTORE_PATH", "django.db"),
        "OPTIONS": {"cache_size": 16 * 1024 * 1024},
    }
}
SESSION_ENGINE = "django.contrib.sessions.backends.cache"
SESSION_COOKIE_AGE = 7 * 24 * 3600

settings.configure(
    DEBUG=True,
    SECRET_KEY="for this example only",
    ALLOWED_HOSTS=["localhost", "127.0.0.1", "testserver"],
    ROOT_URLCONF=__name__,
    MIDDLEWARE=["django.contrib.sessions.middleware.SessionMiddleware"],
    CACHES=CACHES,
    SESSION_ENGINE=SESSION_ENGINE,
    SESSION_COOKIE_AGE=SESSION_COOKIE_AGE,
)


def visits(request: HttpRequest) -> JsonResponse:
    request.session["visits"] = request.session.get("visits", 0) + 1
    return JsonResponse({"visits": request.session["visits"]})


urlpatterns = [path("", visits)]

application = get_wsgi_application()

if __name__ == "__main__":
    execute_from_command_line(sys.argv)
