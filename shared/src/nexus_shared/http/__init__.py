"""HTTP as every service offers it: `app.create_api` builds the application, `server.ApiServer` runs it."""
