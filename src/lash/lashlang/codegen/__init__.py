"""From linked trees to Python generators: kinds, ownership, emitters, the closed name space."""
