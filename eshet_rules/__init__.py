"""The runner of house rules: it imports rule modules, runs them, and reloads them as you save."""
