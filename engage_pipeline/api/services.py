"""What the endpoints work with, made once for each process."""

from dataclasses import dataclass

from engage_pipeline.analytics.marts import OpenWarehouse
from engage_pipeline.api.health import HealthCheck
from engage_pipeline.api.metrics import Metrics
from engage_pipeline.api.rate_limits import RateLimits
from engage_pipeline.api.remembered import Remembered
from engage_pipeline.api.sessions import TenantDatabase
from engage_pipeline.api.tokens import TokenVerifier
from engage_pipeline.settings import Settings


@dataclass(frozen=True)
class Services:
    """Shared by all requests."""

    settings: Settings
    database: TenantDatabase
    verifier: TokenVerifier
    rate_limits: RateLimits
    metrics: Metrics
    health: HealthCheck
    warehouse: OpenWarehouse
    counts: Remembered
