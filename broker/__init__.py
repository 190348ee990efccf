"""The data-sharing broker for e-certificate material exemption."""

__version__ = "0.1.0"
