# syntax=docker/dockerfile:1
# The versions are those that the tests ran on; change Python and PostgreSQL's client together with compose.yaml.
FROM python:3.11-slim-bookworm AS packages
WORKDIR /app
COPY requirements.txt requirements-s3.txt ./
RUN python -m venv /venv
RUN /venv/bin/pip install --no-cache-dir --disable-pip-version-check -r requirements.txt -r requirements-s3.txt

FROM python:3.11-slim-bookworm
# pg_dump and pg_restore of the server's version, for manage.py backup and restore.
RUN apt-get update \
    && apt-get install -y --no-install-recommends postgresql-client-15 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --system --uid 10001 --create-home tripbuilder \
    && install -d -o tripbuilder -g tripbuilder /data /data/private /data/backups
COPY --from=packages /venv /venv
WORKDIR /app
COPY . .
ENV PATH=/venv/bin:$PATH PYTHONUNBUFFERED=1 PYTHONDONTWRITEBYTECODE=1 DEBUG=false PRIVATE_ROOT=/data/private
# These secrets open nothing: they live for this one command, which only needs some.
RUN SECRET_KEY=for-this-step-only FIELD_ENCRYPTION_KEYS=AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA= \
    DATABASE_URL=sqlite:///:memory: python manage.py collectstatic --no-input
USER tripbuilder
VOLUME /data
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=5s --start-period=30s \
    CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/livez', timeout=4)"]
CMD ["gunicorn", "tripbuilder.wsgi", "--bind", "0.0.0.0:8000", "--workers", "2", "--no-control-socket"]
