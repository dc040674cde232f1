"""Protects the event loop and the process against the rules.

guard              combines the modules below
watchdog           notices a rule that blocks the event loop, and interrupts it
busy_threads       finds threads of rules that slow the event loop down
crash              ends the process when nothing else helps, and records why
quarantine         disables rules that ended the process; safe mode
rule_loop          an event loop that rules can neither end nor flood
signal_handlers    restores signal handlers that rules replace
"""
