"""What tests and the launcher need around the services: private servers, a fault proxy, builders of events."""
