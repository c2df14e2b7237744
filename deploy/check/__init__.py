"""Checks the chart in `deploy/helm/giftcert` as a cluster would see it: ``python -m deploy.check``."""
