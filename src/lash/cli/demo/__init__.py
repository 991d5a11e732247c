"""The demo: an agent that is killed again and again, and loses nothing.

`folder` reads real files, within bounds; `audit` and `programs` are the agents of its two acts (tools
and scripts), `first_work` and `second_work` the processes that die, `child` starts one and `orders`
says what it is to do. `boundaries` says where they are killed; `stage` and `second_act` start, kill and
watch them from outside through `children`; `evidence` and `second_facts` turn what was seen into
facts; `show` and `second_show` print them; `play` puts it together.
"""
