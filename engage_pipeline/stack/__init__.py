"""The processes of a local installation: started together, watched, stopped together; and the demo."""
