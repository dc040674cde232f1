"""Counts the actions of rules, from the audit trail, for `eshet-rules stats`.

text         statistics as a table, as JSON, and in the format of Prometheus
counting     counts the records of rules and of paths
prometheus   metrics as text
silence      finds paths and rules that were regular and have stopped
histogram    durations in buckets, for percentiles
spans        records as OpenTelemetry spans
"""
