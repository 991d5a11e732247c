"""Running bodies without IO: the driver, requests and answers, budgets, keys, state."""
