"""`python -m eshet_rules` is `eshet-rules`."""

from eshet_rules.cli import main

main()
