"""From text to tree and back: lexer, parser, tree, types, JSON form and canonical source."""
