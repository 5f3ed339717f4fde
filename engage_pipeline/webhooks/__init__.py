"""What providers and recipients tell us over HTTP: received and stored by a small application, applied by a sensor."""
