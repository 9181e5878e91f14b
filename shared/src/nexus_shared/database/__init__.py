"""PostgreSQL: two pools per service, migrations as plain files, roles, and the rule that the tenant comes first."""

from nexus_shared.database.away import is_away
from nexus_shared.database.pool import Connection, Database
from nexus_shared.database.tenancy import across_tenants

__all__ = ["Connection", "Database", "across_tenants", "is_away"]
