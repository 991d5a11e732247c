"""Attachments: bytes that messages refer to."""
