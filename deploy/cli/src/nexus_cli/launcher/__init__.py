"""The launcher: PostgreSQL, RabbitMQ and every service as processes of one machine."""
