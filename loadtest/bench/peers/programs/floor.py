"""The floor: a bare WSGI callable that answers a constant, whatever is asked."""

BODY = b'{"duration":12.345678901234567,"model_version":"0123456789abcdef0123456789abcdef"}'
HEADERS = [("Content-Type", "application/json"), ("Content-Length", str(len(BODY)))]


def application(environ, start_response):
    """PEP 3333."""
    environ["wsgi.input"].read()
    start_response("200 OK", HEADERS)
    return [BODY]
