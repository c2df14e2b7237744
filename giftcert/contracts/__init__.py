"""The messages of the four topics, and of storage and Temporal: a decoder or encoder each."""
