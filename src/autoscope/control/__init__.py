"""Reaching into a running process: changes of sites, the plan file watched, the control socket.

`live` makes changes, `watch` follows the plan file, `server` answers the command line, whose side is `client`.
"""
