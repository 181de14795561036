"""Every setting of antlive, typed, with its unit and its bound: from `ANTLIVE_*` variables or a TOML file.

`ANTLIVE_CONFIG` names the TOML file; a variable wins over the file, the file over the defaults.
"""

from __future__ import annotations

import codecs
import os
import tomllib
from pathlib import Path
from typing import Annotated, Self

from pydantic import Field, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)
from pydantic_settings import SettingsError as SourceError

from config.fitting import check_together
from config.ladders import LADDERS, PASSTHROUGH, Ladder
from config.own_ladders import OwnLadder, OwnLadders, check_names
from config.redis_url import CLUSTER_PREFIX, Kind, complete_redis_url, has_hash_tag, parse_redis_url
from config.secret_files import SUFFIX, SecretFileError, SecretFiles

Port = Annotated[int, Field(ge=0, le=65535)]

RECONNECT_WINDOW_S_MAX = 3600

ENV_PREFIX = "ANTLIVE_"
CONFIG_FILE_VARIABLE = "ANTLIVE_CONFIG"
MAX_DRAIN_S = 3600
_LONGEST_WINDOW_IN_MEMORY_S = 600.0
DEFAULT_REDIS_PREFIX = "antlive:"
SECRETS = frozenset(
    {
        "api_key",
        "srt_passphrase",
        "redis_url",
        "redis_password",
        "recording_store_access_key",
        "recording_store_secret_key",
    }
)
"""Settings whose values are, or may hold, what nobody else should read."""
SECRET_FILES = {f"{ENV_PREFIX}{name.upper()}{SUFFIX}": name for name in sorted(SECRETS)}
"""Variables that name a file with a secret."""


PATHS = frozenset({"tls_cert", "tls_key", "data_dir", "media_dir", "recordings_dir", "redis_ca", "slate_image"})
"""Settings that name a file or a directory."""


class SettingsError(ValueError):
    """A setting is unknown, or its value is out of bounds; the text names setting, value and bound."""


