"""The processes of an installation: start, supervision and communication."""
