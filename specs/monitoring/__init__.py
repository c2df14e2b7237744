"""Dashboards of Grafana and the rules beside them: what makes the former, and what checks both."""
