"""One module a command. Each is light to import: what a command needs is loaded when it runs."""
