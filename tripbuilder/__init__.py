"""The project: settings, addresses, admin site and what joins the two apps."""

__version__ = "0.1.0"
