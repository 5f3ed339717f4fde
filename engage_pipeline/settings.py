"""Environment and defaults. Every setting is `ENGAGE_<NAME>`; docs/operations.md lists them all."""

from functools import lru_cache
from pathlib import Path
from typing import Annotated, Literal

from pydantic import AfterValidator, Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

PROJECT_ROOT = Path(__file__).resolve().parent.parent


class Settings(BaseSettings):
    """What an installation can change without changing code. Times are in seconds unless a name says otherwise."""

    model_config = SettingsConfigDict(env_prefix="ENGAGE_", extra="ignore", frozen=True)

    # Absolute, because the processes of an installation do not share a working directory.
    home: Annotated[Path, AfterValidator(Path.absolute)] = PROJECT_ROOT / ".engage"
    """Where the embedded server, the inbox, the warehouse, the sandbox's record and the logs live."""

    database_url: str | None = None
    """A PostgreSQL of your own, `postgresql://...`; empty means the embedded server under `home`."""

    api_database_url: str | None = None
    """The same database for the role `engage_api`; empty: as `database_url`, without a password."""

    sandbox_url: str = "http://127.0.0.1:8900"
    """Base address of the sandbox providers."""

    webhook_port: Annotated[int, Field(ge=1, le=65535)] = 8901
    """Port of the webhook application, and of the API beside it, on 127.0.0.1."""

    public_url: str = "http://127.0.0.1:8901"
    """Address under which providers and recipients reach the webhook application: your proxy's, once it is public."""

    trusted_proxies: str = "none"
    """Addresses of the proxies whose X-Forwarded-For is believed, comma separated."""

    jwt_algorithm: Literal["HS256", "RS256", "ES256"] = "HS256"
    """The one algorithm with which tokens of the API are signed; a token that names another is refused."""

    jwt_secret: SecretStr | None = None
    """The secret of HS256, 32 bytes or more; empty: `jwt.secret` under `home`, if `engage dev` has made it."""

    # Absolute for the same reason.
    jwt_public_key: Annotated[Path, AfterValidator(Path.absolute)] | None = None
    """PEM file with the public key of RS256 or ES256."""

    jwt_jwks_url: str | None = None
    """Address of the key set of RS256 or ES256, in place of a file; https, or http on this machine."""

    jwt_issuer: str = "engage"
    """The `iss` that tokens must have."""

    jwt_audience: str = "engage-api"
    """The `aud` that tokens must have."""

    cors_origins: str = "none"
    """Origins of web applications that may use the API from a browser, comma separated."""

    api_token_requests_per_minute: Annotated[int, Field(ge=1)] = 600
    """Requests to the API with one token."""

    api_address_requests_per_minute: Annotated[int, Field(ge=1)] = 1200
    """Requests to the API from one address, with a token or without."""

    api_body_bytes: Annotated[int, Field(ge=1024)] = 5_242_880
    """The largest body of a request to the API, but for uploads."""

    api_upload_bytes: Annotated[int, Field(ge=1024)] = 1_073_741_824
    """The largest lead file that the API takes."""

    api_receive_seconds: Annotated[float, Field(gt=0)] = 15
    """How long a request to the API may send nothing of its body."""

    api_statement_seconds: Annotated[float, Field(gt=0)] = 10
    """The longest that one statement of the API may take in the database."""

    api_connections: Annotated[int, Field(ge=1)] = 10
    """Connections of the API to the database, and requests that it works at side by side."""

    dagster_port: Annotated[int, Field(ge=1, le=65535)] = 3000
    """Port of the Dagster UI in `engage dev`, on 127.0.0.1."""

    batch_size: Annotated[int, Field(ge=1)] = 2500
    """Contacts or due actions in one micro-batch."""

    max_open_batches: Annotated[int, Field(ge=1)] = 8
    """Micro-batches of one kind that may be waiting or running; the rest of the work stays where it is."""

    max_concurrent_runs: Annotated[int, Field(ge=1)] = 2
    """Dagster runs at once. A run worker is one process and mostly waits for providers."""

    lease_seconds: Annotated[float, Field(gt=0)] = 30
    """How long a run may be silent before its work is given to another attempt."""

    start_timeout_seconds: Annotated[float, Field(gt=0)] = 300
    """How long a requested run may take to begin before another is requested."""

    max_attempts: Annotated[int, Field(ge=1)] = 5
    """Runs that may die on one micro-batch or upload before it is marked failed."""

    chunk_size: Annotated[int, Field(ge=1)] = 100
    """Actions claimed in one transaction; four such chunks are what a crash can leave unresolved at the most."""

    send_seconds: Annotated[float, Field(gt=0)] = 10
    """After its claim an action's call must begin within this time, or it is not sent by that run."""

    request_timeout_seconds: Annotated[float, Field(gt=0)] = 15
    """The longest a provider may take to answer one call."""

    max_send_attempts: Annotated[int, Field(ge=1)] = 5
    """Sends of one action that a provider may put off before the action fails, where its channel has no own limit."""

    max_send_attempts_ai_call: Annotated[int, Field(ge=0)] = 0
    """The same for calls; 0: as above."""

    max_send_attempts_whatsapp_message: Annotated[int, Field(ge=0)] = 0
    """The same for WhatsApp messages; 0: as above."""

    max_send_attempts_email: Annotated[int, Field(ge=0)] = 0
    """The same for e-mails; 0: as above."""

    sensor_wait_seconds: Annotated[float, Field(ge=0, le=30)] = 9
    """How long a sensor tick waits for work to be announced. Dagster begins one every five seconds, unless the last one
    still waits; somewhat less than a multiple of five leaves the least time between two."""

    upload_settle_seconds: Annotated[float, Field(ge=0)] = 2
    """A file in the inbox must have been left alone this long: whoever copies it there may still be writing."""

    warehouse_interval_seconds: Annotated[int, Field(ge=1)] = 60
    """The warehouse is rebuilt at most this often."""

    keep_rejected_rows_days: Annotated[int, Field(ge=1)] = 90
    """How long a rejected row keeps what it said, so that it can be mended."""

    keep_files_days: Annotated[int, Field(ge=1)] = 90
    """How long a lead file that is loaded or refused is kept."""

    keep_requests_days: Annotated[int, Field(ge=1)] = 365
    """How long an action log keeps its request, and what was said, such as a transcript."""

    keep_provider_events_days: Annotated[int, Field(ge=1)] = 30
    """How long an applied event of a provider keeps its body."""

    keep_api_answers_hours: Annotated[int, Field(ge=1)] = 24
    """How long the API gives the same answer again to a request that repeats its Idempotency-Key."""

    def send_limit(self, channel: str) -> int:
        """How often one action of the channel may be sent before it fails."""
        own: int = getattr(self, f"max_send_attempts_{channel}")
        return own or self.max_send_attempts

    @property
    def inbox(self) -> Path:
        """Lead files to load: `inbox/<tenant name>/<file>`."""
        return self.home / "inbox"

    @property
    def processed(self) -> Path:
        """Where a loaded file goes."""
        return self.home / "processed"

    @property
    def refused(self) -> Path:
        """Where a refused file goes."""
        return self.home / "refused"

    @property
    def held(self) -> Path:
        """Where a file waits whose upload is held."""
        return self.home / "held"

    @property
    def suppression_key(self) -> Path:
        """The key under which the suppression list knows forgotten people."""
        return self.home / "suppression.key"

    @property
    def local_jwt_secret(self) -> Path:
        """The secret of a local installation's tokens."""
        return self.home / "jwt.secret"

    @property
    def warehouse(self) -> Path:
        """The DuckDB file that analysts open."""
        return self.home / "warehouse" / "engage.duckdb"

    @property
    def sandbox_record(self) -> Path:
        """What the sandbox providers received, one JSON object a line."""
        return self.home / "sandbox" / "requests.jsonl"

    @property
    def logs(self) -> Path:
        """Output of the processes that `engage dev` and `engage demo` start."""
        return self.home / "logs"

    @property
    def dagster_home(self) -> Path:
        """`DAGSTER_HOME` of the local installation."""
        return self.home / "dagster"


@lru_cache(maxsize=1)
def load_settings() -> Settings:
    """The settings of this process, read from the environment once."""
    return Settings()