class Settings(BaseSettings):
    """The effective settings. Ports given as 0 are chosen by the system when the listener opens."""

    model_config = SettingsConfigDict(env_prefix=ENV_PREFIX, extra="forbid", frozen=True, allow_inf_nan=False)

    http_port: Port = Field(8080, description="TCP port of the API, the console, the player page and LL-HLS")
    rtmp_port: Port = Field(1935, description="TCP port of RTMP ingest")
    rtmps_port: Port | None = Field(None, description="TCP port of RTMPS ingest; default: no RTMPS")
    tls_cert: Path | None = Field(None, description="certificate chain (PEM) of RTMPS; read again when it changes")
    tls_key: Path | None = Field(None, description="private key (PEM) of tls_cert")
    srt_port: Port = Field(9000, description="UDP port of SRT ingest")
    bind: str = Field("0.0.0.0", min_length=1, description="address that the listeners bind to")
    public_host: str = Field(
        "localhost", pattern=r"^[^\s/?#@]+$", description="host in the URLs that the API hands out"
    )
    playback_url: str | None = Field(
        None,
        pattern="^https?://[^/?#]+/?$",
        description="URL of what viewers fetch from, such as an edge with TLS; default: http_port at public_host",
    )
    node_url: str | None = Field(
        None,
        pattern="^https?://[^/?#]+/?$",
        description="URL of this node's origin for other nodes on the same Redis; default: http_port at the address of "
        "`bind`, or at the one from which Redis is reached",
    )
    data_dir: Path = Field(Path("./data"), description="directory of what must survive a restart: embedded Redis, keys")
    media_dir: Path | None = Field(
        None,
        description="directory of media; default: under /dev/shm for windows up to 600 s, else below data_dir",
    )
    recordings_dir: Path | None = Field(
        None, description="directory of recordings, which nodes may share; default: recordings in data_dir"
    )
    recording_retention_s: float = Field(
        0.0,
        ge=0.0,
        le=315_360_000.0,
        description="seconds after which a recording that has ended is deleted; 0: kept for ever",
    )
    recording_reserve_mb: int = Field(
        512,
        ge=0,
        le=1_000_000_000,
        description="megabytes of the file system of recordings_dir that recordings leave free",
    )
    recording_store: str | None = Field(
        None,
        pattern="^s3://[a-z0-9][a-z0-9.-]{1,61}[a-z0-9](/[A-Za-z0-9._/-]{1,200})?$",
        description="s3://bucket or s3://bucket/prefix of an S3-compatible store to which recordings are uploaded; "
        "default: they stay in recordings_dir",
    )
    recording_store_endpoint: str | None = Field(
        None, pattern="^https?://[^/?#@]+/?$", description="URL of a store that is not Amazon's"
    )
    recording_store_region: str = Field("us-east-1", min_length=1, description="region of the store")
    recording_store_access_key: str | None = Field(
        None,
        min_length=1,
        repr=False,
        description="access key of the store; default: as Amazon's own tools find theirs",
    )
    recording_store_secret_key: str | None = Field(
        None, min_length=1, repr=False, description="secret key of recording_store_access_key"
    )
    recording_store_delivery: str = Field(
        "redirect",
        pattern="^(redirect|proxy)$",
        description="how viewers get media that are in the store: redirect to signed URLs of the store, or proxy "
        "through this node",
    )
    recording_spool_mb: int = Field(
        20480,
        ge=64,
        le=1_000_000_000,
        description="megabytes of recordings that may wait here to be uploaded; what comes then is recorded once "
        "there is room, or missing",
    )
    metrics_port: Port | None = Field(
        None,
        description="TCP port of /metrics, /healthz and /readyz of `antlive ingest`; default: none, as the node's "
        "other roles have them at http_port, and ingest's metrics with them",
    )
    redis_url: str | None = Field(
        None,
        repr=False,
        description="redis://, rediss:// (TLS) or unix:// URL of a server; redis+sentinel://host:port,…/service or "
        "redis+cluster://host:port,…, with rediss+… for TLS; default: an embedded Redis server",
    )
    redis_username: str | None = Field(
        None, min_length=1, description="ACL user at redis_url; default: that of the URL"
    )
    redis_password: str | None = Field(
        None, min_length=1, repr=False, description="password at redis_url; default: that of the URL"
    )
    redis_ca: Path | None = Field(
        None, description="certificate authority (PEM) of a Redis with TLS; default: those that the system trusts"
    )
    redis_prefix: str = Field(
        DEFAULT_REDIS_PREFIX,
        min_length=1,
        max_length=100,
        pattern="^[!-~]+$",
        validate_default=True,
        description="prefix of every Redis key; on a cluster it holds a hash tag, and is `{antlive}:` by default",
    )
    api_key: str | None = Field(
        None,
        min_length=8,
        max_length=200,
        pattern="^[!-~]+$",
        repr=False,
        description="API key of environment `default`; default: generated once, kept in data_dir",
    )
    api_requests_per_s: float = Field(
        100.0, gt=0, le=1_000_000, description="requests a second that an API key may make"
    )
    api_burst: int = Field(200, ge=1, le=1_000_000, description="requests that an API key may make at once")
    webhook_allow_http: bool = Field(False, description="allow webhooks with http:// URLs")
    webhook_allow_private: bool = Field(False, description="allow webhooks to private and loopback addresses")
    webhook_retry_horizon_s: float = Field(
        86400.0, ge=0.0, le=604800.0, description="seconds for which a webhook delivery is tried again"
    )
    reconnect_window_s: int = Field(
        60, ge=0, le=RECONNECT_WINDOW_S_MAX, description="seconds a session is held for its encoder's return"
    )
    clean_stop_ends: bool = Field(
        False, description="an encoder that stops properly ends its session at once; one that is lost is waited for"
    )
    ladders: OwnLadders = Field(
        {},
        description="ladders of your own, beside standard, high and passthrough: by the name that a stream has as its "
        "quality (docs/ladders.md)",
    )
    capacity_units: float | None = Field(
        None,
        gt=0,
        le=1_000_000,
        description="what the node carries, in millions of pixels encoded in a second (`antlive bench node`); default: "
        "measured at the first start",
    )
    drain_s: float = Field(
        0.0,
        ge=0.0,
        le=MAX_DRAIN_S,
        description="seconds in which a node that is told to end (SIGTERM) hands its live streams to other nodes; "
        "0: it ends at once",
    )
    segment_s: float = Field(2.0, ge=1.0, le=10.0, description="segment duration in seconds")
    part_s: float = Field(0.333, ge=0.1, le=2.0, description="LL-HLS part duration in seconds")
    chunk_s: float = Field(
        0.0,
        ge=0.0,
        le=1.0,
        description="seconds of media in a chunk of a part that is delivered while it is encoded; 0: parts come whole",
    )
    window_s: float = Field(60.0, ge=12.0, le=86400.0, description="seconds of media that a live playlist lists")
    conformance_share: float = Field(
        0.01,
        ge=0.0,
        le=1.0,
        description="share of what is published that is checked against the rules of LL-HLS, 0 to 1",
    )
    slate_image: Path | None = Field(
        None, description="picture shown while an encoder is away; default: its last picture, dimmed"
    )
    ended_retention_s: float = Field(
        300.0, ge=0.0, le=86400.0, description="seconds that the media of an ended session stay fetchable"
    )
    srt_passphrase: str | None = Field(
        None,
        min_length=10,
        max_length=79,
        pattern="^[ -~]+$",
        repr=False,
        description="passphrase (AES) that every SRT encoder must use; default: no encryption",
    )
    srt_latency_ms: int = Field(
        120, ge=20, le=8000, description="milliseconds that SRT has to repair losses; the encoder may ask for more"
    )
    log_format: str = Field("pretty", pattern="^(pretty|json)$", description="log lines: pretty or json")
    log_level: str = Field("info", pattern="^(debug|info|warning|error)$", description="least level that is logged")

    @field_validator("*", mode="before")
    @classmethod
    def _paths_are_not_empty(cls, value: object, info: ValidationInfo) -> object:
        if value == "" and info.field_name in PATHS:  # else it is the directory that the process happens to be in
            raise ValueError("must be a path; without the setting its default holds")
        return value

    @field_validator("part_s")
    @classmethod
    def _part_below_segment(cls, part_s: float, info: object) -> float:
        segment_s = getattr(info, "data", {}).get("segment_s")
        if segment_s is not None and part_s > segment_s / 2:
            raise ValueError(f"must be at most half of segment_s ({segment_s})")
        return part_s

    @field_validator("ladders")
    @classmethod
    def _names_are_free(cls, ladders: dict[str, OwnLadder]) -> dict[str, OwnLadder]:
        return check_names(ladders)

    @field_validator("redis_url")
    @classmethod
    def _redis_url_is_one(cls, redis_url: str | None) -> str | None:
        if redis_url is not None:
            parse_redis_url(redis_url)
        return redis_url

    @field_validator("redis_prefix")
    @classmethod
    def _prefix_fits_a_cluster(cls, prefix: str, info: ValidationInfo) -> str:
        url = info.data.get("redis_url")
        if url is None or parse_redis_url(url).kind is not Kind.CLUSTER:
            return prefix
        if prefix == DEFAULT_REDIS_PREFIX:
            return CLUSTER_PREFIX
        if not has_hash_tag(prefix):
            raise ValueError(f"needs a hash tag on a cluster, as in {CLUSTER_PREFIX!r}: all keys go into one slot")
        return prefix

    @model_validator(mode="after")
    def _fit_together(self) -> Self:
        check_together(self, SECRETS)
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        sources = (init_settings, env_settings, SecretFiles(settings_cls, SECRET_FILES))
        file = os.environ.get(CONFIG_FILE_VARIABLE)
        return (*sources, TomlConfigSettingsSource(settings_cls, file)) if file else sources

    @property
    def all_ladders(self) -> dict[str, Ladder]:
        """The ladder of each quality but passthrough."""
        return {**LADDERS, **{name: own.ladder for name, own in self.ladders.items()}}

    @property
    def qualities(self) -> tuple[str, ...]:
        """The qualities that a stream may have."""
        return (*LADDERS, PASSTHROUGH, *self.ladders)

    @property
    def full_redis_url(self) -> str | None:
        """`redis_url` with login, certificate authority and prefix in it: a secret. None: an embedded Redis."""
        if self.redis_url is None:
            return None
        return complete_redis_url(
            self.redis_url,
            username=self.redis_username,
            password=self.redis_password,
            ca_file=None if self.redis_ca is None else str(self.redis_ca),
            prefix=self.redis_prefix,
        )

    @property
    def effective_recordings_dir(self) -> Path:
        """The directory of recordings."""
        return self.recordings_dir or self.data_dir / "recordings"

    @property
    def effective_media_dir(self) -> Path:
        """`media_dir`, or its default: memory for short windows when the system has /dev/shm, else below `data_dir`."""
        if self.media_dir is not None:
            return self.media_dir
        shm = Path("/dev/shm")
        if self.window_s <= _LONGEST_WINDOW_IN_MEMORY_S and shm.is_dir() and os.access(shm, os.W_OK):
            return shm / f"antlive-{self.data_dir.resolve().as_posix().strip('/').replace('/', '-')}"
        return self.data_dir / "media"


