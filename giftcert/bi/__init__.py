"""BI: a file of DuckDB filled from the topics, figures of it by SQL, and a report; it reads public contracts alone."""
