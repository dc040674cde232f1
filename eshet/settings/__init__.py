"""Configuration files: tables of settings, with an error for each mistake.

kinds     the kinds of values that keys may have
table     reads tables into dataclasses, and collects all mistakes
lines     finds the line of a key
toml      parses a file, and says what to write instead of what is not TOML
problem   a mistake in a file
"""