def load_settings() -> Settings:
    """The settings of this process from environment and file.

    Raises `SettingsError` with one line per wrong setting: its name, the value found and the bound.
    """
    _refuse_unknown_variables()
    file = os.environ.get(CONFIG_FILE_VARIABLE)
    if file and not Path(file).is_file():
        raise SettingsError(f"{CONFIG_FILE_VARIABLE}: no file at {file!r}")
    try:
        return Settings()
    except SecretFileError as error:
        raise SettingsError(str(error)) from None
    except tomllib.TOMLDecodeError as error:
        if Path(str(file)).read_bytes().startswith(codecs.BOM_UTF8):
            text = "begins with a byte order mark (BOM): save it as UTF-8 without one"
            raise SettingsError(f"{CONFIG_FILE_VARIABLE}: {file!r} {text}") from None
        raise SettingsError(f"{CONFIG_FILE_VARIABLE}: {file!r} is no TOML: {error}") from None
    except UnicodeDecodeError:
        raise SettingsError(f"{CONFIG_FILE_VARIABLE}: {file!r} is no text in UTF-8") from None
    except OSError as error:
        raise SettingsError(f"{CONFIG_FILE_VARIABLE}: can't read {file!r}: {error.strerror}") from None
    except SourceError as error:  # of the one setting whose value has to be JSON
        name = f"{ENV_PREFIX}LADDERS"
        raise SettingsError(f"{name} = {os.environ.get(name)!r}: must be JSON: {error.__cause__}") from None
    except ValidationError as error:
        raise SettingsError("\n".join(_describe(item) for item in error.errors())) from None


def _describe(item: object) -> str:
    assert isinstance(item, dict)
    top, *within = (str(part) for part in item["loc"]) if item["loc"] else ("",)
    name = ".".join([top, *within])
    if not name:  # about several settings at once
        return str(item["msg"])
    if item["type"] == "extra_forbidden":  # its value may be a secret with a slip in its name
        known = "" if within else f"; known: {', '.join(sorted(Settings.model_fields))}"
        return f"unknown setting {name}{known}"
    if within:
        return f"{name.replace('.[key]', '')} = {item['input']!r}: {item['msg']}"
    value = "<hidden>" if name in SECRETS else repr(item["input"])
    return f"{ENV_PREFIX}{name.upper()} = {value}: {str(item['msg']).removeprefix('Value error, ')}"


def _refuse_unknown_variables() -> None:
    known = {ENV_PREFIX + name.upper() for name in Settings.model_fields} | {CONFIG_FILE_VARIABLE, *SECRET_FILES}
    unknown = sorted(name for name in os.environ if name.startswith(ENV_PREFIX) and name not in known)
    if unknown:
        raise SettingsError(f"unknown setting {', '.join(unknown)}; known: {', '.join(sorted(known))}")
