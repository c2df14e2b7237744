"""Secrets at rest and who may call: the keyring and the tokens."""
