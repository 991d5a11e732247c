"""Fitting a program to a host: inference, assignability, lowering, requirements."""
