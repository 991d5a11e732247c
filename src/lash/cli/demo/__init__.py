"""The demo: an agent that is killed again and again, and loses nothing.

`folder` reads real files, within bounds; `audit` is the agent (tools and script);
`boundaries` says where it is killed; `child` is the process that dies; `stage` starts,
kills and watches it from outside; `evidence` turns what was seen into facts; `show`
prints them.
"""
