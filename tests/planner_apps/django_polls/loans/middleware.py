import logging
import time

logger = logging.getLogger(__name__)


class ReaderMiddleware:
    """Puts the reader's card number on the request."""

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        request.card = request.headers.get("X-Card", "")
        response = self.get_response(request)
        response["X-Card"] = request.card
        return response

    def process_exception(self, request, exception):
        logger.error("%s failed for card %s", request.path, request.card)


def slow_requests(get_response):
    def middleware(request):
        started = time.perf_counter()
        response = get_response(request)
        if time.perf_counter() - started > 1:
            logger.warning("%s was slow", request.path)
        return response

    return middleware
