"""For publishers: clinics' systems that tell the platform their facts (docs/publishing)."""

from nexus_shared.client.details import EventDetails, Publishes
from nexus_shared.client.errors import (
    EventInvalid,
    NotConfirmed,
    PublisherClosed,
    PublishRefused,
    SpoolFull,
    SpoolInUse,
    SpoolUnusable,
)
from nexus_shared.client.parcels import BatchLimits
from nexus_shared.client.publisher import NexusPublisher
from nexus_shared.client.sync import SyncNexusPublisher

__all__ = [
    "BatchLimits",
    "EventDetails",
    "EventInvalid",
    "NexusPublisher",
    "NotConfirmed",
    "PublishRefused",
    "PublisherClosed",
    "Publishes",
    "SpoolFull",
    "SpoolInUse",
    "SpoolUnusable",
    "SyncNexusPublisher",
]
