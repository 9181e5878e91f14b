"""Generated descriptions of what goes over HTTP and AMQP; committed under docs/ and checked for drift."""
