"""Configuration files: tables of settings, with an error for each mistake.

kinds     the kinds of values that keys may have
table     reads tables into dataclasses, and collects all mistakes
lines     finds the line of a key
toml      parses a file, with a correction for each syntax error
problem   a mistake in a file
"""
