"""What a host offers and what a program needs: catalogs, environments, tool bindings, triggers."""
