"""`lash chat`: a conversation in the terminal, or through a pipe.

`editor.py` is the line being typed, `words.py` what a line means, `transcript.py` what a turn
looks like. A face shows and reads (`face.py`): `terminal.py` for people, `pipe.py` for programs.
`talk.py` is the conversation at a terminal, `script.py` the one through a pipe.
"""
