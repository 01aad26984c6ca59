"""The web app: the subscriber's inbox, pages behind signed links, webhooks, and what others mount on it."""

from console.web.app import make_app

__all__ = ["make_app"]
