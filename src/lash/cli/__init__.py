"""The command line: `lash`. Thin over the public face; every command loads what it needs when it runs.

`main` is the entry point, `root` the click group, `commands/` one module a command,
`demo/` what `lash demo` shows. Everything here is above `testing` and below nobody.
"""
