"""Roles, schemas and migrations of the installed services."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from nexus_cli.launcher.installation import DATABASE, Installation
from nexus_cli.launcher.registry import ServiceEntry
from nexus_shared.database.migrations import migrate
from nexus_shared.database.roles import ServiceRoles, ensure_database, prepare


def prepare_and_migrate(installation: Installation) -> dict[str, list[str]]:
    """Bring the database to what the installed services need; the files applied, by service."""
    return asyncio.run(_all(installation))


async def _all(installation: Installation) -> dict[str, list[str]]:
    admin = installation.servers.urls
    await ensure_database(admin.database, DATABASE)
    passwords = installation.secrets().passwords
    url = admin.database_of(DATABASE)
    for entry in installation.services:
        roles = ServiceRoles(
            entry.schema, passwords[f"db:{entry.schema}"], passwords[f"db:{entry.schema}_api"]
        )
        await prepare(url, roles)
    return await apply(url, installation.services)


async def apply(admin_url: str, services: Sequence[ServiceEntry]) -> dict[str, list[str]]:
    """Apply what is missing to a database whose roles and schemas exist."""
    return {
        entry.name: await migrate(admin_url, entry.schema, entry.migrations)
        for entry in services
        if entry.migrations.is_dir()
    }
