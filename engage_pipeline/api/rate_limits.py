"""How many requests a token and an address may send, by the library `limits`, counted in this process."""

import math
import time

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from engage_pipeline.api.errors import TooManyRequests
from engage_pipeline.settings import Settings


class RateLimits:
    """Counters of the last minute, by token and by address."""

    def __init__(self, settings: Settings) -> None:
        self._limiter = SlidingWindowCounterRateLimiter(MemoryStorage())
        self._of_token = RateLimitItemPerMinute(settings.api_token_requests_per_minute)
        self._of_address = RateLimitItemPerMinute(settings.api_address_requests_per_minute)

    def count_token(self, token_id: str) -> None:
        """Count a request with the token.

        Raises:
            TooManyRequests: it has used up its share of the minute.
        """
        self._count(self._of_token, "token", token_id, "with this token")

    def count_address(self, address: str) -> None:
        """Count a request from the address.

        Raises:
            TooManyRequests: it has used up its share of the minute.
        """
        self._count(self._of_address, "address", address, "from this address")

    def _count(self, limit: RateLimitItemPerMinute, kind: str, who: str, words: str) -> None:
        if not self._limiter.hit(limit, kind, who):
            reset_at = self._limiter.get_window_stats(limit, kind, who).reset_time
            raise TooManyRequests(words, retry_after_seconds=max(1, math.ceil(reset_at - time.time())))
