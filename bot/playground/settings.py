"""How one playground is set up; passed down from `server.py`, never read from the environment."""

from dataclasses import dataclass

from bot.playground.seed import DEFAULT_EVENTS, DEFAULT_SCOPES


@dataclass(frozen=True)
class Settings:
    """The app as Slack's admin pages would configure it, and how patient this Slack is."""

    bot_token: str = "xoxb-playground"
    app_token: str = "xapp-playground"
    signing_secret: str = "playground-signing-secret"
    verification_token: str = "playground-verification-token"
    http_url: str | None = None
    """Where signed deliveries go; `None` means Socket Mode."""
    scopes: tuple[str, ...] = DEFAULT_SCOPES
    events: tuple[str, ...] = DEFAULT_EVENTS
    rate_scale: float | None = 1.0
    """Multiplies Slack's rate limits; `None` switches them off."""
    retry_delays_s: tuple[float, ...] = (0.0, 60.0, 300.0)
    """How long after a failed delivery of an event each further try comes."""
    ack_deadline_s: float = 3.0
    trigger_ttl_s: float = 3.0
    stream_ttl_s: float = 300.0
    """How long a stream stays open; Slack does not say, people measured some five minutes."""
    response_url_ttl_s: float = 1800.0
    response_url_uses: int = 5
    file_share_delay_s: float = 0.05
    """Slack shares an uploaded file after it has answered; this is how much later."""
    socket_ping_s: float = 15.0
