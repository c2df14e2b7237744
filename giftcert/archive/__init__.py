"""Archive of events: a Parquet file for each month, compared with the audit chain, the stream and the database."""
