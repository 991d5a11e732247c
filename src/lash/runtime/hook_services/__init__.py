"""The services of hooks, over one turn (docs/spec/runtime.md §7.4; the ports are in `lash.plugins.services`).

- `asking`: what a hook asks for, as effects. `lending`: one hook's services, made when they are used.
- `state`, `lifecycle`, `graph`, `processes`: the services.
"""
