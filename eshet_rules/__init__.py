"""The runner of automation rules: discovery, reload, supervision, logs."""
