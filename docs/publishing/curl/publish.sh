#!/bin/sh
# Publishes one event over HTTP: needs NEXUS_INGEST_URL, NEXUS_API_KEY (scope events:write) and NEXUS_TENANT.
set -eu
ID=${1:-$(cat /proc/sys/kernel/random/uuid)} # better: an id of your own, the same at every try

curl --silent --show-error --fail-with-body --retry 5 --retry-connrefused \
  "$NEXUS_INGEST_URL/v1/events" \
  -H "Authorization: Bearer $NEXUS_API_KEY" \
  -H 'Content-Type: application/cloudevents+json' \
  -d '{"specversion": "1.0", "id": "'"$ID"'", "source": "site", "type": "lead.created", "tenantid": "'"$NEXUS_TENANT"'",
       "data": {"lead_id": "L-18", "name": "João Pereira", "phone": "+5511987654321", "source": "ads"}}'
