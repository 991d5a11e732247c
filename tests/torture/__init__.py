"""Background processes under torture: workers that are killed all the time, and a judge who reads what is left."""
