"""RLM mode: the model writes programs in lashlang, and sees what they print (docs/spec/runtime.md §5).

| file | idea |
|---|---|
| `cells.py` | where in a model's text the program stands, also while it streams |
| `options.py` | what a host and a turn may decide |
| `driver.py` | what a turn does next |
| `surface.py` | tools as modules of the language |
| `executor.py` | runs cells: link, compile, effects, output |
| `output.py` | what of a printed value is shown |
| `history.py` | the conversation as the program sees it |
| `projection.py` | the conversation as the model sees it |
| `prompt.py` | what the model is told of the language and its host |
"""
