"""The road to the sources: what the connectors yield is sent here, within limits no source can stretch."""
