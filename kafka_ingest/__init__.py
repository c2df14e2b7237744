"""The ingest door: reads orders, payments and clients from Kafka and tells the certificates."""
