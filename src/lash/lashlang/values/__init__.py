"""What programs compute with: kinds, coercions, operators, builtins, limits."""
