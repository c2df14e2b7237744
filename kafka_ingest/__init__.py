"""The ingest process: reads orders, payments and clients from Kafka and signals the certificates."""
