"""A session's cells and processes as pictures: `lash sessions graph`.

`facts.py` reads them from a store, `picture.py` makes places and ways of them, `layout.py` finds
room for them; `mermaid.py`, `svg.py` and `page.py` draw.
"""
