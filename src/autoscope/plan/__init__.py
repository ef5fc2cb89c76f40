"""Plan time: from YAML and options to one resolved plan.

Nothing here is loaded by a running program unless it must read YAML itself.
"""
