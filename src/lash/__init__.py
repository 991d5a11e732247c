"""lash: a durable runtime for LLM agents."""
