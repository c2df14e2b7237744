"""Temporal workflows: thin loops that wait, ask the domain and run one activity."""
